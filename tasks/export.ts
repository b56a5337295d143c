/** `deno task export`: a model as a package for a target. */

import { basename, join } from "node:path";
import {
  CALIBRATION_METHODS,
  type CalibrationMethod,
  exportEdgeTpu,
  exportK210,
  exportQuantized,
  exportTarget,
  framesText,
  IMPORTANCES,
  K210,
  type K210Loader,
  pruneModel,
  TARGETS,
  writeNewKey,
} from "../lib/deploy/mod.ts";
import { copyPackage, defaultModel, openDataset, type OpenedModel, openModel } from "../lib/experiment/mod.ts";
import { progress } from "../lib/notebook/mod.ts";
import { InputError, integerFlag, runCommand, watchInterrupt, WorkError } from "../lib/runtime/mod.ts";
import { exportClip } from "../lib/vlm/mod.ts";
import { clipOf } from "./evaluate/clip.ts";

const WEIGHTS = ["float32", "float16", "int8", "mixed", "int8-static"] as const;
/** Targets that the compiler of a chip makes int8, with ranges from a data set. */
const CHIPS = ["k210", "edgetpu"] as const;
const EXPECTED = ["onnx", ...TARGETS, ...CHIPS].join(", ");

await runCommand({
  usage: "deno task export",
  about:
    "Writes a trained model as a package of its own. onnx: model.onnx, classes.txt, model.json; of a CLIP both towers, tokenizer " +
    "and card in the layout of the Hub. With weights of fewer bytes the " +
    'card\'s figures are left out until "deno task evaluate --card" has measured them. ' +
    "The others: a folder to copy to the device, with a runner, a self-test, README.md, manifest.json and SHA256SUMS.",
  flags: {
    model: {
      type: "string",
      value: "NAME|FILE",
      help: "a name under models/, a package or a run (default: as predict)",
    },
    target: { type: "string", value: "NAME", default: "onnx", help: EXPECTED },
    out: { type: "string", value: "DIR", help: "the package's folder (default: models/NAME-TARGET)" },
    weights: { type: "string", value: "NAME", help: `${WEIGHTS.join(", ")} (default: as they are)` },
    data: {
      type: "string",
      value: "DIR",
      default: "data",
      help: `int8-static, ${CHIPS.join(", ")}: the data set to calibrate on`,
    },
    calibration: { type: "string", value: "NAME", default: "percentile", help: CALIBRATION_METHODS.join(", ") },
    calibrate: { type: "string", value: "N", default: "128", help: "pictures of the train split for the ranges" },
    prune: {
      type: "string",
      value: "SHARE",
      help: "onnx: take channels away until this share of the multiplications is left",
    },
    importance: {
      type: "string",
      value: "NAME",
      help: `with --prune: how channels are chosen, ${IMPORTANCES.join(", ")} (default: taylor, on pictures of --data)`,
    },
    epochs: {
      type: "string",
      value: "N",
      help: "with --prune: fine-tune on --data for so many, a run that is resumed (default: 0)",
    },
    loader: {
      type: "string",
      value: "NAME",
      help: `k210: ${Object.keys(K210.modelBytes).join(", ")} (default: maixpy)`,
    },
    pictures: { type: "string", value: "TEXT", help: "onnx: whose pictures the model learned from" },
    licence: { type: "string", value: "TEXT", help: "onnx: what one may do with the model" },
    quantized: {
      type: "string",
      value: "FILE",
      help: "not onnx: the model quantized, an ONNX file; tensorrt wants S8S8",
    },
    batch: { type: "string", value: "N", help: "tensorrt: pictures in a run (default: 1)" },
    budget: { type: "string", value: "MB", help: "web: the most that the model may have (default: 4)" },
    version: { type: "string", value: "N", help: "not onnx: the release's number, which must rise (default: 1)" },
    rollout: { type: "string", value: "SHARE", help: "not onnx: the share of devices that may take it (default: 1)" },
    sign: { type: "string", value: "KEYFILE", help: "not onnx: sign the manifest with this Ed25519 key" },
    "update-url": { type: "string", value: "URL", help: "rpi: where devices look for updates" },
    "new-key": {
      type: "string",
      value: "KEYFILE",
      help: "make a key for --sign and write it there; nothing else is done",
    },
    runs: { type: "string", value: "DIR", default: "runs", help: "the folder of runs" },
  },
  async run({ model, target, out, weights, data, calibration, calibrate, pictures, licence, runs, ...settings }) {
    if (settings["new-key"] !== undefined) {
      const { publicKey } = await writeNewKey(settings["new-key"]);
      console.error(
        `${settings["new-key"]}: a new key; keep it to yourself. Devices get its public half: ${publicKey}`,
      );
      return { key: settings["new-key"], publicKey };
    }
    const device = TARGETS.find((name) => name === target);
    const chip = CHIPS.find((name) => name === target);
    if (target !== "onnx" && !chip && !device) {
      throw new InputError(`--target: expected ${EXPECTED}, found "${target}"`);
    }
    const kept = WEIGHTS.find((name) => name === weights);
    if (weights !== undefined && !kept) {
      throw new InputError(`--weights: expected ${WEIGHTS.join(", ")}, found "${weights}"`);
    }
    if ((pictures === undefined) !== (licence === undefined)) {
      throw new InputError("deno task export: expected --pictures and --licence together, found one of them");
    }
    const { quantized, batch, budget, version, rollout, sign, "update-url": updateUrl, loader } = settings;
    const { prune, importance, epochs } = settings, pruning = { prune, importance, epochs };
    const own = chip ? { pictures, ...pruning, ...chip === "edgetpu" ? { loader } : {} } : { loader };
    const foreign = device
      ? { ...pruning, pictures, ...device === "tensorrt" ? {} : { batch }, ...device === "web" ? {} : { budget } }
      : { quantized, batch, budget, version, rollout, sign, "update-url": updateUrl };
    const [wrong] = Object.entries({ ...own, ...foreign }).filter(([, value]) => value !== undefined);
    if (wrong) throw new InputError(`--${wrong[0]}: expected another target, found "${target}"`);
    const clip = model === undefined ? undefined : await clipOf(model, runs);
    if (model !== undefined && clip !== undefined) {
      if (target !== "onnx") {
        throw new InputError(`--model: expected a detector or classifier for ${target}, found a CLIP`);
      }
      if (pictures !== undefined) throw new InputError("--pictures: expected a detector or classifier, found a CLIP");
      if (kept === "int8-static") {
        throw new InputError("--weights int8-static: expected a detector or classifier, found a CLIP");
      }
      const folder = out ?? join("models", "pokedex-clip");
      const card = await exportClip(clip, folder, { weights: kept });
      const bytes = Object.values(card.files).reduce((sum, file) => sum + file.bytes, 0);
      console.error(`${folder}: ${(bytes / 1e6).toFixed(2)} MB, ${card.weights} weights`);
      return { folder, bytes, files: card.files, weights: card.weights };
    }
    if (prune !== undefined) return await toPruned({ model, out, data, runs, kept, pictures, licence, ...pruning });
    if (importance ?? epochs) {
      throw new InputError(`--${importance === undefined ? "epochs" : "importance"}: expected --prune too, found none`);
    }
    const method = CALIBRATION_METHODS.find((name) => name === calibration);
    if (!method) {
      throw new InputError(`--calibration: expected ${CALIBRATION_METHODS.join(", ")}, found "${calibration}"`);
    }
    const count = integerFlag("calibrate", calibrate, 1);
    await using opened = await openModel(model, { runs });
    if (chip && kept) {
      throw new InputError(`--weights: expected another target, found ${chip}, for which they are int8`);
    }
    if (chip === "k210") return await toK210(opened, { out, data, count, loader });
    if (chip === "edgetpu") return await toEdgeTpu(opened, { out, data, count, method });
    const folder = out ?? join("models", `${opened.card.name}-${kept === "int8-static" ? kept : target}`);
    if (device) {
      if (kept === "int8-static") {
        throw new InputError(`--weights int8-static: expected the target onnx, found "${target}"`);
      }
      const manifest = await exportTarget(opened, device, folder, {
        weights: kept,
        quantized,
        sign,
        updateUrl,
        version: version === undefined ? undefined : integerFlag("version", version, 1),
        batch: batch === undefined ? undefined : integerFlag("batch", batch, 1, 256),
        budget: budget === undefined ? undefined : 1e6 * numberFlag("budget", budget),
        rollout: rollout === undefined ? undefined : numberFlag("rollout", rollout),
      });
      const bytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
      const signed = sign === undefined ? "not signed" : "signed";
      console.error(
        `${folder}: ${
          (bytes / 1e6).toFixed(2)
        } MB in ${manifest.files.length} files, version ${manifest.version}, ${signed}`,
      );
      return { folder, bytes, ...manifest };
    }
    const provenance = pictures !== undefined && licence !== undefined ? { provenance: { pictures, licence } } : {};
    const { card, folder: file } = kept === "int8-static"
      ? await exportQuantized(opened.folder, folder, {
        ...{ dataFolder: data, pictures: count, calibration: { method }, onProgress: progress("export") },
        ...{ warn: console.error, ...provenance },
      })
      : await copyPackage(opened.folder, folder, { weights: kept, ...provenance });
    const { bytes, sha256 } = card.file, { quantization } = card;
    console.error(`${file}: ${(bytes / 1e6).toFixed(2)} MB, ${card.weights} weights`);
    if (quantization) {
      const { n, share } = quantization.agreement;
      console.error(
        `${(100 * quantization.int8Share).toFixed(1)} % of the multiplications in int8; names what float32 names in ` +
          `${(100 * share).toFixed(1)} % of ${n} validation pictures`,
      );
    }
    return { folder: file, bytes, sha256, weights: card.weights, ...(quantization ? { quantization } : {}) };
  },
});

