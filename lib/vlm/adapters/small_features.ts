/** For tests only: embeddings of classes that can be told apart, but not all of them. */

import { Random, tensor } from "../../runtime/mod.ts";
import type { LabelledFeatures } from "../encoder.ts";
import { normalizeRows } from "../cosines.ts";
import { singles } from "./products.ts";

/** Settings of `smallFeatures`. */
export interface SmallFeaturesOptions {
  readonly classes?: number;
  readonly dimension?: number;
  /** Training, validation and test pictures a class. */
  readonly pictures?: number;
  /** Length of the noise on a picture; its class's centre has length 1. */
  readonly noise?: number;
}

/** Splits of pictures about centres that are drawn, and texts that are near the centres. */
export function smallFeatures(
  seed: number,
  { classes = 5, dimension = 16, pictures = 6, noise = 1.2 }: SmallFeaturesOptions = {},
) {
  const random = Random.seeded("small features", seed);
  const centres = normalizeRows(
    singles([classes, dimension], new Float64Array(classes * dimension).map(() => random.normal())),
  );
  const near = (labels: Int32Array, length: number) => {
    const numbers = new Float64Array(labels.length * dimension).map((_, at) =>
      centres.data[labels[Math.floor(at / dimension)]! * dimension + at % dimension]! +
      random.normal(0, length / Math.sqrt(dimension))
    );
    return normalizeRows(singles([labels.length, dimension], numbers));
  };
  const split = (): LabelledFeatures => {
    const labels = Int32Array.from({ length: classes * pictures }, (_, i) => i % classes);
    return { features: near(labels, noise), labels };
  };
  const texts = near(Int32Array.from({ length: classes }, (_, k) => k), 1);
  return { classes, texts, logitScale: 20, train: split(), validation: split(), test: split() };
}

/** Pictures given row by row. */
export function labelled(rows: readonly (readonly number[])[], labels: readonly number[]): LabelledFeatures {
  return {
    features: tensor("float32", [rows.length, rows[0]!.length], rows.flat()),
    labels: Int32Array.from(labels),
  };
}
