/** One training from its settings to a checked model: network, data, fit, the best weights as ONNX, figures. */

import { basename, join } from "node:path";
import { datasetPaths, type HardExamples, splitHash } from "../data/mod.ts";
import {
  currentCommit,
  describeError,
  type Device,
  exists,
  type ProgressListener,
  sha256File,
  WorkError,
  type YamlValue,
} from "../runtime/mod.ts";
import { configHash, describeEnvironment, runId, type RunLog, startRun } from "../track/mod.ts";
import {
  backup,
  bestCheckpointPath,
  copyRun,
  fit,
  type FitCallbacks,
  type FitResult,
  groupBatches,
  readCheckpoint,
  type Step,
} from "../train/mod.ts";
import { type ModelCard, type ModelPackage, writeCard, writePackage } from "./card.ts";
import { isClassifier, type TrainingConfig } from "./config.ts";
import type { Dataset } from "./dataset.ts";
import { judgeModel } from "./evaluate_model.ts";
import { type Feeding, openTrainingPictures, type TrainingPictures, type ValidationPictures } from "./feeding.ts";
import { cardFigures, compareWays, tempered, validationFigures, type WayFigures } from "./figures.ts";
import { OUTPUTS, wayOutput } from "./graphs.ts";
import { loadPretrained, type Pretrained } from "./network.ts";
import { openModel } from "./open_model.ts";
import { splitPictures } from "./picture_sets.ts";
import { monitorOf, planOf, scheduleOf } from "./recipe.ts";
import { chooseRun } from "./resume_run.ts";
import { hardnessIn } from "./sampling.ts";
import { shipModel, TOLERANCE } from "./ship.ts";
import { buildTask, type TaskBuilder, type TaskNetwork } from "./task/task.ts";
import { compileTrainingStep } from "./training_step.ts";
import { Validator } from "./validation.ts";
import { datasetOf } from "./dataset_of.ts";

/** Settings of `trainExperiment`. */
export interface TrainOptions {
  /** From `readTrainingConfig`. */
  readonly config: TrainingConfig;
  /** From `openDataset`. */
  readonly data: Dataset;
  /** The folder of run folders. */
  readonly runsFolder: string;
  /** For the run's name and its log. */
  readonly profile: string;
  /** Weights, order of pictures and augmentation follow from it. */
  readonly seed: number;
  /** "auto", a checkpoint, a run's folder; default: a new run. */
  readonly resume?: string | undefined;
  readonly forceNewRun?: boolean;
  /** Default: "cpu". */
  readonly device?: Device;
  /** Default: "onnx". "tfjs" is the second engine, which has neither devices nor threads to choose. */
  readonly engine?: "onnx" | "tfjs";
  /** CPU threads of the step; default: one a core. */
  readonly threads?: number;
  /** Workers that draw batches; default: one for two cores, at most 4. */
  readonly workers?: number;
  /** When it is aborted, the step in progress is finished, a checkpoint written, and training stops without a model. */
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressListener;
  readonly callbacks?: readonly FitCallbacks[];
  /** Told, a line each, of what is odd but goes on. */
  readonly warn?: (message: string) => void;
  /** Another network and task than the settings' own (`buildTask`): one that learns from a teacher. */
  readonly task?: TaskBuilder;
  /** What else decides the training, for the run's log and its hash: that teacher. */
  readonly recorded?: Readonly<Record<string, YamlValue>>;
}

/** What a training gave. */
export interface TrainResult {
  readonly run: string;
  readonly folder: string;
  readonly fit: FitResult;
  /** Undefined when training was interrupted. */
  readonly model?: ModelPackage;
  /** The ways from cells to a distribution on validation, the chosen one first. */
  readonly ways: readonly WayFigures[];
  /** The largest difference between the model's outputs and the training graph's. */
  readonly difference?: number;
  readonly pretrained: Pretrained;
  /** Share of the time of all steps that went by waiting for a batch. */
  readonly waitShare: number;
}

