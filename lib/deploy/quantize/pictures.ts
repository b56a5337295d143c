/** Pictures for calibration and judging, and what quantized models say of them. */

import { planesOn } from "../../data/mod.ts";
import { topK } from "../../evaluate/mod.ts";
import { type ModelView, openSquares, OUTPUTS, type SquareSource, stackPlanes } from "../../experiment/mod.ts";
import { InputError, openSession, type Tensor } from "../../runtime/mod.ts";
import type { Judge } from "./sensitivity.ts";

/** Pictures as a model sees them. */
export interface PictureBatch {
  /** [N, 3, size, size]. */
  readonly images: Tensor;
  /** By the model's classes. */
  readonly labels: readonly number[];
}

/** Settings of `samplePictures`. */
export interface SampleOptions {
  /** A stratified sample of so many. Default: 128. */
  readonly count?: number;
  /** Chooses it. Default: 0. */
  readonly seed?: number;
  /** Pictures in a batch. Default: 8. */
  readonly batch?: number;
}

/**
 * A seeded, stratified sample of a split or folder, shown as the model wants it: of "train" for calibration, of "validation" to
 * judge. Throws InputError where there is no picture of the model's species.
 */
export async function samplePictures(
  source: SquareSource,
  view: Omit<ModelView, "batch">,
  { count = 128, seed = 0, batch = 8 }: SampleOptions = {},
): Promise<PictureBatch[]> {
  using opened = await openSquares(source, view, { limit: count, seed });
  const { size, mean, std } = view.card.input, batches: PictureBatch[] = [];
  let planes: Float32Array[] = [], labels: number[] = [];
  const close = () => {
    if (labels.length > 0) batches.push({ images: stackPlanes(planes, size), labels });
    [planes, labels] = [[], []];
  };
  for await (const square of opened.squares()) {
    planes.push(planesOn(square.picture, square.ground, { mean, std }));
    labels.push(square.label);
    if (labels.length === batch) close();
  }
  close();
  if (batches.length > 0) return batches;
  throw new InputError(`${opened.name}: expected pictures, found none that can be read`);
}

/** The likeliest class of each picture, by an output [N, classes] of a model with the input `name`. */
export async function guessesOf(
  model: Uint8Array,
  batches: readonly PictureBatch[],
  { name = "images", output = OUTPUTS.probabilities, threads }: {
    readonly name?: string;
    readonly output?: string;
    readonly threads?: number | undefined;
  } = {},
): Promise<number[]> {
  await using session = await openSession(model, { threads, name: "guesses" });
  const guesses: number[] = [];
  for (const { images } of batches) {
    const { [output]: found } = await session.run({ [name]: images }, { outputs: [output] });
    guesses.push(...topK({ values: found!.data as Float32Array, classes: found!.shape[1]! }, 1));
  }
  return guesses;
}

/** Judges models by their top-1 accuracy on pictures. */
export function accuracyJudge(batches: readonly PictureBatch[], options?: Parameters<typeof guessesOf>[2]): Judge {
  const labels = batches.flatMap((batch) => batch.labels);
  return async (model) => shareOfEqual(await guessesOf(model, batches, options), labels);
}

/** Judges models by how often they name what another model names: finer than accuracy where pictures are few. */
export async function agreementJudge(
  reference: Uint8Array,
  batches: readonly PictureBatch[],
  options?: Parameters<typeof guessesOf>[2],
): Promise<Judge> {
  const expected = await guessesOf(reference, batches, options);
  return async (model) => shareOfEqual(await guessesOf(model, batches, options), expected);
}

/** The share of places in which two lists have the same. */
export function shareOfEqual(found: readonly number[], expected: readonly number[]): number {
  return found.filter((each, i) => each === expected[i]).length / expected.length;
}
