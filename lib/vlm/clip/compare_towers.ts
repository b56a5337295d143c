/** Whether the written towers embed as the graph that was trained. */

import { type Graph, toModel } from "../../onnx/mod.ts";
import { openSession, Random, type Tensor, tensor, WorkError } from "../../runtime/mod.ts";
import type { Step, WeightSource } from "../../train/mod.ts";
import type { ClipTokenizer } from "../tokenizer/mod.ts";
import { embedPixels, embedTexts, unitRows } from "./embed.ts";
import { clipBatch, type ClipSizes, embedsOf } from "./network.ts";
import type { ClipShape } from "./towers.ts";

/** How far embeddings of length 1 may be apart in any number. */
export const TOWER_TOLERANCE = 1e-4;

/** Beyond this it is no rounding: the model is not written. */
const WRONG = 1e-2;

/** Settings of `compareTowers`. */
export interface CompareTowersOptions {
  readonly sizes: ClipSizes;
  readonly shape: ClipShape;
  readonly tokenizer: ClipTokenizer;
  readonly threads: number;
  readonly weights: WeightSource;
}

/** The largest difference of any number of an embedding, of noise and of texts of all lengths. Throws WorkError beyond rounding. */
export async function compareTowers(
  { vision, text }: { readonly vision: Graph; readonly text: Graph },
  step: Step,
  { sizes: { batch, negatives, names, nameLength }, shape, tokenizer, threads, weights }: CompareTowersOptions,
): Promise<number> {
  const random = Random.seeded("compare"), { size, dimension } = shape;
  const pixels = tensor(
    "float32",
    [batch, 3, size, size],
    Float32Array.from({ length: batch * 3 * size * size }, () => random.uniform()),
  );
  const texts = Array.from({ length: batch + negatives }, (_, i) => "a sprite of pikachu ".repeat(1 + i % 9));
  const few = names > 0 ? tokenizer.encode(texts.concat(texts, texts).slice(0, 1), { length: nameLength }) : undefined;
  const repeated = (of: Tensor<"int64">) =>
    tensor("int64", [names, nameLength], Array.from({ length: names }, () => [...of.data]).flat());
  const expected = embedsOf(
    await step.evaluate(
      clipBatch(pixels, tokenizer.encode(texts), few && { ids: repeated(few.ids), mask: repeated(few.mask) }),
      { weights },
    ),
  );
  await using visionSession = await openSession(toModel(vision), { threads, name: "vision" });
  await using textSession = await openSession(toModel(text), { threads, name: "text" });
  const images = await embedPixels(visionSession, pixels);
  const embedded = await embedTexts(textSession, tokenizer, texts, dimension);
  const difference = Math.max(
    largestDifference(unitRows(expected.images).data, images.data),
    largestDifference(unitRows(expected.texts).data, embedded.data),
  );
  if (!(difference <= WRONG)) {
    throw new WorkError(
      `model: expected the training graph's embeddings to ${TOWER_TOLERANCE}, found a difference of ${difference}`,
    );
  }
  return difference;
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((worst, x, i) => {
    const each = Math.abs(x - b[i]!);
    return each <= worst ? worst : each;
  }, 0);
}
