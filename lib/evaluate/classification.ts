/** How often a classifier is right: over all pictures, by class and by groups, with intervals. */

import { EvaluateError } from "./errors.ts";
import { wilsonInterval } from "./interval.ts";
import { type Labels, ranksOf, type Scores, topK } from "./ranking.ts";

/** A share of pictures with what it stands on. */
export interface Share {
  readonly n: number;
  readonly correct: number;
  /** correct / n */
  readonly share: number;
  /** Wilson's 95 % interval. */
  readonly ci95: readonly [low: number, high: number];
}

/** correct of n with its interval. Throws RangeError unless 0 ≤ correct ≤ n and n ≥ 1. */
export function shareOf(correct: number, n: number): Share {
  return { n, correct, share: correct / n, ci95: wilsonInterval(correct, n) };
}

/** Predictions beside the truth. */
export interface Classification {
  /** Pictures. */
  readonly n: number;
  readonly classes: number;
  readonly labels: Int32Array;
  /** The top class of each picture. */
  readonly predicted: Int32Array;
  /** How many classes come before the right one, of each picture. */
  readonly ranks: Int32Array;
  readonly top1: Share;
  /** Of a classifier with fewer than five classes: 1. */
  readonly top5: Share;
}

/**
 * Judges a classifier. Of classes with equal scores the one with the lower id counts as predicted first, so that scores that
 * are all equal predict class 0. Throws EvaluateError without pictures, for NaN, and for labels out of range.
 */
export function judgeClassification(scores: Scores, labels: Labels): Classification {
  const ranks = ranksOf(scores, labels);
  if (ranks.length === 0) throw new EvaluateError("judgeClassification: expected at least one picture, found none");
  return {
    n: ranks.length,
    classes: scores.classes,
    labels: Int32Array.from(labels),
    predicted: topK(scores, 1),
    ranks,
    top1: shareWithin(ranks, 1),
    top5: shareWithin(ranks, 5),
  };
}

/** The share of pictures whose right class is among the first k. */
export function shareWithin(ranks: ArrayLike<number>, k: number): Share {
  let correct = 0;
  for (let i = 0; i < ranks.length; i++) if (ranks[i]! < k) correct++;
  return shareOf(correct, ranks.length);
}

/**
 * Accuracy of the pictures that share a key (generation, style of the source, …), in the order in which the keys first
 * occur. Pictures whose key is undefined are left out. `k`: how many predictions may hold the right class; default 1.
 */
export function accuracyBy<Key>(
  { ranks, labels }: Pick<Classification, "ranks" | "labels">,
  keyOf: (picture: number, label: number) => Key | undefined,
  { k = 1 }: { readonly k?: number } = {},
): Map<Key, Share> {
  const counts = new Map<Key, { n: number; correct: number }>();
  for (let i = 0; i < ranks.length; i++) {
    const key = keyOf(i, labels[i]!);
    if (key === undefined) continue;
    let count = counts.get(key);
    if (!count) counts.set(key, count = { n: 0, correct: 0 });
    count.n++;
    if (ranks[i]! < k) count.correct++;
  }
  return new Map([...counts].map(([key, { n, correct }]) => [key, shareOf(correct, n)]));
}

/** A class's accuracy. */
export interface ClassAccuracy extends Share {
  readonly classId: number;
}

/** The accuracy of every class that has pictures, by class id. The mean of `share` is the balanced accuracy. */
export function accuracyPerClass(judged: Pick<Classification, "ranks" | "labels">): ClassAccuracy[] {
  return [...accuracyBy(judged, (_, label) => label)].map(([classId, share]) => ({ classId, ...share }))
    .sort((a, b) => a.classId - b.classId);
}