/**
 * Trains a network and writes its run: `config.yaml`, `log.jsonl`, `checkpoints/`, `best/`, and at the end the best weights as
 * `model.onnx` with `classes.txt` and `model.json`. The same settings, data and seed give the same losses and weights on one
 * machine, whatever kills and resumes lie between. Throws InputError, TrainError or WorkError in one line; a WorkError where the
 * guard ended training and there are no weights to ship.
 */
export async function trainExperiment(given: TrainOptions): Promise<TrainResult> {
  const options = { ...given, data: datasetOf(given.data, given.config.data) };
  const { config, data, seed, threads = navigator.hardwareConcurrency, warn = () => {}, signal } = options;
  const task = (options.task ?? buildTask)(config, { classes: data.classes.length, seed });
  const pretrained = await loadPretrained(task, config.model, { say: warn, signal });
  const { device = "cpu", engine = "onnx" } = options;
  const { step: compiled, accumulate } = await compileTrainingStep(task, { config, seed, device, engine, threads });
  await using step = compiled;
  const name = `${config.name}-${options.profile}`;
  const { backup: { to }, resumeFrom } = config.training;
  const chosen = await chooseRun({
    ...{ runsFolder: options.runsFolder, name, resume: options.resume, tensors: step.tensors, warn },
    forceNewRun: options.forceNewRun ?? false,
    extraFolders: [...resumeFrom, ...(to === undefined ? [] : [to])],
  });
  const resolved = await resolvedSettings(options, engine);
  using log = await startRun({
    ...{ folder: options.runsFolder, name, config: resolved, id: chosen?.id ?? runId({ name }) },
    resumed: chosen?.resume !== undefined,
    environment: await describeEnvironment({ device }),
  });
  using training = await Training.open(options, { task, step, log, accumulate, threads });
  const result = await training.fit({ resume: chosen?.resume, hash: configHash(resolved) });
  const told = { run: log.id, folder: log.folder, fit: result, pretrained, waitShare: await training.closeFeeding() };
  if (result.reason === "interrupted") return { ...told, ways: [] };
  const shipped = await training.ship(result, { hash: configHash(resolved), pretrained });
  if (to !== undefined) await copyRun(log.folder, join(to, log.id)).catch((error) => warn(`backup: ${error.message}`));
  return { ...told, ...shipped };
}

/** What one training works with. */
class Training implements Disposable {
  readonly #options: TrainOptions;
  readonly #parts: TrainingParts;
  readonly #feeding: Feeding;
  readonly #stepsPerEpoch: number;
  readonly #pictures: ValidationPictures;
  readonly #validator: Validator;
  readonly #cache: Disposable;
  readonly #hard: HardExamples | undefined;

  private constructor(options: TrainOptions, parts: TrainingParts, opened: TrainingPictures) {
    this.#options = options;
    this.#parts = parts;
    this.#cache = opened.cache;
    this.#feeding = opened.feeding;
    this.#stepsPerEpoch = Math.max(1, Math.floor(opened.stepsPerEpoch / parts.accumulate));
    this.#pictures = opened.pictures;
    this.#hard = opened.hard;
    this.#validator = new Validator(parts.task, parts.step, opened.pictures);
  }

  static async open(options: TrainOptions, parts: TrainingParts): Promise<Training> {
    return new Training(options, parts, await openTrainingPictures(parts.task, options));
  }

