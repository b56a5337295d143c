/** Graphs around a trained network: the one that is shipped, and those that judge it. */

import {
  appendDetections,
  appendImageProbabilities,
  type ClassProbabilities,
  IMAGE_PROBABILITIES,
  type ImageProbabilities,
  withCrops,
  withMirror,
  withoutDropout,
  type YoloSpec,
} from "../models/mod.ts";
import { copyGraph, foldBatchNormalization, type Graph, removeDead, reshape, topK, type Value } from "../onnx/mod.ts";
import type { LossContext, LossResult } from "../train/mod.ts";

/** Names of outputs that the library reads. */
export const OUTPUTS = {
  probabilities: "probabilities",
  boxes: "boxes",
  objectness: "objectness",
  scores: "scores",
} as const;

/** Outputs of a graph that judges: of all scores of a picture only the largest, and where in `scores` they stood. */
export const CANDIDATES = { scores: "candidates/scores", places: "candidates/places" } as const;

/** The most scores of a picture that are looked at as detections; COCO's figures take at most 100 boxes after suppression. */
const MOST_CANDIDATES = 1000;

/** The most scores of a batch that is judged: with 1,025 classes at 416 px a single picture has 11 million. */
const MOST_SCORES = 1.6e7;

/** What a model may average over: the picture alone, with its mirror image, or with its middle and its four corners. */
export const VIEWS = ["none", "mirror", "crops"] as const;

/** See `VIEWS`. */
export type Views = typeof VIEWS[number];

/** Pictures that a network looks at for one. */
const VIEW_COUNTS: Readonly<Record<Views, number>> = { none: 1, mirror: 2, crops: 6 };

/** A graph that gives the mean over the views for these outputs, and for all others what it gave; itself for "none". */
export function averageViews(graph: Graph, views: Views, average: readonly string[]): Graph {
  if (views === "none") return graph;
  return (views === "mirror" ? withMirror : withCrops)(graph, { input: "images", average });
}

/** How many pictures may be judged at a time, so that their scores need no more than a few hundred megabytes; at most `wanted`. */
export function judgedBatch(
  { heads, size, classes }: Pick<YoloSpec, "size" | "classes"> & {
    readonly heads: readonly { readonly stride: number; readonly anchors: readonly unknown[] }[];
  },
  wanted: number,
  views: Views = "none",
): number {
  const rows = heads.reduce((sum, { stride, anchors }) => sum + anchors.length * (size / stride) ** 2, 0);
  const scores = rows * classes * VIEW_COUNTS[views];
  return Math.max(1, Math.min(wanted, Math.floor(MOST_SCORES / Math.max(1, scores))));
}

/**
 * The graph that is shipped: "images" to "probabilities" [N, C], "boxes" [N, R, 4], "objectness" [N, R] and "scores" [N, R, C],
 * batch normalisation folded into the convolutions. The network's own graph is left as it is.
 */
export function shippedGraph(
  network: Graph,
  spec: YoloSpec,
  { how, classProbabilities }: { readonly how: ImageProbabilities; readonly classProbabilities: ClassProbabilities },
): Graph {
  const graph = withoutOutputs(copyGraph(network));
  appendImageProbabilities(graph, spec, { how, classProbabilities });
  appendDetections(graph, spec, { classProbabilities });
  return forInference(graph);
}

/** Takes away what only training needs, dropout and heads that no output reads, and folds batch normalisation; itself. */
export function forInference(graph: Graph): Graph {
  withoutDropout(graph);
  foldBatchNormalization(graph);
  removeDead(graph, { parameters: true });
  return graph;
}

/** A way from a network's outputs to one distribution over the classes: from a detector's cells, or a classifier's softmax. */
export type Way = ImageProbabilities | "softmax";

/** All ways. */
export const WAYS: readonly [Way, ...Way[]] = ["softmax", ...IMAGE_PROBABILITIES];

/** The name of an output with the distribution that one way gives. */
export function wayOutput(way: Way): string {
  return `${OUTPUTS.probabilities}/${way}`;
}

/**
 * The graph that tells how good a network is while it trains: the distribution of each way asked for (`wayOutput`), boxes, the
 * largest scores (`CANDIDATES`), and with `loss` the loss ("loss") and its parts ("loss/NAME"), fed as in training.
 */
export function judgingGraph(
  network: Graph,
  spec: YoloSpec,
  { ways, classProbabilities, loss }: {
    readonly ways: readonly ImageProbabilities[];
    readonly classProbabilities: ClassProbabilities;
    readonly loss?: ((context: LossContext) => LossResult) | undefined;
  },
): Graph {
  const graph = withoutOutputs(copyGraph(network));
  for (const way of ways) {
    graph.rename(appendImageProbabilities(graph, spec, { how: way, classProbabilities }), wayOutput(way));
  }
  appendDetections(graph, spec, { classProbabilities });
  keepCandidates(graph);
  if (loss) appendLoss(graph, loss);
  removeDead(graph);
  return graph;
}

/** In place of the output "scores" and "objectness" the largest scores of each picture, and their places. */
export function keepCandidates(graph: Graph): void {
  const scores = graph.value(OUTPUTS.scores), [, rows, classes] = scores.shape as [unknown, number, number];
  for (const name of [OUTPUTS.scores, OUTPUTS.objectness]) graph.removeOutput(graph.value(name));
  const { values, indices } = topK(reshape(scores, [0, rows * classes]), Math.min(MOST_CANDIDATES, rows * classes), {
    axis: 1,
  });
  graph.output(values, CANDIDATES.scores);
  graph.output(indices, CANDIDATES.places);
}

/** Appends a loss ("loss") and its parts ("loss/NAME"). */
export function appendLoss(graph: Graph, loss: (context: LossContext) => LossResult): void {
  const result = loss({
    graph,
    output: (name = "") => graph.value(name),
    value: (name) => graph.value(name),
    input: (name, dtype, shape) => graph.input(name, dtype, shape),
  });
  const { loss: scalar, metrics = {} }: { loss: Value; metrics?: Readonly<Record<string, Value>> } = "loss" in result
    ? result
    : { loss: result };
  graph.output(scalar, "loss");
  for (const [name, value] of Object.entries(metrics)) graph.output(value, `loss/${name}`);
}

/** The graph without its outputs; itself. */
export function withoutOutputs(graph: Graph): Graph {
  for (const output of [...graph.outputs]) graph.removeOutput(output);
  return graph;
}
