/** For tests only: prompts, features and pictures of four classes for the recorded CLIPs, and what is told of results. */

import type { Graph } from "../../onnx/mod.ts";
import { Random, type Tensor, tensor } from "../../runtime/mod.ts";
import type { LabelledFeatures } from "../encoder.ts";
import { contextTokens } from "./context.ts";
import type { PictureBatch } from "./examples.ts";

/** How many there are. */
export const CLASSES = 4;
/** A word a class, behind three places for context. */
export const prompts = contextTokens(Array.from({ length: CLASSES }, (_, i) => [5 + i]), {
  length: 3,
  begin: 38,
  end: 39,
  fill: 0,
  total: 10,
  holder: 4,
});
/** In this thread. */
export const here = { worker: false, threads: 1 } as const;

/** Features around one random direction a class. */
export function clusters(count: number, stream: string): LabelledFeatures {
  const centres = Array.from({ length: CLASSES }, (_, i) => {
    const random = Random.seeded("centre", i);
    return Array.from({ length: 12 }, () => random.normal());
  });
  const random = Random.seeded("cluster", stream);
  const labels = Int32Array.from({ length: count }, (_, i) => i % CLASSES);
  const rows = Array.from(labels, (label) => {
    const row = centres[label]!.map((x) => x + random.normal(0, 0.4)), length = Math.hypot(...row);
    return row.map((x) => x / length);
  });
  return { features: tensor("float32", [count, 12], rows.flat()), labels };
}

/** Pictures of stripes, another direction and width in each class, with noise. */
export function stripes(batches: number): PictureBatch[] {
  const random = Random.seeded("stripes");
  return Array.from({ length: batches }, () => {
    const labels = Int32Array.from({ length: 8 }, (_, i) => i % CLASSES);
    const pixels = Array.from(labels, (label) =>
      Array.from({ length: 3 * 256 }, (_, i) => {
        const x = i % 16, y = Math.floor(i / 16) % 16, along = label % 2 === 0 ? x : y;
        return (Math.floor(along / (label < 2 ? 2 : 4)) % 2) * 2 - 1 + random.normal(0, 0.3);
      }));
    return { pixelValues: tensor("float32", [8, 3, 16, 16], pixels.flat()), labels };
  });
}

/** The part of features that lie nearest to their class's prototype. */
export function accuracy({ features, labels }: LabelledFeatures, prototypes: Tensor<"float32">): number {
  let right = 0;
  labels.forEach((label, row) => {
    const scores = Array.from({ length: CLASSES }, (_, c) => {
      let sum = 0;
      for (let d = 0; d < 12; d++) sum += features.data[row * 12 + d]! * prototypes.data[c * 12 + d]!;
      return sum;
    });
    if (scores.indexOf(Math.max(...scores)) === label) right++;
  });
  return right / labels.length;
}

/** Elements of all initialisers by name, as text. */
export function weights(graph: Graph): Record<string, string> {
  return Object.fromEntries(graph.initialisers.map((value) => [value.name, String(value.tensor!.data)]));
}

/** Cross-entropy of cosines times 10, by hand. */
export function lossOf(images: readonly number[], labels: Int32Array, texts: Tensor<"float32">): number {
  return mean(Array.from(labels, (label, row) => {
    const image = images.slice(row * 12, row * 12 + 12), length = Math.hypot(...image);
    const logits = Array.from(
      { length: CLASSES },
      (_, c) => 10 * image.reduce((sum, x, d) => sum + x * texts.data[c * 12 + d]!, 0) / length,
    );
    return Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0)) - logits[label]!;
  }));
}

/** The mean. */
export const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