  async fit(
    { resume, hash }: { resume: NonNullable<Awaited<ReturnType<typeof chooseRun>>>["resume"]; hash: string },
  ): Promise<FitResult> {
    const { config, warn = () => {}, signal, onProgress, callbacks = [] } = this.#options;
    const { training, schedule } = config, { step, log, accumulate } = this.#parts;
    const stepsPerEpoch = this.#stepsPerEpoch, hard = this.#hard;
    const all = training.epochs * stepsPerEpoch, steps = Math.min(all, training.steps ?? all);
    const { to, everyMinutes: copyMinutes } = training.backup;
    const copies = to === undefined
      ? []
      : [backup({ from: log.folder, to: join(to, log.id), everyMinutes: copyMinutes, warn })];
    const { classes } = this.#parts.task;
    return await fit({
      step,
      epochs: training.epochs,
      stepsPerEpoch,
      batches: accumulate === 1 ? this.#feeding.source : groupBatches(this.#feeding.source, accumulate),
      schedule: scheduleOf(schedule, { steps, stepsPerEpoch }),
      validation: {
        every: training.validateEvery,
        monitor: monitorOf(training),
        pictures: this.#pictures.total,
        ...(training.patience === undefined ? {} : { patience: training.patience }),
        run: async ({ epoch, signal }) => {
          const judgement = await this.#judge("one", signal), { way } = this.#validator;
          hard?.record(epoch, hardnessIn(judgement, way, { classes }));
          return validationFigures(judgement, way, { classes });
        },
      },
      ...(hard ? { custom: { save: () => hard.save(), load: (saved) => hard.load(saved) } } : {}),
      ...planOf(training, { folder: log.folder }),
      ...{ resume, runId: log.id, configHash: hash, log, warn },
      callbacks: [...copies, ...callbacks],
      ...(signal ? { signal } : {}),
      ...(onProgress ? { onProgress } : {}),
    });
  }

  /** Ends the workers that draw training batches; returns the share of time that was spent waiting for them. */
  async closeFeeding(): Promise<number> {
    const share = this.#feeding.waitShare();
    await this.#feeding.close();
    return share;
  }

  async ship(
    result: FitResult,
    { hash, pretrained }: { hash: string; pretrained: Pretrained },
  ): Promise<Pick<TrainResult, "ways" | "difference"> & { model: ModelPackage }> {
    const { config, data, profile, seed } = this.#options, { log, task, step, threads } = this.#parts;
    const { epochs, steps } = await this.#loadBest(result);
    const judgement = await this.#judge("all");
    const ways = compareWays(judgement), [{ way, temperature }] = ways as [WayFigures];
    const { weights } = this.#validator;
    const { value: first } = await this.#pictures.batches().next();
    const { model, difference } = await shipModel(task, step, { weights, way, threads, images: first!.images });
    if (difference > TOLERANCE) {
      this.#options.warn?.(`model: expected the training graph's outputs to ${TOLERANCE}, found them to ${difference}`);
    }
    const classes = data.classes.length;
    const probabilities = tempered(judgement.distributions[wayOutput(way)]!, temperature);
    const count = ({ length }: readonly unknown[]) => length;
    const card: Omit<ModelCard, "format" | "file" | "classes"> = {
      weights: "float32",
      name: log.id,
      about: `A ${isClassifier(config.model.family) ? "classifier" : "detector"} of ` +
        `${classes.toLocaleString("en-US")} species at ${task.size} px (${task.describe(way).decode.family}).`,
      input: {
        ...{
          name: "images",
          layout: "NCHW",
          size: task.size,
          channels: "RGB",
          fit: "letterbox",
          view: config.data.view,
        },
        ...{ mean: [0, 0, 0], std: [1, 1, 1] },
        background: config.data.background === "fixed" ? PLAIN : config.data.background,
      },
      ...task.describe(way),
      temperature,
      trainedOn: {
        ...{ run: log.id, profile, seed, sources: data.sources.map(withoutFolders), split: splitText(data, config) },
        splitHash: splitHash(Object.values(data.rows).flat()),
        ...{ background: config.data.background, boxes: config.data.boxes },
        pictures: {
          train: count(data.rows.train),
          validation: count(data.rows.validation),
          test: count(data.rows.test),
        },
        ...{ pretrained: firstWeightsName(pretrained.from), epochs, steps, weights, configHash: hash },
        commit: await currentCommit(),
        date: new Date().toISOString().slice(0, 10),
      },
      metrics: { validation: cardFigures(judgement, probabilities, { classes }) },
    };
    const made = await writePackage(log.folder, { model, classes: data.classes, card });
    return { ways, difference, model: await this.#measureTest(made) };
  }

  [Symbol.dispose](): void {
    this.#pictures[Symbol.dispose]();
    this.#cache[Symbol.dispose]();
  }

  #judge(ways: "one" | "all", signal?: AbortSignal) {
    const { device = "cpu", onProgress } = this.#options;
    return this.#validator.judge(ways, { device, threads: this.#parts.threads, onProgress, signal });
  }

