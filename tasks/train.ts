/** `deno task train`: trains a detector, a classifier or a CLIP by a configuration and writes its run and its model. */

import { join } from "node:path";
import {
  type CardFigures,
  copyPackage,
  defaultProfile,
  findRate,
  type FindRateOptions,
  parseSeed,
  readProfile,
  readTrainingConfig,
  trainExperiment,
  type TrainingConfig,
  type TrainOptions,
  type TrainResult,
} from "../lib/experiment/mod.ts";
import { type DistilledConfig, readDistilledConfig, trainDistilled } from "../lib/hybrid/mod.ts";
import { plainTable, progress } from "../lib/notebook/mod.ts";
import {
  type Device,
  DEVICES,
  exists,
  InputError,
  integerFlag,
  runCommand,
  watchInterrupt,
} from "../lib/runtime/mod.ts";
import { listRunFolders } from "../lib/track/mod.ts";
import { bestCheckpointPath, type LearningRateCurve } from "../lib/train/mod.ts";
import {
  distillExperiment,
  type DistillOptions,
  openTeacher,
  type PrototypeFigures,
  readStudentConfig,
} from "../lib/vlm/mod.ts";
import { trainClipByFlags } from "./train/clip.ts";
import { trainFusionByFlags } from "./train/fusion.ts";
import { dataOf } from "./train/data_of.ts";
import { kindOf } from "./train/kind_of.ts";

/** Flags that only some kinds of settings have. */
const FLAGS_OF_KINDS = {
  teacher: ["student", "distilled"],
  model: ["distilled", "fusion"],
  encoder: ["distilled", "fusion"],
} as const;

/** The best checkpoint of a run, where the flag names one by its folder or (a part of) its id; else what it says. */
async function firstWeights(given: string, runs: string): Promise<string> {
  const folders = [
    given,
    ...(await listRunFolders(runs)).filter((id) => id.includes(given)).map((id) => join(runs, id)),
  ];
  for (const folder of folders.toReversed()) {
    const path = bestCheckpointPath(folder);
    if (await exists(path)) return path;
  }
  return given;
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}

function figuresText(split: string, figures: CardFigures): string {
  const { n, top1, "top1_ci95": between, top5, map50, "map50_95": map, ece } = figures;
  const boxes = map50 === undefined ? "" : `, mAP50 ${percent(map50)} %, mAP50-95 ${percent(map ?? 0)} %`;
  return `${split}: top-1 ${percent(top1)} % [${between.map(percent).join(", ")}], top-5 ${percent(top5)} %${boxes}, ` +
    `calibration error ${percent(ece)} % (${n} pictures)`;
}

/** The curve of a range test at up to 24 of its rates, and what follows from it. */
function curveText({ rates, smoothed, diverged, tenth, steepest }: LearningRateCurve): string {
  const every = Math.max(1, Math.ceil(rates.length / 24)),
    short = (value: number) => String(Number(value.toPrecision(3)));
  const rows = rates.flatMap((rate, i) =>
    i % every === 0 || i === rates.length - 1
      ? [{ "learning rate": short(rate), "mean loss": smoothed[i]!.toFixed(4) }]
      : []
  );
  return [
    plainTable(rows),
    "",
    diverged === undefined
      ? "the loss does not diverge up to the highest rate"
      : `the loss diverges at ${short(diverged)}: a tenth of it, ${short(tenth!)}, is a usual choice`,
    steepest === undefined ? "the loss falls at no rate" : `the loss falls fastest at ${short(steepest)}`,
  ].join("\n");
}

/** What the collapse guard found and did. */
function guardText({ skipped, incidents, rateFactor }: TrainResult["fit"]): string {
  const kinds = [...Map.groupBy(incidents, ({ what, response }) => `${what}: ${response}`)]
    .map(([kind, { length }]) => length === 1 ? kind : `${kind}, ${length} times`);
  return `the guard: ${skipped} steps skipped, ${incidents.length} incidents${
    kinds.length > 0 ? ` (${kinds.join("; ")})` : ""
  }, learning rate times ${rateFactor}; see log.jsonl`;
}

function resultText({ folder, fit, model, ways, waitShare }: TrainResult): string {
  const lines = [
    `${folder}: ${fit.reason} after ${fit.epochs} epochs, ${fit.step} steps, ${Math.round(fit.seconds)} s; ` +
    `${percent(waitShare)} % of the steps' time waiting for pictures`,
  ];
  if (fit.nonFinite > 0) lines.push(`${fit.nonFinite} steps were not finite and changed nothing; see log.jsonl`);
  if (fit.skipped > 0 || fit.incidents.length > 0 || fit.rateFactor !== 1) lines.push(guardText(fit));
  if (!model) lines.push(`no model yet; "--resume auto" goes on from ${fit.checkpoint ?? "the last checkpoint"}`);
  else {
    const { metrics, decode } = model.card;
    lines.push(
      `from cells to species by "${decode.how}"${ways.length > 1 ? ", the best of all ways on validation" : ""}`,
    );
    for (const split of ["validation", "test"] as const) {
      if (metrics[split]) lines.push(figuresText(split, metrics[split]));
    }
  }
  return lines.join("\n");
}

