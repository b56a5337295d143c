/** `deno task export`: a model as a package for a target. */

import { join } from "node:path";
import { CALIBRATION_METHODS, exportQuantized } from "../lib/deploy/mod.ts";
import { copyPackage, openModel } from "../lib/experiment/mod.ts";
import { progress } from "../lib/notebook/mod.ts";
import { InputError, integerFlag, runCommand } from "../lib/runtime/mod.ts";
import { listRunFolders } from "../lib/track/mod.ts";
import { exportClip, findClip } from "../lib/vlm/mod.ts";

const WEIGHTS = ["float32", "float16", "int8", "mixed", "int8-static"] as const;

/** The folder of a CLIP that is meant by a path, a name under `models/` or (a part of) a run's id; undefined for other models. */
async function clipOf(model: string, runs: string): Promise<string | undefined> {
  const ids = (await listRunFolders(runs)).filter((id) => id.includes(model));
  for (const place of [model, join("models", model), ...ids.toReversed().map((id) => join(runs, id))]) {
    const found = await findClip(place);
    if (found) return found;
  }
  return undefined;
}

await runCommand({
  usage: "deno task export",
  about:
    "Writes a trained model as a package of its own: model.onnx, classes.txt, model.json; of a CLIP both towers, tokenizer and " +
    "card in the layout of the Hub. With weights of fewer bytes the " +
    'card\'s figures are left out until "deno task evaluate --card" has measured them.',
  flags: {
    model: {
      type: "string",
      value: "NAME|FILE",
      help: "a name under models/, a package or a run (default: as predict)",
    },
    target: { type: "string", value: "NAME", default: "onnx", help: "onnx" },
    out: { type: "string", value: "DIR", help: "the package's folder (default: models/NAME-TARGET)" },
    weights: { type: "string", value: "NAME", help: `${WEIGHTS.join(", ")} (default: as they are)` },
    data: { type: "string", value: "DIR", default: "data", help: "int8-static: the data set to calibrate on" },
    calibration: { type: "string", value: "NAME", default: "percentile", help: CALIBRATION_METHODS.join(", ") },
    calibrate: { type: "string", value: "N", default: "128", help: "pictures of the train split for the ranges" },
    pictures: { type: "string", value: "TEXT", help: "for the card: whose pictures the model learned from" },
    licence: { type: "string", value: "TEXT", help: "for the card: what one may do with the model" },
    runs: { type: "string", value: "DIR", default: "runs", help: "the folder of runs" },
  },
  async run({ model, target, out, weights, data, calibration, calibrate, pictures, licence, runs }) {
    if (target !== "onnx") throw new InputError(`--target: expected onnx, found "${target}"`);
    const kept = WEIGHTS.find((name) => name === weights);
    if (weights !== undefined && !kept) {
      throw new InputError(`--weights: expected ${WEIGHTS.join(", ")}, found "${weights}"`);
    }
    if ((pictures === undefined) !== (licence === undefined)) {
      throw new InputError("deno task export: expected --pictures and --licence together, found one of them");
    }
    const clip = model === undefined ? undefined : await clipOf(model, runs);
    if (model !== undefined && clip !== undefined) {
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
    const method = CALIBRATION_METHODS.find((name) => name === calibration);
    if (!method) {
      throw new InputError(`--calibration: expected ${CALIBRATION_METHODS.join(", ")}, found "${calibration}"`);
    }
    const count = integerFlag("calibrate", calibrate, 1);
    await using opened = await openModel(model, { runs });
    const folder = out ?? join("models", `${opened.card.name}-${kept === "int8-static" ? kept : "onnx"}`);
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
