/** The training of a CLIP from its settings to a folder with both towers, through the same loop as every other training. */

import { join } from "node:path";
import { datasetPaths, distinctClasses, type PictureCache, splitHash } from "../../data/mod.ts";
import {
  augmentationOf,
  chooseRun,
  type Dataset,
  type Feeding,
  feedTraining,
  monitorOf,
  openPictures,
  optimizerOf,
  planOf,
  scheduleOf,
  type ShownAs,
  trainingLoader,
} from "../../experiment/mod.ts";
import type { Share } from "../../evaluate/mod.ts";
import {
  currentCommit,
  exists,
  type ProgressListener,
  sha256File,
  WorkError,
  type YamlValue,
} from "../../runtime/mod.ts";
import { configHash, describeEnvironment, runId, type RunLog, startRun } from "../../track/mod.ts";
import {
  bestCheckpointPath,
  compileStep,
  fit,
  type FitCallbacks,
  type FitResult,
  readCheckpoint,
  type Step,
} from "../../train/mod.ts";
import type { ClipConfig } from "./config.ts";
import { partData, type PartedData } from "./held_out.ts";
import { type ClipFigures, ClipJudge, validationFigures, withWeights } from "./judge.ts";
import { clipGraph, clipLoss, LOG_SCALE, scaleOf } from "./network.ts";
import { type ClipCard, FILES, MODEL_FOLDER, writeClip } from "./package.ts";
import { compareTowers, TOWER_TOLERANCE } from "./compare_towers.ts";
import { TrainingTexts } from "./texts.ts";
import { type ClipShape, textGraph, visionGraph } from "./towers.ts";

/** Settings of `trainClip`. */
export interface TrainClipOptions {
  /** From `readClipConfig`. */
  readonly config: ClipConfig;
  /** From `openDataset`: all species, the held-out ones too. */
  readonly data: Dataset;
  /** The folder of run folders. */
  readonly runsFolder: string;
  /** For the run's name and its log. */
  readonly profile: string;
  /** Weights, order, captions and augmentation follow from it. */
  readonly seed: number;
  /** "auto", a checkpoint, a run's folder; default: a new run. */
  readonly resume?: string | undefined;
  readonly forceNewRun?: boolean;
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
}

/** What a training gave. */
export interface TrainClipResult {
  readonly run: string;
  readonly folder: string;
  readonly fit: FitResult;
  /** The folder in the Hub's layout and its card; undefined when training was interrupted. */
  readonly model?: { readonly folder: string; readonly card: ClipCard };
  /** The largest difference between the written towers' embeddings and the training graph's. */
  readonly difference?: number;
  /** Share of the time of all steps that went by waiting for a batch. */
  readonly waitShare: number;
}

/**
 * Trains a CLIP and writes its run: `config.yaml`, `log.jsonl`, `checkpoints/`, `best/`, and at the end the best weights in `model/`.
 * The same settings, data and seed give the same losses and weights on one machine, whatever kills and resumes lie between. Throws
 * InputError, TrainError or WorkError in one line.
 */
export async function trainClip(options: TrainClipOptions): Promise<TrainClipResult> {
  const { config, data, seed, threads = navigator.hardwareConcurrency, warn = () => {} } = options;
  const { trained, heldOut } = partData(data, config.heldOut);
  const texts = new TrainingTexts(trained, config, seed);
  const shape: ClipShape = { ...config.model, vocabulary: texts.tokenizer.vocabulary };
  const { averageDecay } = config.training;
  await using step = await compileStep({
    model: clipGraph(shape, texts.sizes, { seed, scale: config.loss.scale }),
    loss: clipLoss(texts.sizes, config.loss),
    optimizer: optimizerOf(config.optimizer),
    ...{ seed, threads },
    ...(averageDecay === undefined ? {} : { averageDecay }),
  });
  const name = `${config.name}-${options.profile}`;
  const chosen = await chooseRun({
    ...{ runsFolder: options.runsFolder, name, resume: options.resume, tensors: step.tensors, warn },
    ...{ forceNewRun: options.forceNewRun ?? false, finished: join(MODEL_FOLDER, FILES.card) },
  });
  const resolved = await resolvedSettings(options, { trained, heldOut });
  using log = await startRun({
    ...{ folder: options.runsFolder, name, config: resolved, id: chosen?.id ?? runId({ name }) },
    resumed: chosen?.resume !== undefined,
    environment: await describeEnvironment({ device: "cpu" }),
  });
  using training = await ClipTraining.open(options, { trained, heldOut, texts, shape, step, log, threads });
  const result = await training.fit({ resume: chosen?.resume, hash: configHash(resolved) });
  const told = { run: log.id, folder: log.folder, fit: result, waitShare: await training.closeFeeding() };
  if (result.reason === "interrupted") return told;
  return { ...told, ...await training.ship(result, configHash(resolved)) };
}

