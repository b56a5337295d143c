/** The parts of a YOLO loss: boxes, classes, objectness. */

import {
  add,
  cast,
  clip,
  div,
  equal,
  greater,
  lessOrEqual,
  log,
  max,
  min,
  mul,
  or,
  reduceMax,
  reduceSum,
  reshape,
  sigmoid,
  slice,
  split,
  sub,
  unsqueeze,
  type Value,
} from "../../onnx/mod.ts";
import { binaryCrossEntropyWithLogits, crossEntropy } from "../losses/mod.ts";
import type { HeadPredictions } from "./predictions.ts";

/**
 * Losses [N, P] of raw coordinates, (2 − w·h) · Σ: for t_x and t_y against the centre's place in its cell, BCE ("darknet") or half
 * the squared difference behind σ ("squares"); for t_w and t_h half the squared difference from ln(size / anchor).
 */
export function coordinateLoss(
  raw: Value,
  cells: Value,
  boxes: Value,
  side: number,
  kind: "squares" | "darknet",
): Value {
  const first = (x: Value) => slice(x, [0], [2], { axes: [2] }),
    second = (x: Value) => slice(x, [2], [4], { axes: [2] });
  // A neighbour's true centre lies outside its cell.
  const place = clip(sub(mul(first(boxes), side), first(cells)), 0, 1);
  const size = log(div(second(boxes), second(cells)));
  const halfSquare = (x: Value) => mul(mul(x, x), 0.5);
  const centre = kind === "darknet"
    ? binaryCrossEntropyWithLogits(first(raw), place, { reduction: "none" })
    : halfSquare(sub(sigmoid(first(raw)), place));
  const sum = reduceSum(add(centre, halfSquare(sub(second(raw), size))), { axes: 2 });
  const [width, height] = split(second(boxes), 2, { axis: 2 });
  return mul(sum, sub(2, reduceSum(mul(width!, height!), { axes: 2 })));
}

/** Distributions [N, P, C] from class ids and shares [N, P, K]; zeros beyond the list's end. */
export function classTargets(classes: Value, shares: Value, count: number): Value {
  const ids = classes.graph.constant(Array.from({ length: count }, (_, i) => i), {
    dtype: classes.dtype,
    shape: [1, 1, 1, count],
  });
  const chosen = cast(equal(unsqueeze(classes, [3]), ids), shares.dtype);
  return reduceSum(mul(chosen, unsqueeze(shares, [3])), { axes: 2 });
}

/** Losses [N, P]: the sum of BCE over all classes, or cross-entropy. */
export function classLoss(
  logits: Value,
  targets: Value,
  { kind, labelSmoothing }: { kind: "sigmoid" | "softmax"; labelSmoothing: number },
): Value {
  if (kind === "softmax") return crossEntropy(logits, targets, { axis: 2, labelSmoothing, reduction: "none" });
  const count = logits.shape[2] as number;
  const smoothed = labelSmoothing === 0 ? targets : add(mul(targets, 1 - labelSmoothing), labelSmoothing / count);
  return reduceSum(binaryCrossEntropyWithLogits(logits, smoothed, { reduction: "none" }), { axes: 2 });
}

/**
 * The sum over all cells and anchors, against `object` [N, A, rows, columns]. What is no positive counts `noObject`, and not
 * at all where its box overlaps one of `truth` [N, T, 4] by more than the threshold.
 */
export function objectnessLoss(
  predictions: HeadPredictions,
  object: Value,
  truth: Value,
  { ignoreThreshold, noObject }: { ignoreThreshold: number; noObject: number },
): Value {
  const logits = predictions.objectness();
  const target = reshape(object, [0, logits.shape[1] as number]);
  const positive = greater(target, 0);
  const counted = cast(or(positive, lessOrEqual(bestIou(predictions, truth), ignoreThreshold)), logits.dtype);
  const losses = binaryCrossEntropyWithLogits(logits, target, { reduction: "none" });
  const weight = noObject === 1
    ? counted
    : mul(counted, add(mul(cast(positive, logits.dtype), 1 - noObject), noObject));
  return reduceSum(mul(losses, weight));
}

/** The largest IoU of each prediction with a true box: [N, A · rows · columns]. */
function bestIou(predictions: HeadPredictions, truth: Value): Value {
  const [left, top, right, bottom] = predictions.fixedBoxes();
  const [trueLeft, trueTop, trueRight, trueBottom] = split(truth, 4, { axis: 2 }).map((side) =>
    reshape(side, [0, 1, truth.shape[1] as number])
  );
  const overlap = (low: Value, high: Value, trueLow: Value, trueHigh: Value) =>
    max([sub(min([high, trueHigh]), max([low, trueLow])), 0]);
  const intersection = mul(overlap(left, right, trueLeft!, trueRight!), overlap(top, bottom, trueTop!, trueBottom!));
  const areas = add(
    mul(sub(right, left), sub(bottom, top)),
    mul(sub(trueRight!, trueLeft!), sub(trueBottom!, trueTop!)),
  );
  return reduceMax(div(intersection, max([sub(areas, intersection), 1e-12])), { axes: 2 });
}