/** Trains a student of the teacher that is named, and tells where it lies. */
async function distill(options: Omit<DistillOptions, "teacher">, name: string): Promise<TrainResult> {
  await using teacher = await openTeacher(name, { runs: options.runsFolder });
  const { student, ...result } = await distillExperiment({ ...options, teacher });
  if (student) {
    const { card: { model: { bytes }, metrics: { int8, teacher: taught } }, folder } = student;
    const figures = (who: string, { n, top1, "top1_ci95": between, top5 }: PrototypeFigures) =>
      `${who}: test top-1 ${percent(top1)} % [${between.map(percent).join(", ")}], top-5 ${
        percent(top5)
      } % (${n} pictures)`;
    console.error(`${folder}: the student, ${(bytes / 1e6).toFixed(2)} MB in int8`);
    if (int8) console.error(figures("student", int8));
    if (taught) console.error(figures("its teacher", taught));
  }
  return result;
}

/** Trains a student of several models' probabilities, and tells how good these are. */
async function distilledBy(
  options: Omit<TrainOptions, "config"> & { readonly config: DistilledConfig },
  { teacher, model, encoder }: Readonly<Record<"teacher" | "model" | "encoder", string | undefined>>,
): Promise<TrainResult> {
  const teachers = teacher?.split(",").map((name) => name.trim()).filter((name) => name !== "");
  const result = await trainDistilled({ ...options, teachers, model, encoder }).catch((error) => {
    if (interrupt.exitStatus === undefined || error !== interrupt.signal.reason) throw error;
    console.error("stopped before training; what the teachers said of whole splits is kept");
    Deno.exit(interrupt.exitStatus);
  });
  console.error(`teacher ${result.teacher.name}: validation top-1 ${percent(result.teacher.validationTop1)} %`);
  return result;
}

using interrupt = watchInterrupt(() =>
  console.error("\nfinishing the step, then a checkpoint; Ctrl-C again ends at once")
);

