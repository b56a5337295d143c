/** Precision and recall along falling confidence, as pycocotools accumulates them (COCOeval.accumulate). */

import { type ClassMatches, IOU_THRESHOLDS, OUTCOME } from "./match.ts";

/** Recall 0.00, 0.01, … 1.00, at which precision is read off. */
export const RECALL_POINTS: readonly number[] = Array.from({ length: 101 }, (_, i) => i === 100 ? 1 : i * 0.01);

/** The distance from 1 to the next double: what keeps 0 / 0 from being NaN. */
const spacing = 2 ** -52;

/** A class at one IoU threshold. */
export interface Curve {
  /** Mean of the interpolated precision over the 101 recall points. */
  readonly averagePrecision: number;
  /** Share of the true boxes found when every detection counts. */
  readonly recall: number;
}

/** The indices of a class's detections, best first. */
export function byScore({ score }: ClassMatches): Int32Array {
  return Int32Array.from(score.keys()).sort((a, b) => score[b]! - score[a]! || a - b);
}

/**
 * The curve of a class at an area range (index into AREAS), an IoU threshold (index into IOU_THRESHOLDS) and at most
 * `most` detections an image. `precision`, where it is given, gets the interpolated precision at the 101 points added.
 * Undefined when there is nothing to be found.
 */
export function precisionRecall(
  matches: ClassMatches,
  order: Int32Array,
  { area, threshold, most, precision }: {
    readonly area: number;
    readonly threshold: number;
    readonly most: number;
    readonly precision?: Float64Array;
  },
): Curve | undefined {
  const positives = matches.positives[area]!;
  if (positives === 0) return undefined;
  const row = (area * IOU_THRESHOLDS.length + threshold) * order.length;
  const recalls: number[] = [], precisions: number[] = [];
  let right = 0, wrong = 0;
  for (const detection of order) {
    if (matches.rank[detection]! >= most) continue;
    const outcome = matches.outcome[row + detection]!;
    if (outcome === OUTCOME.right) right++;
    else if (outcome === OUTCOME.wrong) wrong++;
    recalls.push(right / positives);
    precisions.push(right / (wrong + right + spacing));
  }
  for (let i = precisions.length - 1; i > 0; i--) {
    if (precisions[i]! > precisions[i - 1]!) precisions[i - 1] = precisions[i]!;
  }
  let sum = 0, at = 0;
  for (let point = 0; point < RECALL_POINTS.length; point++) {
    while (at < recalls.length && recalls[at]! < RECALL_POINTS[point]!) at++;
    const value = precisions[at] ?? 0;
    sum += value;
    if (precision) precision[point]! += value;
  }
  return { averagePrecision: sum / RECALL_POINTS.length, recall: recalls.at(-1) ?? 0 };
}