/** Writes the package of the model with fewer channels. */
async function toPruned({ model, out, data, runs, kept, pictures, licence, prune, importance, epochs = "0" }: {
  readonly model: string | undefined;
  readonly out: string | undefined;
  readonly data: string;
  readonly runs: string;
  readonly kept: typeof WEIGHTS[number] | undefined;
  readonly pictures: string | undefined;
  readonly licence: string | undefined;
  readonly prune: string | undefined;
  readonly importance: string | undefined;
  readonly epochs: string | undefined;
}) {
  const share = Number(prune), count = integerFlag("epochs", epochs, 0);
  if (prune?.trim() === "" || !(share > 0 && share < 1)) {
    throw new InputError(`--prune: expected a share between 0 and 1, found "${prune}"`);
  }
  const known = IMPORTANCES.find((name) => name === (importance ?? "taylor"));
  if (!known) throw new InputError(`--importance: expected ${IMPORTANCES.join(", ")}, found "${importance}"`);
  if (kept === "int8-static") {
    throw new InputError("--weights int8-static: expected a model that is pruned already, found --prune");
  }
  const place = model ?? await defaultModel({ runs }), folder = out ?? join("models", `${basename(place)}-pruned`);
  using interrupt = watchInterrupt(() =>
    console.error("\nfinishing the step, then a checkpoint; Ctrl-C again ends at once")
  );
  const { model: made, pruned } = await pruneModel({
    ...{ model: place, folders: { runs }, out: folder, share, importance: known, weights: kept, dataFolder: data },
    ...(pictures !== undefined && licence !== undefined ? { provenance: { pictures, licence } } : {}),
    fineTune: count === 0 ? undefined : {
      ...{ epochs: count, runsFolder: runs, resume: "auto", signal: interrupt.signal },
      ...{ warn: console.error, onProgress: progress("prune") },
    },
  });
  if (!made) throw new WorkError("fine-tuning: expected it to end, found it interrupted; the same command goes on");
  const { card: { file: { bytes, sha256 }, pruning, metrics, weights } } = made;
  console.error(
    `${folder}: ${(100 * pruned.left / pruned.macs).toFixed(1)} % of the multiplications, ` +
      `${(pruned.parametersLeft / 1e6).toFixed(2)} of ${(pruned.parameters / 1e6).toFixed(2)} million weights, ` +
      `${(bytes / 1e6).toFixed(2)} MB`,
  );
  return { folder, bytes, sha256, weights, pruning, metrics, groups: pruned.groups };
}

