/** A cascade: a cheap model answers where it is sure, a dear one where it is not. */

import { confidencesOf, judgeClassification, type Scores, type Share, shareOf } from "../evaluate/mod.ts";
import { InputError } from "../runtime/mod.ts";

/** A place on the curve. */
export interface CascadePoint {
  /** Pictures of which the cheap model is less sure than this go to the dear one. */
  readonly threshold: number;
  /** The share of pictures that the dear model saw. */
  readonly asked: number;
  /** Mean cost of a picture, in the unit of the costs given. */
  readonly cost: number;
  readonly top1: Share;
}

/** What the curve is made of. */
export interface CascadeOptions {
  /** Probabilities of the same pictures, [N, classes]. */
  readonly cheap: Scores;
  readonly dear: Scores;
  readonly labels: ArrayLike<number>;
  /** Of one picture, both in the same unit: milliseconds, operations. The cheap model is always paid for. */
  readonly costs: { readonly cheap: number; readonly dear: number };
  /** Points of the curve, from "never asks" to "always asks". Default: 21. */
  readonly points?: number;
}

/**
 * Accuracy against average cost, as the share of pictures rises that go on to the dear model: those of which the cheap one is least sure
 * first (Viola and Jones 2001; Wang et al. 2018, "IDK Cascades"). The curve is of the pictures that it is measured on; a threshold to
 * use is chosen on validation (`chooseThreshold`). Throws InputError for answers about other numbers of pictures, and without pictures.
 */
export function cascadeCurve({ cheap, dear, labels, costs, points = 21 }: CascadeOptions): CascadePoint[] {
  const n = labels.length;
  for (const [which, { values, classes }] of [["cheap", cheap], ["dear", dear]] as const) {
    if (values.length !== n * classes) {
      throw new InputError(
        `cascade: expected the ${which} model's answers to ${n} pictures, found ${values.length / classes}`,
      );
    }
  }
  if (!Number.isInteger(points) || points < 2) throw new InputError(`cascade: expected points from 2, found ${points}`);
  const rightOf = (scores: Scores) => Array.from(judgeClassification(scores, labels).ranks, (rank) => rank === 0);
  const sure = confidencesOf(cheap), first = rightOf(cheap), second = rightOf(dear);
  const order = Array.from(sure.keys()).sort((a, b) => sure[a]! - sure[b]! || a - b); // the least sure first
  let correct = first.filter(Boolean).length, asked = 0;
  return Array.from({ length: points }, (_, point) => {
    const wanted = Math.round(n * point / (points - 1));
    for (; asked < wanted; asked++) correct += Number(second[order[asked]!]!) - Number(first[order[asked]!]!);
    // Between the last that goes on and the first that stays.
    const threshold = asked === n ? Infinity : asked === 0 ? 0 : sure[order[asked]!]!;
    return { threshold, asked: asked / n, cost: costs.cheap + asked / n * costs.dear, top1: shareOf(correct, n) };
  });
}

/**
 * The cheapest point that is at most `loss` (a share, default 0.005) less accurate than the best of the curve, which is of validation.
 */
export function chooseThreshold(
  curve: readonly CascadePoint[],
  { loss = 0.005 }: { readonly loss?: number } = {},
): CascadePoint {
  const best = Math.max(...curve.map(({ top1 }) => top1.share));
  const chosen = curve.filter(({ top1 }) => top1.share >= best - loss).sort((a, b) => a.cost - b.cost)[0];
  if (!chosen) throw new InputError("cascade: expected a curve, found no points");
  return chosen;
}

/** The answers of the cascade at a threshold. */
export function cascadeAnswers(cheap: Scores, dear: Scores, threshold: number): Scores {
  const sure = confidencesOf(cheap), values = Float32Array.from(cheap.values), { classes } = cheap;
  for (const [i, confidence] of sure.entries()) {
    if (confidence < threshold) values.set(dear.values.subarray(i * classes, (i + 1) * classes), i * classes);
  }
  return { values, classes };
}
