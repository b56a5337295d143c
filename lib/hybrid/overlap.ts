/** What models have in common in their errors: how much a fusion could gain at all. */

import { mcNemar, type McNemarResult, newcombePairedInterval, type Share, shareOf } from "../evaluate/mod.ts";
import { InputError } from "../runtime/mod.ts";

/** Two classifiers on the same pictures. */
export interface Comparison extends McNemarResult {
  readonly both: number;
  readonly neither: number;
  /** Top-1 of the first less that of the second, a share, and its 95 % interval (Newcombe 1998, method 10). */
  readonly difference: number;
  readonly ci95: readonly [low: number, high: number];
  /**
   * Share of the pictures that are right where one of both is: a fusion that always knew whom to believe. No fusion of their top
   * answers alone can do better.
   */
  readonly oracle: Share;
}

/** Compares two classifiers by which pictures they get right. Throws InputError for other numbers of pictures, and without any. */
export function compareRight(first: readonly boolean[], second: readonly boolean[]): Comparison {
  if (first.length !== second.length || first.length === 0) {
    throw new InputError(
      `comparison: expected answers to the same pictures, found ${first.length} and ${second.length}`,
    );
  }
  const { onlyFirst, onlySecond, p } = mcNemar(first, second);
  const both = first.filter((right, i) => right && second[i]).length, n = first.length;
  const neither = n - both - onlyFirst - onlySecond;
  return {
    ...{ onlyFirst, onlySecond, p, both, neither },
    difference: (onlyFirst - onlySecond) / n,
    ci95: newcombePairedInterval({ both, onlyFirst, onlySecond, neither }),
    oracle: shareOf(n - neither, n),
  };
}
