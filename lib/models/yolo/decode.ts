/** From raw YOLO heads to boxes with scores, and to one distribution over the classes of a picture. */

import {
  add,
  argMax,
  concat,
  div,
  exp,
  gatherElements,
  type Graph,
  greater,
  log,
  logSoftmax,
  max,
  mul,
  neg,
  reduceLogSumExp,
  reduceMax,
  reduceSum,
  reshape,
  sigmoid,
  slice,
  softmax,
  softplus,
  sub,
  transpose,
  unsqueeze,
  type Value,
  where,
} from "../../onnx/mod.ts";
import { ModelError } from "../errors.ts";
import type { YoloHead, YoloSpec } from "../yolo_spec.ts";

/** Classes that may hold together (YOLOv3's own), or exactly one of them; as in training. */
export type ClassProbabilities = "sigmoid" | "softmax";

/** How the detections of a picture become one distribution; see `appendImageProbabilities`. */
export type ImageProbabilities = "best" | "max" | "mean" | "noisyOr";

/** All ways, for comparisons. */
export const IMAGE_PROBABILITIES: readonly ImageProbabilities[] = ["best", "max", "mean", "noisyOr"];

/**
 * Adds to an inference graph of raw heads the outputs
 *
 * - "boxes" [N, R, 4]: left, top, right, bottom as parts of the input's side, not clipped:
 *   b_x = (i + σ(t_x)) / columns, b_w = e^{t_w} · anchor / size (Redmon and Farhadi 2018, section 2.1)
 * - "objectness" [N, R]: σ(t_o)
 * - "scores" [N, R, C]: objectness · class probability, what is compared with a threshold
 *
 * R counts the heads in the spec's order, in each its anchors, rows and columns, the last fastest. Throws ModelError where a
 * head is missing or has another shape than the spec gives it.
 */
export function appendDetections(
  graph: Graph,
  spec: YoloSpec,
  { classProbabilities = "sigmoid" }: { classProbabilities?: ClassProbabilities } = {},
): { boxes: Value; objectness: Value; scores: Value } {
  const heads = headsOf(graph, spec);
  const objectness = concat(heads.map((head) => sigmoid(head.objectness)), 1);
  const classes = heads.map(({ classes }) => {
    const [, anchors, count, cells] = classes.shape as [unknown, number, number, number];
    return reshape(transpose(classes, [0, 1, 3, 2]), [0, anchors * cells, count]);
  });
  const probabilities = classProbabilities === "softmax"
    ? softmax(concat(classes, 1), { axis: 2 })
    : sigmoid(concat(classes, 1));
  return {
    boxes: graph.output(concat(heads.map(({ boxes }) => boxes()), 1), "boxes"),
    objectness: graph.output(objectness, "objectness"),
    scores: graph.output(mul(probabilities, unsqueeze(objectness, [2])), "scores"),
  };
}

/**
 * Adds the output "probabilities" [N, C]: one distribution over the classes, which sums to 1. With o_r the objectness and p_rc
 * the class probabilities of the R predictions, before it is divided by its sum:
 *
 * - "best": p_rc of the r with the largest o_r (the first of equal ones)
 * - "max": max_r o_r · p_rc
 * - "mean": Σ_r o_r · p_rc / Σ_r o_r
 * - "noisyOr": 1 − Π_r (1 − o_r · p_rc), the chance that any prediction is right if each is so on its own
 *
 * All four are computed from logarithms, so that they stay a distribution where every probability underflows. Throws ModelError
 * as `appendDetections` does, and for an unknown way.
 */
export function appendImageProbabilities(
  graph: Graph,
  spec: YoloSpec,
  { how, classProbabilities = "sigmoid" }: { how: ImageProbabilities; classProbabilities?: ClassProbabilities },
): Value {
  if (!IMAGE_PROBABILITIES.includes(how)) {
    throw new ModelError(`image probabilities: expected ${IMAGE_PROBABILITIES.join(", ")}, found "${how}"`);
  }
  const heads = headsOf(graph, spec);
  const logClass = (logits: Value, axis: number) =>
    classProbabilities === "softmax" ? logSoftmax(logits, { axis }) : logSigmoid(logits);
  if (how === "best") return graph.output(normalised(logClass(bestLogits(heads), 1)), "probabilities");
  // log (o · p) of each head, [N, A, C, rows · columns].
  const scores = heads.map(({ classes, objectness }) => {
    const [, anchors, , cells] = classes.shape as [unknown, number, number, number];
    return add(logClass(classes, 2), logSigmoid(reshape(objectness, [0, anchors, 1, cells])));
  });
  const axes = [1, 3];
  const logs = how === "max"
    ? scores.map((score) => reduceMax(score, { axes })).reduce((a, b) => max([a, b]))
    : how === "mean"
    ? reduceLogSumExp(concat(scores.map((score) => unsqueeze(reduceLogSumExp(score, { axes }), [2])), 2), { axes: 2 })
    : logOfOneMinusExp(scores.map((score) => reduceSum(logOfOneMinusExp(score), { axes })).reduce((a, b) => add(a, b)));
  return graph.output(normalised(logs), "probabilities");
}

