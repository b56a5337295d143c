/** From scores to predictions: the order of classes, and where the right one stands in it. */

import { EvaluateError } from "./errors.ts";

/** Scores of some pictures, the higher the likelier: probabilities, logarithms of them, or logits. */
export interface Scores {
  /** [pictures, classes] */
  readonly values: Float32Array;
  readonly classes: number;
}

/** Which class each picture is of, as class ids from 0. */
export type Labels = ArrayLike<number>;

/** The number of pictures. Throws EvaluateError unless the scores are whole rows without NaN and the labels fit. */
export function checkScores({ values, classes }: Scores, labels?: Labels): number {
  const n = values.length / classes;
  if (!Number.isInteger(classes) || classes < 1 || !Number.isInteger(n)) {
    throw new EvaluateError(`scores: expected rows of ${classes} classes, found ${values.length} numbers`);
  }
  for (let at = 0; at < values.length; at++) {
    if (Number.isNaN(values[at])) {
      const row = Math.floor(at / classes);
      throw new EvaluateError(`scores: expected numbers, found NaN for class ${at % classes} of picture ${row}`);
    }
  }
  if (!labels) return n;
  if (labels.length !== n) throw new EvaluateError(`labels: expected ${n}, one a picture, found ${labels.length}`);
  for (let i = 0; i < n; i++) {
    const label = labels[i]!;
    if (!Number.isInteger(label) || label < 0 || label >= classes) {
      throw new EvaluateError(`labels: expected a class in 0 … ${classes - 1}, found ${label} for picture ${i}`);
    }
  }
  return n;
}

/**
 * For each picture how many classes come before the right one: 0 where the top prediction is right, below 5 where it is
 * among the top five. Of classes with equal scores the one with the lower id comes first. Throws EvaluateError for NaN.
 */
export function ranksOf(scores: Scores, labels: Labels): Int32Array {
  const n = checkScores(scores, labels), { values, classes } = scores;
  return Int32Array.from({ length: n }, (_, i) => {
    const label = labels[i]!, from = i * classes, own = values[from + label]!;
    let before = 0;
    for (let c = 0; c < classes; c++) {
      const value = values[from + c]!;
      if (value > own || (value === own && c < label)) before++;
    }
    return before;
  });
}

/**
 * The k best classes of each picture, best first, [pictures, k]; of equal ones the lower id first. Throws EvaluateError
 * for NaN and unless 1 ≤ k ≤ classes.
 */
export function topK(scores: Scores, k: number): Int32Array {
  const n = checkScores(scores), { values, classes } = scores;
  if (!Number.isInteger(k) || k < 1 || k > classes) {
    throw new EvaluateError(`topK: expected k in 1 … ${classes}, found ${k}`);
  }
  const result = new Int32Array(n * k);
  for (let i = 0; i < n; i++) {
    const row = values.subarray(i * classes, (i + 1) * classes), best = result.subarray(i * k, (i + 1) * k);
    let filled = 0;
    for (let c = 0; c < classes; c++) {
      if (filled === k && !(row[c]! > row[best[k - 1]!]!)) continue;
      let at = filled === k ? k - 1 : filled++;
      for (; at > 0 && row[c]! > row[best[at - 1]!]!; at--) best[at] = best[at - 1]!;
      best[at] = c;
    }
  }
  return result;
}
