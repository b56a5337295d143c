/** Whether one classifier is better than another on the same pictures. */

import { EvaluateError } from "./errors.ts";

/** Two classifiers on the same pictures. */
export interface McNemarResult {
  /** Pictures that only the first, only the second classifier gets right. */
  readonly onlyFirst: number;
  readonly onlySecond: number;
  /** Two-sided: how likely a difference at least as large is when both are equally good. */
  readonly p: number;
}

/**
 * McNemar's exact test (McNemar 1947; the binomial form): the pictures on which the two differ fall to either side like a
 * fair coin when both are equally good. Throws EvaluateError unless both have one answer a picture.
 */
export function mcNemar(first: ArrayLike<boolean>, second: ArrayLike<boolean>): McNemarResult {
  if (first.length !== second.length) {
    throw new EvaluateError(
      `mcNemar: expected ${first.length} answers of the second classifier, found ${second.length}`,
    );
  }
  let onlyFirst = 0, onlySecond = 0;
  for (let i = 0; i < first.length; i++) {
    if (first[i] && !second[i]) onlyFirst++;
    else if (second[i] && !first[i]) onlySecond++;
  }
  return { onlyFirst, onlySecond, p: twoSided(Math.min(onlyFirst, onlySecond), onlyFirst + onlySecond) };
}

/** min(1, 2 · P(X ≤ k)) for X binomial of n fair coins; summed in logarithms, so that a large n does not underflow. */
function twoSided(k: number, n: number): number {
  let logarithm = -n * Math.LN2, sum = 0;
  for (let i = 0; i <= k; i++) {
    sum += Math.exp(logarithm);
    logarithm += Math.log((n - i) / (i + 1));
  }
  return Math.min(1, 2 * sum);
}