/** Writes the folder for the K210's compiler and board. */
async function toK210(
  opened: OpenedModel,
  { out, data, count, loader = "maixpy" }: {
    readonly out: string | undefined;
    readonly data: string;
    readonly count: number;
    readonly loader: string | undefined;
  },
) {
  const { card, classes } = opened;
  if (!Object.hasOwn(K210.modelBytes, loader)) {
    throw new InputError(`--loader: expected ${Object.keys(K210.modelBytes).join(", ")}, found "${loader}"`);
  }
  const { folder, settings, manifest: { files } } = await exportK210(opened, {
    out: out ?? join("models", `${card.name}-k210`),
    dataset: () => openDataset({ dataFolder: data, species: classes.map(({ dex }) => dex), warn: console.error }),
    count,
    loader: loader as K210Loader,
  });
  const { modelBytes, mapBytes, estimate } = settings;
  console.error(
    `${folder}: fits: about ${(modelBytes / 1e6).toFixed(2)} MB, largest layer ${(mapBytes / 1e6).toFixed(2)} MB; ` +
      `${framesText(estimate)}, estimated\n` +
      `${folder}: model.kmodel is not there yet: compile.py writes it with nncase 1.x (Python 3.7 to 3.10), see README.md`,
  );
  return { folder, ...settings, files };
}

/** Writes the folder for the Edge TPU's compiler and a Coral board. */
async function toEdgeTpu(
  opened: OpenedModel,
  { out, data, count, method }: {
    readonly out: string | undefined;
    readonly data: string;
    readonly count: number;
    readonly method: CalibrationMethod;
  },
) {
  const { card, classes } = opened;
  const { folder, settings, report, bytes, manifest: { files } } = await exportEdgeTpu(opened, {
    ...{ out: out ?? join("models", `${card.name}-edgetpu`), count, method, onProgress: progress("export") },
    dataset: () => openDataset({ dataFolder: data, species: classes.map(({ dex }) => dex), warn: console.error }),
  });
  const { n, share } = settings.agreement, operators = Object.fromEntries(report.operators);
  console.error(
    `${folder}: model.tflite ${(bytes / 1e6).toFixed(2)} MB, ${
      Object.values(operators).reduce((a, b) => a + b)
    } operators, all of ` +
      `the Edge TPU's; names what float32 names in ${(100 * share).toFixed(1)} % of ${n} validation pictures\n` +
      `${folder}: model_edgetpu.tflite is not there yet: edgetpu_compiler writes it, on x86-64 Linux, see README.md`,
  );
  return { folder, bytes, ...settings, operators, parameterBytes: report.parameterBytes, files };
}

function numberFlag(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0) || value === Infinity) {
    throw new InputError(`--${name}: expected a number from 0, found "${text}"`);
  }
  return value;
}
