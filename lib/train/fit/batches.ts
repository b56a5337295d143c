/** Where the batches of `fit` come from, and how many of them make one step. */

import type { Batch } from "../batch.ts";
import { TrainError } from "../errors.ts";

/** What one step is fed. */
export interface FitBatch {
  /** One batch, or with accumulation one for each part. */
  readonly batch: Batch | readonly Batch[];
  /** How many images it holds, all parts together. */
  readonly images: number;
}

/**
 * The batches of an epoch (from 0) from a step within it on. A batch must depend on epoch and step alone: then training that
 * was stopped goes on bit for bit.
 */
export type BatchSource = (epoch: number, fromStep: number) => AsyncIterable<FitBatch>;

/**
 * A source of which each batch is `count` batches of another, for a step with `accumulate: count`. An epoch has
 * ⌊n / count⌋ steps; batches beyond are not drawn.
 */
export function groupBatches(source: BatchSource, count: number): BatchSource {
  if (!(Number.isInteger(count) && count >= 1)) {
    throw new TrainError(`groupBatches: expected a whole number from 1, found ${count}`);
  }
  return async function* (epoch, fromStep) {
    let parts: Batch[] = [], images = 0;
    for await (const { batch, images: more } of source(epoch, fromStep * count)) {
      if (Array.isArray(batch)) throw new TrainError("groupBatches: expected single batches, found a list");
      parts.push(batch as Batch);
      images += more;
      if (parts.length < count) continue;
      yield { batch: parts, images };
      [parts, images] = [[], 0];
    }
  };
}

/** How a nominal batch is made of smaller ones. */
export interface NominalBatch {
  /** Batches in a step: `accumulate` of `compileStep`. */
  readonly accumulate: number;
  /** Images in a step. */
  readonly images: number;
  /** Factor of a weight decay that was chosen for the nominal batch. */
  readonly decayFactor: number;
}

/**
 * How many batches to accumulate so that a step sees about `nominal` images, as Ultralytics' `nbs` (engine/trainer.py):
 * max(round(nominal / batch), 1), halves to the even number; weight decay times batch · accumulate / nominal.
 */
export function nominalBatch({ nominal, batch }: { nominal: number; batch: number }): NominalBatch {
  for (const [name, value] of Object.entries({ nominal, batch })) {
    if (!(Number.isInteger(value) && value >= 1)) {
      throw new TrainError(`nominalBatch: ${name}: expected a whole number from 1, found ${value}`);
    }
  }
  const exact = nominal / batch, below = Math.floor(exact), rest = exact - below;
  const rounded = rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
  const accumulate = Math.max(rounded, 1);
  return { accumulate, images: batch * accumulate, decayFactor: batch * accumulate / nominal };
}