/** One head in parts, raw. */
interface HeadParts {
  /** [N, A · rows · columns]. */
  readonly objectness: Value;
  /** [N, A, C, rows · columns]. */
  readonly classes: Value;
  /** All channels in one dimension: [N, A · (5 + C) · rows · columns]. */
  readonly flat: Value;
  /** Decoded, [N, A · rows · columns, 4]. */
  boxes(): Value;
}

function headsOf(graph: Graph, spec: YoloSpec): HeadParts[] {
  return spec.heads.map((head) => {
    const { output, stride, anchors } = head;
    const raw = graph.values.get(output);
    if (!raw) throw new ModelError(`yolo: expected a value "${output}" in graph "${graph.name}", found none`);
    const side = spec.size / stride, channels = 5 + spec.classes, cells = side ** 2;
    const expected = [anchors.length * channels, side, side];
    if (raw.rank !== 4 || expected.some((size, i) => raw.shape[i + 1] !== size)) {
      throw new ModelError(`yolo: expected "${output}" to be [N, ${expected.join(", ")}], found ${raw}`);
    }
    const byAnchor = reshape(raw, [0, anchors.length, channels, cells]);
    const channel = (from: number, to: number) => slice(byAnchor, [from], [to], { axes: [2] });
    return {
      objectness: reshape(channel(4, 5), [0, anchors.length * cells]),
      classes: channel(5, channels),
      flat: reshape(raw, [0, anchors.length * channels * cells]),
      boxes: () => decodedBoxes(channel(0, 2), channel(2, 4), head, spec.size),
    };
  });
}

/** Corners [N, A · cells, 4] from the raw centres and sizes, each [N, A, 2, cells]. */
function decodedBoxes(centres: Value, sizes: Value, { stride, anchors }: YoloHead, size: number): Value {
  const { graph } = centres, side = size / stride, cells = side ** 2;
  const places = Array.from({ length: 2 * cells }, (_, i) => i < cells ? i % side : Math.floor((i - cells) / side));
  const grid = graph.constant(places, { shape: [1, 1, 2, cells] });
  const priors = graph.constant(anchors.flat().map((x) => x / size), { shape: [1, anchors.length, 2, 1] });
  const centre = mul(add(sigmoid(centres), grid), 1 / side), half = mul(mul(exp(sizes), priors), 0.5);
  const corners = concat([sub(centre, half), add(centre, half)], 2);
  return reshape(transpose(corners, [0, 1, 3, 2]), [0, anchors.length * cells, 4]);
}

/** The class logits [N, C] of the prediction with the largest objectness. */
function bestLogits(heads: readonly HeadParts[]): Value {
  const winners = heads.map(({ objectness, classes, flat }) => {
    const { graph } = objectness;
    const [, , count, cells] = classes.shape as [unknown, number, number, number];
    const place = argMax(objectness, { axis: 1, keepdims: true });
    // Where class 0 of that anchor and cell stands in the flat head; integer division.
    const anchor = div(place, cells), cell = sub(place, mul(anchor, cells));
    const first = add(add(mul(anchor, (5 + count) * cells), cell), 5 * cells);
    const steps = graph.ints(Array.from({ length: count }, (_, c) => c * cells));
    return {
      objectness: reduceMax(objectness, { axes: 1, keepdims: true }),
      logits: gatherElements(flat, add(first, steps), { axis: 1 }),
    };
  });
  return winners.reduce((best, next) => {
    const better = greater(next.objectness, best.objectness);
    return {
      objectness: max([best.objectness, next.objectness]),
      logits: where(better, next.logits, best.logits),
    };
  }).logits;
}

/** log σ(x) without overflow. */
const logSigmoid = (x: Value): Value => neg(softplus(neg(x)));

/** A distribution from logarithms that are right up to a constant. */
const normalised = (logs: Value): Value => softmax(logs, { axis: 1 });

/** Below this, e^x is so small that three terms of the series below are exact in float32. */
const SMALL = Math.log(0.01);

/**
 * log(1 − e^x) for x ≤ 0, without the loss of small e^x beside 1: −y − y²/2 − y³/3 with y = e^x where that is small; near 0,
 * where 1 − e^x is small, −x (1 + x/2 + x²/6) in its place.
 */
function logOfOneMinusExp(x: Value): Value {
  const held = max([mul(x, -1), 1e-30]); // −x, above 0
  const y = exp(neg(held));
  const series = neg(mul(y, add(1, mul(y, add(0.5, mul(y, 1 / 3))))));
  const near = mul(held, sub(1, mul(held, sub(0.5, mul(held, 1 / 6)))));
  const rest = where(greater(held, 0.01), sub(1, y), near);
  return where(greater(held, -SMALL), series, log(max([rest, 1e-30])));
}