  /** Loads the best weights; of a training that a budget ended within an epoch the last ones, where they are better. */
  async #loadBest(
    { best, reason, epochs, step: steps, spoilt }: FitResult,
  ): Promise<{ epochs: number; steps: number }> {
    const { log, task: { classes }, step } = this.#parts;
    const path = bestCheckpointPath(log.folder);
    const refusal = (found: string) =>
      new WorkError(`${path}: expected the best weights, for the guard found the last ones spoilt, found ${found}`);
    if (!best || !(await exists(path))) {
      if (spoilt) throw refusal("none");
      return { epochs, steps };
    }
    if ((reason === "step budget" || reason === "time budget") && best.step < steps) {
      const last = validationFigures(await this.#judge("one"), this.#validator.way, { classes })[best.metric]!;
      const { mode } = monitorOf(this.#options.config.training);
      if (mode === "max" ? last >= best.value : last <= best.value) return { epochs, steps };
    }
    const { state } = await readCheckpoint(path).catch((error) => {
      throw spoilt ? refusal(describeError(error)) : error;
    });
    await step.load(state);
    return { epochs: best.epoch + 1, steps: best.step };
  }

  /** Looks at the test split, now that everything is chosen, and writes its figures into the card. */
  async #measureTest(made: ModelPackage): Promise<ModelPackage> {
    const { data, device, onProgress } = this.#options;
    if (data.rows.test.length === 0) return made;
    await using opened = await openModel(made.folder, { device, threads: this.#parts.threads });
    const judgement = await judgeModel(opened, splitPictures(data, "test"), { ...(onProgress ? { onProgress } : {}) });
    const probabilities = tempered(judgement.distributions[OUTPUTS.probabilities]!, made.card.temperature);
    const test = cardFigures(judgement, probabilities, { classes: made.classes.length });
    const card = { ...made.card, metrics: { ...made.card.metrics, test } };
    await writeCard(made.folder, card);
    return { ...made, card };
  }
}

/** What is compiled and opened before. */
interface TrainingParts {
  readonly task: TaskNetwork;
  readonly step: Step;
  readonly log: RunLog;
  readonly accumulate: number;
  readonly threads: number;
}

/** Behind transparent parts of a single file, for models whose data set has scenes there: the grey of YOLO's letterbox. */
const PLAIN: [number, number, number] = [114, 114, 114];

/** All that decides what a training does, for the run's log; nothing of where it lies. */
async function resolvedSettings(
  { config, data, profile, seed, recorded = {} }: TrainOptions,
  engine: "onnx" | "tfjs",
): Promise<YamlValue> {
  const { backup: { everyMinutes }, resumeFrom: _, ...training } = config.training;
  const settings = {
    ...config,
    training: { ...training, backup: { everyMinutes } },
    profile,
    seed,
    ...(engine === "onnx" ? {} : { engine }),
    ...recorded,
    dataset: {
      sources: data.sources,
      split: data.splitMode,
      classes: data.classes.length,
      pictures: Object.fromEntries(Object.entries(data.rows).map(([split, rows]) => [split, rows.length])),
      manifest: await sha256File(datasetPaths(data.dataFolder).manifest),
    },
  };
  return JSON.parse(JSON.stringify(settings)); // without what is undefined
}

/** How the pictures were split, for a reader. */
function splitText({ splitMode }: Dataset, { data: { without, share } }: TrainingConfig): string {
  const parts = [
    without === undefined ? "" : `without the style ${without}`,
    share < 1 ? `${100 * share} % of train` : "",
  ];
  return [splitMode, ...parts.filter((part) => part !== "")].join(", ");
}

/** The run of a checkpoint, or a file's name. */
function firstWeightsName(path: string): string {
  return /([^/\\]+)[/\\]best[/\\]checkpoint\.safetensors$/.exec(path)?.[1] ?? basename(path);
}

/** "folder:/home/someone/pictures" → "folder:pictures": a card is given away. */
function withoutFolders(source: string): string {
  return source.startsWith("folder:") ? `folder:${basename(source)}` : source;
}