/** What is compiled and opened before. */
interface ClipParts extends PartedData {
  readonly texts: TrainingTexts;
  readonly shape: ClipShape;
  readonly step: Step;
  readonly log: RunLog;
  readonly threads: number;
}

/** What one training works with. */
class ClipTraining implements Disposable {
  readonly #options: TrainClipOptions;
  readonly #parts: ClipParts;
  readonly #cache: PictureCache;
  readonly #feeding: Feeding;
  readonly #stepsPerEpoch: number;
  readonly #judge: ClipJudge;

  private constructor(options: TrainClipOptions, parts: ClipParts, cache: PictureCache) {
    const { config, seed, workers = Math.max(1, Math.min(4, Math.floor(navigator.hardwareConcurrency / 2))) } = options;
    const { batch } = config.training, { trained, texts, shape, threads } = parts;
    const shown: ShownAs = {
      ...{ size: shape.size, batch, background: config.data.background, boxes: "frame", view: "content" },
    };
    const loader = trainingLoader(trained, cache, shown, {
      augmentation: augmentationOf(config.data.augmentation),
      sampler: distinctClasses({ batch, groups: trained.rows.train.map(({ group }) => group) }),
      ...{ seed, workers },
    });
    this.#options = options;
    this.#parts = parts;
    this.#cache = cache;
    this.#feeding = feedTraining(loader, texts);
    this.#stepsPerEpoch = loader.stepsPerEpoch;
    this.#judge = new ClipJudge(parts, { shape, tokenizer: texts.tokenizer, shown, cache, threads });
  }

  static async open(options: TrainClipOptions, parts: ClipParts): Promise<ClipTraining> {
    const { config: { model: { size } }, data, onProgress } = options;
    return new ClipTraining(options, parts, await openPictures(data, { size, view: "content", onProgress }));
  }

