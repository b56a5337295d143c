/** What is fine-tuned on: batches of pictures as pixels, or features that were worked out before. */

import { InputError, Random, type Tensor, tensor } from "../../runtime/mod.ts";
import type { LabelledFeatures } from "../encoder.ts";
import type { PromptTokens } from "./tower.ts";

/** Pictures that are taken in one step. */
export interface PictureBatch {
  /** [N, 3, H, W], prepared as the encoder's preprocessing says. */
  readonly pixelValues: Tensor<"float32">;
  /** The class of each, 0 … classes − 1. */
  readonly labels: Int32Array;
  /** A text of each picture's own, for pairs. Default: its class's prompt. */
  readonly texts?: PromptTokens;
}

/** Batches that are made when they are wanted, from epoch and step alone, so that training can be resumed. */
export interface PictureBatches {
  /** Steps of an epoch. */
  readonly steps: number;
  readonly batch: (epoch: number, step: number) => PictureBatch | Promise<PictureBatch>;
}

/** Cached features, a list of batches that is gone through in another order in each epoch, or a maker of batches. */
export type Examples = LabelledFeatures | readonly PictureBatch[] | PictureBatches;

/** One step's examples. */
export interface ExampleBatch {
  /** Pixels [N, 3, H, W], or features [N, D]. */
  readonly rows: Tensor<"float32">;
  readonly labels: Int32Array;
  readonly texts?: PromptTokens | undefined;
}

/** Examples by epoch and step. */
export interface ExampleSource {
  /** Rows are features, not pixels. */
  readonly cached: boolean;
  /** Sizes of one row: [D] or [3, H, W]. */
  readonly sizes: readonly number[];
  readonly steps: number;
  batch(epoch: number, step: number): Promise<ExampleBatch>;
}

/**
 * Examples as a source by epoch and step, in an order that the seed decides. Features are cut into batches of `batchSize`; the
 * rest of an epoch, too few for one, waits for another epoch's order. Throws InputError when there are none or their shapes
 * do not fit.
 */
export async function openExamples(
  examples: Examples,
  { batchSize, seed }: { readonly batchSize: number; readonly seed: string | number },
): Promise<ExampleSource> {
  if ("features" in examples) return featureSource(examples, batchSize, seed);
  const order = (epoch: number, count: number) =>
    Random.seeded("fine-tuning", seed, epoch).shuffle(Array.from({ length: count }, (_, i) => i));
  const batches: PictureBatches = "batch" in examples ? examples : {
    steps: examples.length,
    batch: (epoch, step) => examples[order(epoch, examples.length)[step]!]!,
  };
  if (!(Number.isInteger(batches.steps) && batches.steps >= 1)) {
    throw new InputError(`examples: expected at least one batch of pictures, found ${batches.steps}`);
  }
  const { pixelValues: { shape } } = await batches.batch(0, 0);
  return {
    cached: false,
    sizes: shape.slice(1),
    steps: batches.steps,
    async batch(epoch, step) {
      const { pixelValues, labels, texts } = await batches.batch(epoch, step);
      if (pixelValues.shape.length !== 4 || pixelValues.shape[0] !== labels.length) {
        throw new InputError(
          `examples: expected pixels [N, 3, H, W] and N labels, found [${
            pixelValues.shape.join(", ")
          }] and ${labels.length}`,
        );
      }
      return { rows: pixelValues, labels, texts };
    },
  };
}

function featureSource(
  { features, labels }: LabelledFeatures,
  batchSize: number,
  seed: string | number,
): ExampleSource {
  const [count = 0, dimension = 0] = features.shape;
  if (features.shape.length !== 2 || count !== labels.length || count === 0) {
    throw new InputError(
      `examples: expected features [N, D] and N labels, found [${features.shape.join(", ")}] and ${labels.length}`,
    );
  }
  if (!(Number.isInteger(batchSize) && batchSize >= 1)) {
    throw new InputError(`examples: expected a batchSize from 1, found ${batchSize}`);
  }
  const size = Math.min(batchSize, count);
  return {
    cached: true,
    sizes: [dimension],
    steps: Math.floor(count / size),
    batch(epoch, step) {
      const order = Random.seeded("fine-tuning", seed, epoch).shuffle(labels.keys());
      const rows = order.slice(step * size, (step + 1) * size);
      const data = new Float32Array(size * dimension);
      rows.forEach((row, i) => data.set(features.data.subarray(row * dimension, (row + 1) * dimension), i * dimension));
      return Promise.resolve({
        rows: tensor("float32", [size, dimension], data),
        labels: Int32Array.from(rows, (row) => labels[row]!),
      });
    },
  };
}

/**
 * The classes that a step's loss compares: all, or those of its pictures and others drawn evenly, `count` in all, in
 * ascending order; and the pictures' labels as places among them. Throws InputError when a batch has more classes than that
 * or a label is none.
 */
export function classesOfStep(
  labels: Int32Array,
  { classes, count, random }: { readonly classes: number; readonly count: number; readonly random: Random },
): { readonly rows: readonly number[]; readonly labels: readonly number[] } {
  const wrong = labels.find((label) => !(label >= 0 && label < classes));
  if (wrong !== undefined) {
    throw new InputError(`examples: expected labels in 0 … ${classes - 1}, found ${wrong}`);
  }
  if (count >= classes) return { rows: Array.from({ length: classes }, (_, i) => i), labels: [...labels] };
  const chosen = new Set(labels);
  if (chosen.size > count) {
    throw new InputError(
      `examples: expected at most ${count} classes in a batch (classesPerStep), found ${chosen.size}`,
    );
  }
  while (chosen.size < count) chosen.add(random.int(classes));
  const rows = [...chosen].sort((a, b) => a - b), places = new Map(rows.map((row, i) => [row, i]));
  return { rows, labels: Array.from(labels, (label) => places.get(label)!) };
}
