/** Batches for training and validation, as the fit loop and the judge take them. */

import type { Batch as PictureBatch, BatchLoader, HardExamples, PictureCache } from "../data/mod.ts";
import { type ProgressListener, tensor } from "../runtime/mod.ts";
import type { Batch, BatchSource } from "../train/mod.ts";
import { augmentationOf, type TrainingConfig } from "./config.ts";
import { type Dataset, evaluationLoader, openPictures, type ShownAs, trainingLoader } from "./dataset.ts";
import type { JudgedBatch } from "./judge.ts";
import { MOST_AHEAD, trainingSampler } from "./sampling.ts";
import type { TaskNetwork } from "./task/task.ts";

/** What the feeding of training tells of itself. */
export interface Feeding {
  readonly source: BatchSource;
  /** The share of the time of all steps that went by waiting for a batch. */
  readonly waitShare: () => number;
  close(): Promise<void>;
}

/** Endless batches of a loader with their targets: those of the next epoch are drawn while this one is validated. */
export function feedTraining(
  loader: BatchLoader,
  task: { targets(batch: PictureBatch): Batch | Promise<Batch> },
): Feeding {
  let stream: AsyncGenerator<PictureBatch> | undefined;
  let position = -1, waiting = 0, working = 0, isFirst = true;
  const source: BatchSource = async function* (epoch, fromStep) {
    for (let step = fromStep; step < loader.stepsPerEpoch; step++) {
      const wanted = epoch * loader.stepsPerEpoch + step, asked = performance.now();
      if (!stream || position !== wanted) {
        await stream?.return(undefined);
        stream = loader.stream({ from: wanted });
        position = wanted;
      }
      const { value } = await stream.next();
      position++;
      const given = performance.now();
      if (!isFirst) waiting += given - asked; // the first waits for the workers to start
      isFirst = false;
      const { images, shape } = value!;
      yield {
        batch: { images: tensor("float32", shape, images), ...await task.targets(value!) },
        images: shape[0],
      };
      working += performance.now() - given;
    }
  };
  return {
    source,
    waitShare: () => waiting > 0 ? waiting / (waiting + working) : 0,
    async close() {
      await stream?.return(undefined);
      loader[Symbol.dispose]();
    },
  };
}

/** The pictures of a training: decoded, drawn for training and for validation. */
export interface TrainingPictures {
  readonly cache: Disposable;
  readonly feeding: Feeding;
  /** Batches in an epoch. */
  readonly stepsPerEpoch: number;
  readonly pictures: ValidationPictures;
  /** To be told after each validation what was hard, where the settings ask for hard examples. */
  readonly hard?: HardExamples;
}

/** Opens a data set for a training as its settings say; decodes the pictures first where needed. */
export async function openTrainingPictures(
  task: TaskNetwork,
  { config, data, seed, onProgress, workers = Math.max(1, Math.min(4, Math.floor(navigator.hardwareConcurrency / 2))) }:
    {
      readonly config: TrainingConfig;
      readonly data: Dataset;
      readonly seed: number;
      readonly onProgress?: ProgressListener | undefined;
      /** That draw batches; default: one for two cores, at most 4. */
      readonly workers?: number | undefined;
    },
): Promise<TrainingPictures> {
  const { size } = task, { background, boxes, view } = config.data;
  const shown: ShownAs = { size, batch: config.training.batch, background, boxes, view };
  const cache = await openPictures(data, { size, view, onProgress });
  const { sampler, hard } = trainingSampler(config, data.rows.train);
  const loader = trainingLoader(data, cache, shown, {
    augmentation: augmentationOf(config.data.augmentation),
    ...{ sampler, seed, workers },
    ...(hard ? { prefetch: Math.min(workers + 1, MOST_AHEAD) } : {}),
  });
  return {
    cache,
    feeding: feedTraining(loader, task),
    stepsPerEpoch: loader.stepsPerEpoch,
    pictures: new ValidationPictures(data, cache, shown, { task, workers }),
    ...(hard ? { hard } : {}),
  };
}

/** The most bytes of validation pictures that are kept in memory rather than drawn at each validation. */
const KEPT_BYTES = 2 ** 28;

/** The pictures of the validation split with their targets, the same at each validation. */
export class ValidationPictures implements Disposable {
  readonly total: number;
  readonly #loader: BatchLoader;
  readonly #task: TaskNetwork;
  readonly #fits: boolean;
  #kept: JudgedBatch[] | undefined;

  constructor(
    dataset: Dataset,
    cache: PictureCache,
    shown: ShownAs,
    { task, workers }: { readonly task: TaskNetwork; readonly workers: number },
  ) {
    const batch = task.judgedBatch(shown.batch);
    this.#loader = evaluationLoader(dataset, "validation", cache, { ...shown, batch }, { workers });
    this.#task = task;
    this.total = this.#loader.length;
    this.#fits = this.total * 3 * shown.size ** 2 * 4 <= KEPT_BYTES;
  }

  async *batches(): AsyncGenerator<JudgedBatch> {
    if (this.#kept) return yield* this.#kept;
    const kept: JudgedBatch[] = [];
    for await (const drawn of this.#loader.epoch(0)) {
      const { images, shape, labels, boxes } = drawn;
      const batch: JudgedBatch = {
        images: tensor("float32", shape, images),
        labels,
        boxes,
        targets: await this.#task.targets(drawn),
      };
      if (this.#fits) kept.push(batch);
      yield batch;
    }
    if (!this.#fits) return;
    this.#kept = kept;
    this.#loader[Symbol.dispose](); // its workers are not needed any more
  }

  [Symbol.dispose](): void {
    this.#loader[Symbol.dispose]();
  }
}