  async fit(
    { resume, hash }: { resume: NonNullable<Awaited<ReturnType<typeof chooseRun>>>["resume"]; hash: string },
  ): Promise<FitResult> {
    const { config: { training, schedule }, warn = () => {}, signal, onProgress, callbacks = [] } = this.#options;
    const { step, log, trained } = this.#parts, stepsPerEpoch = this.#stepsPerEpoch;
    const all = training.epochs * stepsPerEpoch, steps = Math.min(all, training.steps ?? all);
    return await fit({
      ...{ step, epochs: training.epochs, stepsPerEpoch, batches: this.#feeding.source },
      schedule: scheduleOf(schedule, { steps, stepsPerEpoch }),
      validation: {
        every: training.validateEvery,
        monitor: monitorOf(training),
        pictures: trained.rows.validation.length,
        ...(training.patience === undefined ? {} : { patience: training.patience }),
        run: async ({ signal }) => validationFigures(await this.#judged("validation", signal)),
      },
      ...planOf(training, { folder: log.folder }),
      ...{ resume, runId: log.id, configHash: hash, log, warn, callbacks },
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

  async ship(result: FitResult, hash: string): Promise<Required<Pick<TrainClipResult, "model" | "difference">>> {
    const { config, data, profile, seed, warn } = this.#options;
    const { step, log, shape, texts, trained, heldOut, threads } = this.#parts;
    const { epochs, steps } = await this.#loadBest(result);
    const weights = await this.#weights();
    const [vision, text] = [visionGraph(shape, "zeros"), textGraph(shape, "zeros")]
      .map((graph) => withWeights(graph, weights)) as [ReturnType<typeof visionGraph>, ReturnType<typeof textGraph>];
    const folder = join(log.folder, MODEL_FOLDER), count = ({ length }: readonly unknown[]) => length;
    const averaged = step.averaged;
    const difference = await compareTowers({ vision, text }, step, {
      ...{ sizes: texts.sizes, shape, tokenizer: texts.tokenizer, threads, weights: averaged ? "average" : "current" },
    });
    if (difference > TOWER_TOLERANCE) {
      warn?.(`model: expected the training graph's embeddings to ${TOWER_TOLERANCE}, found them to ${difference}`);
    }
    const card = await writeClip(folder, {
      ...{ vision, text, tokenizer: texts.tokenizer.json },
      card: {
        name: log.id,
        about:
          `Embeds pictures of Pokémon at ${shape.size} px and English texts in one space of ${shape.dimension} numbers.`,
        dimension: shape.dimension,
        logitScale: scaleOf(weights[LOG_SCALE]!),
        input: {
          ...{ size: shape.size, view: "content", background: config.data.background, mean: [0, 0, 0], std: [1, 1, 1] },
        },
        text: { context: shape.text.context, vocabulary: shape.vocabulary },
        species: { trained: trained.classes.map(({ dex }) => dex), heldOut: heldOut.classes.map(({ dex }) => dex) },
        trainedOn: {
          ...{ run: log.id, profile, seed, sources: data.sources.map(withoutFolders), split: data.splitMode },
          splitHash: splitHash(Object.values(data.rows).flat()),
          pictures: {
            train: count(trained.rows.train),
            validation: count(trained.rows.validation),
            test: count(trained.rows.test),
          },
          ...{ epochs, steps, averaged, configHash: hash, commit: await currentCommit() ?? null },
          date: new Date().toISOString().slice(0, 10),
        },
        recipe: config,
        metrics: {
          validation: this.#cardFigures(await this.#judged("validation")),
          test: this.#cardFigures(await this.#judged("test")),
        },
      },
    });
    return { model: { folder, card }, difference };
  }

  [Symbol.dispose](): void {
    this.#cache[Symbol.dispose]();
  }

  #weights() {
    const { step } = this.#parts;
    return step.parameters({ weights: step.averaged ? "average" : "current" });
  }

  async #judged(split: "validation" | "test", signal?: AbortSignal): Promise<ClipFigures> {
    return await this.#judge.judge(split, await this.#weights(), { signal });
  }

  #cardFigures({ trained, heldOut }: ClipFigures): NonNullable<ClipCard["metrics"]["validation"]> {
    const part = ({ top1, top5 }: { top1: Share; top5: Share }, { classes }: Dataset) => ({
      ...{ n: top1.n, species: classes.length, top1: top1.share, top1_ci95: [...top1.ci95] as [number, number] },
      ...{ top5: top5.share, top5_ci95: [...top5.ci95] as [number, number] },
    });
    return {
      ...(trained ? { trained: part(trained, this.#parts.trained) } : {}),
      ...(heldOut ? { heldOut: part(heldOut, this.#parts.heldOut) } : {}),
    };
  }

  /** Loads the best weights, where there are any. */
  async #loadBest({ best, epochs, step: steps, spoilt }: FitResult): Promise<{ epochs: number; steps: number }> {
    const { step, log } = this.#parts, path = bestCheckpointPath(log.folder);
    if (!best || !(await exists(path))) {
      if (spoilt) {
        throw new WorkError(`${path}: expected the best weights, for the guard found the last ones spoilt, found none`);
      }
      return { epochs, steps };
    }
    await step.load((await readCheckpoint(path)).state);
    return { epochs: best.epoch + 1, steps: best.step };
  }
}

/** All that decides what a training does, for the run's log; nothing of where it lies. */
async function resolvedSettings(
  { config, data, profile, seed }: TrainClipOptions,
  { trained, heldOut }: PartedData,
): Promise<YamlValue> {
  const settings = {
    ...{ ...config, profile, seed },
    dataset: {
      ...{ sources: data.sources, split: data.splitMode, classes: data.classes.length },
      pictures: Object.fromEntries(Object.entries(trained.rows).map(([split, rows]) => [split, rows.length])),
      heldOut: heldOut.classes.map(({ dex }) => dex),
      manifest: await sha256File(datasetPaths(data.dataFolder).manifest),
    },
  };
  return JSON.parse(JSON.stringify(settings)); // without what is undefined
}

/** "folder:/home/someone/pictures" → "folder:pictures": a card is given away. */
function withoutFolders(source: string): string {
  return source.startsWith("folder:") ? `folder:${source.split(/[/\\]/).at(-1)}` : source;
}