await runCommand({
  usage: "deno task train",
  about:
    "Trains a network: builds the profile's data set where it is missing, trains, and writes RUNS/ID with the log, " +
    "checkpoints and the model. Ctrl-C writes a checkpoint and stops (status 130; after SIGTERM 143); --resume auto goes on, " +
    "to the same bits as without the stop.",
  flags: {
    config: { type: "string", value: "FILE", help: "the settings, e.g. configs/yolov3/baseline.yaml" },
    profile: { type: "string", value: "NAME", default: defaultProfile, help: "smoke, quick, national or blog" },
    resume: {
      type: "string",
      value: "auto|PATH",
      help: "go on with the newest unfinished run, or from a checkpoint or run",
    },
    "find-rate": {
      type: "boolean",
      help: "train nothing: try rising learning rates and print the losses and what they suggest",
    },
    "force-new-run": { type: "boolean", help: "begin a new run, whatever there is to resume" },
    device: { type: "string", value: "NAME", default: "cpu", help: DEVICES.join(", ") },
    engine: { type: "string", value: "NAME", default: "onnx", help: "onnx, or tfjs: slow, to compare" },
    source: { type: "string", value: "NAME", help: "of a data set to be built: sprites, folder:PATH, hub:OWNER/NAME" },
    data: { type: "string", value: "DIR", help: "the data folder (default: data/PROFILE)" },
    "split-mode": {
      type: "string",
      value: "NAME",
      help: "split anew: grouped, near-duplicates together; or naive, which shows what leakage is worth",
    },
    runs: { type: "string", value: "DIR", default: "runs", help: "the folder of runs" },
    name: { type: "string", value: "DIR", help: "also write the model as a package there, e.g. models/kanto" },
    epochs: { type: "string", value: "N", help: "in place of the settings'" },
    pretrained: {
      type: "string",
      value: "RUN|FILE",
      help: "first weights, in place of the settings': a run or a file",
    },
    teacher: {
      type: "string",
      value: "MODEL,…",
      help:
        "whom a student learns from: kind student, a classifier's or an encoder's name, folder or run; kind distilled, " +
        "classifiers and folders of hybrids, or a file of answers (default: as the settings say)",
    },
    unfrozen: {
      type: "boolean",
      help: "kind fusion: then also train network, encoder and fusion together, on pictures",
    },
    model: { type: "string", value: "NAME", help: "the picture network under a hybrid (default: pokedex-1025)" },
    encoder: { type: "string", value: "NAME", help: "the encoder under a hybrid (default: pokedex-clip)" },
    seed: { type: "string", value: "N", help: "of weights, order and augmentation (default: the profile's)" },
    threads: { type: "string", value: "N", help: "CPU threads of a step (default: one a core)" },
    workers: { type: "string", value: "N", help: "workers that draw pictures (default: one for two cores, at most 4)" },
  },
  async run({ config: path, profile: profileName, device, engine, ...flags }) {
    if (path === undefined) {
      throw new InputError("deno task train: expected --config FILE, e.g. configs/yolov3/baseline.yaml; see --help");
    }
    if (!(DEVICES as readonly string[]).includes(device)) {
      throw new InputError(`--device: expected ${DEVICES.join(", ")}, found "${device}"`);
    }
    if (engine !== "onnx" && engine !== "tfjs") {
      throw new InputError(`--engine: expected onnx or tfjs, found "${engine}"`);
    }
    const other = flags["find-rate"] &&
      (["resume", "force-new-run", "name", "epochs"] as const).find((flag) => flags[flag]);
    if (other) throw new InputError(`--find-rate: expected no --${other}, for it trains nothing, found both`);
    const profile = await readProfile(profileName);
    const kind = await kindOf(path);
    for (const [flag, kinds] of Object.entries(FLAGS_OF_KINDS) as [keyof typeof FLAGS_OF_KINDS, readonly string[]][]) {
      if (flags[flag] === undefined || kinds.includes(kind ?? "")) continue;
      throw new InputError(
        `--${flag}: expected none, for ${path} is not of kind: ${kinds.join(" or ")}, found "${flags[flag]}"`,
      );
    }
    if (kind === "clip") {
      const done = await trainClipByFlags(path, profile, { ...flags, device, engine }, interrupt);
      if (interrupt.exitStatus !== undefined && !done.model) {
        if (flags.json) console.log(JSON.stringify(done, null, 2));
        Deno.exit(interrupt.exitStatus);
      }
      return done;
    }
    if (kind === "fusion") {
      const { document, finished } = await trainFusionByFlags(path, profile, { ...flags, device, engine }, interrupt);
      if (interrupt.exitStatus !== undefined && !finished) {
        if (flags.json) console.log(JSON.stringify(document, null, 2));
        Deno.exit(interrupt.exitStatus);
      }
      return document;
    }
    if (flags.unfrozen) throw new InputError(`--unfrozen: expected settings of kind: fusion, found ${path}`);
    const student = kind === "student" ? await readStudentConfig(path, { profile: profile.name }) : undefined;
    if (student && (flags.teacher === undefined || flags["find-rate"])) {
      throw new InputError(`--teacher: expected a teacher and no --find-rate for the student of ${path}`);
    }
    const distilled = kind === "distilled" ? await readDistilledConfig(path, { profile: profile.name }) : undefined;
    if (distilled && flags["find-rate"]) {
      throw new InputError(`--find-rate: expected settings without a teacher, found those of ${path}`);
    }
    const settings: TrainingConfig = student ?? distilled ??
      await readTrainingConfig(path, { profile: profile.name });
    const lowest = Math.floor(settings.schedule.warmUpEpochs) + 1; // as the settings' schema has it
    const config: TrainingConfig = {
      ...settings,
      ...(flags.pretrained === undefined
        ? {}
        : { model: { ...settings.model, pretrained: await firstWeights(flags.pretrained, flags.runs) } }),
      ...(flags.epochs === undefined
        ? {}
        : { training: { ...settings.training, epochs: integerFlag("epochs", flags.epochs, lowest) } }),
    };
    const splitMode = flags["split-mode"];
    if (splitMode !== undefined && splitMode !== "grouped" && splitMode !== "naive") {
      throw new InputError(`--split-mode: expected grouped or naive, found "${splitMode}"`);
    }
    const data = await dataOf(profile, { folder: flags.data, source: flags.source, splitMode });
    const shared: FindRateOptions = {
      ...{ config, data, device: device as Device, engine, signal: interrupt.signal },
      seed: flags.seed === undefined ? profile.seed : parseSeed(flags.seed, "--seed"),
      ...(flags.threads === undefined ? {} : { threads: integerFlag("threads", flags.threads, 1, 1024) }),
      ...(flags.workers === undefined ? {} : { workers: integerFlag("workers", flags.workers, 0, 64) }),
      onProgress: progress(flags["find-rate"] ? "find rate" : "train"),
      warn: console.error,
    };
    if (flags["find-rate"]) {
      const curve = await findRate(shared);
      console.error(curveText(curve));
      if (interrupt.exitStatus !== undefined) {
        if (flags.json) console.log(JSON.stringify(curve, null, 2));
        Deno.exit(interrupt.exitStatus);
      }
      return curve;
    }
    const own: TrainOptions = {
      ...{ ...shared, runsFolder: flags.runs, profile: profile.name, resume: flags.resume },
      forceNewRun: flags["force-new-run"],
    };
    const result = student
      ? await distill({ ...own, config: { ...student, ...config } }, flags.teacher!)
      : distilled
      ? await distilledBy({ ...own, config: { ...distilled, ...config } }, flags)
      : await trainExperiment(own);
    console.error(resultText(result));
    if (result.model && flags.name !== undefined) {
      const { folder } = await copyPackage(result.folder, flags.name);
      console.error(`${folder}: the model as a package`);
    }
    const { run, folder, fit, model, ways, difference, pretrained, waitShare } = result;
    const document = { run, folder, ...fit, pretrained, waitShare, ways, difference, metrics: model?.card.metrics };
    if (interrupt.exitStatus !== undefined && !model) {
      if (flags.json) console.log(JSON.stringify(document, null, 2));
      Deno.exit(interrupt.exitStatus);
    }
    return document;
  },
});
