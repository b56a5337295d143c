/** A classifier as the K210's compiler takes it: one picture, folded, its last layer in parts that the chip can compute. */

import {
  concat,
  conv,
  copyGraph,
  flatten,
  foldBatchNormalization,
  foldConstants,
  globalAveragePool,
  type Graph,
  type Node,
  removeDead,
  sortNodes,
  takeOver,
  tensor,
  toModel,
  type Value,
} from "../../onnx/mod.ts";
import { bodyOf, linearHead, linearWeights, viewsOf } from "../targets/classifier_body.ts";
import { K210 } from "./check.ts";

/** Of the file: nncase 1.x reads ONNX up to opset 13 and older IR; 12 and 7 are what its own tests use. */
export const K210_ONNX = { opset: 12, irVersion: 7 } as const;

/** Names of the prepared graph's input and output. */
export const K210_VALUES = { images: "images", logits: "logits" } as const;

/** A classifier for the chip. */
export interface PreparedClassifier {
  /** "images" [1, 3, rows, columns], what the source's first convolution takes, to "logits" [1, classes]. */
  readonly graph: Graph;
  readonly classes: number;
  /** Outputs of each part of the last layer; one where it was small enough. */
  readonly parts: readonly number[];
  /** Views that the source averaged over, of which the prepared graph sees the first. 1: it had none. */
  readonly views: number;
}

/**
 * Prepares a classifier of `lib/models` (convolutions, the mean over all places, one linear layer, softmax; views of a picture around
 * it or none), trained or shipped, with weights in any storage. Views are left aside: the graph begins at the first convolution. Batch
 * normalisation and constants are folded. The linear layer and the mean change places, for they commute, and the linear layer becomes
 * convolutions 1x1 of at most 1,024 outputs each, whose means are joined. The softmax is for the runner. The source is left as it is.
 *
 * Throws InputError for another kind of network.
 */
export async function prepareForK210(source: Graph): Promise<PreparedClassifier> {
  const graph = await foldedForK210(source);
  const { linear, pool } = linearHead(graph);
  const { body: prepared, images } = bodyForK210(graph, pool.input(0));
  const map = prepared.outputs[0]!;
  prepared.removeOutput(map);
  const { weight, bias, classes, features } = linearWeights(linear);
  const parts = splitOutputs(classes);
  let from = 0;
  const means = parts.map((outputs, i) => {
    const kernel = tensor(
      "float32",
      [outputs, features, 1, 1],
      weight.subarray(from * features, (from + outputs) * features),
    );
    const shift = tensor("float32", [outputs], bias.subarray(from, from += outputs));
    const name = `classifier.part${i}`;
    return globalAveragePool(conv(map, prepared.constant(kernel, { name: `${name}.weight` }), {
      ...{ name, bias: prepared.constant(shift, { name: `${name}.bias` }) },
    }));
  });
  prepared.output(flatten(means.length > 1 ? concat(means, 1) : means[0]!), K210_VALUES.logits);
  removeDead(prepared, { parameters: true });
  return { graph: prepared, classes, parts, views: viewsOf(graph, images) };
}

/** A copy with its constants computed and batch normalisation folded into the convolutions. */
export async function foldedForK210(source: Graph): Promise<Graph> {
  const graph = copyGraph(source);
  await foldConstants(graph, { parameters: true });
  foldBatchNormalization(graph);
  removeDead(graph, { parameters: true });
  return graph;
}

/**
 * The part of a folded graph from what its first convolution takes, as "images" [1, 3, rows, columns], to a value, whose name it keeps;
 * strides as `strideToPointwise` leaves them. `images` is the value of the folded graph at which the part begins. Throws InputError
 * for a graph without convolutions or with pictures of an open size.
 */
export function bodyForK210(graph: Graph, end: Value): { readonly body: Graph; readonly images: Value } {
  const { body, images } = bodyOf(graph, end, K210_VALUES.images);
  strideToPointwise(body);
  return { body, images };
}

/** The bytes of the file that the compiler reads: opset 12, IR 7, and the shapes of all inner values, which it does not infer itself. */
export function k210Model(graph: Graph): Uint8Array<ArrayBuffer> {
  return toModel(graph, { ...K210_ONNX, valueInfo: true });
}

/**
 * Moves strides of 2 from depthwise convolutions 3x3 to the pointwise convolution behind them: the KPU computes a depthwise layer at all
 * places, and only a pointwise one can leave three of four aside as it writes; otherwise the processor takes every second place, and the
 * map leaves the KPU's memory and comes back. What lies between looks at each place by itself, so nothing changes. Returns how many.
 */
export function strideToPointwise(graph: Graph): number {
  let moved = 0;
  for (const spatial of [...graph.nodes]) {
    const channels = spatial.opType === "Conv" ? spatial.input(1).shape[0] : undefined;
    if (typeof channels !== "number" || spatial.int("group", 1) !== channels || channels === 1) continue;
    if (String(spatial.ints("strides", [1, 1])) !== "2,2") continue;
    const between: Node[] = [];
    let next = onlyReader(graph, spatial);
    while (next && EACH_PLACE.has(next.opType)) {
      between.push(next);
      next = onlyReader(graph, next);
    }
    const isPointwise = next?.opType === "Conv" && next.int("group", 1) === 1 &&
      String(next.ints("strides", [1, 1])) === "1,1" && String(next.input(1).shape.slice(2)) === "1,1" &&
      next.ints("pads", [0, 0, 0, 0]).every((pad) => pad === 0);
    if (!next || !isPointwise) continue;
    let value = spatial.input(0);
    for (const node of [spatial, ...between, next]) {
      const strides = node === spatial ? [1, 1] : node === next ? [2, 2] : undefined;
      const attributes = { ...Object.fromEntries(node.attributes), ...(strides ? { strides } : {}) };
      [value] = graph.node(node.opType, [value, ...node.inputs.slice(1)], attributes) as [Value];
    }
    takeOver(graph, next.output(), value);
    sortNodes(graph);
    removeDead(graph);
    moved++;
  }
  return moved;
}

/** A layer's outputs in as few parts as the chip can compute, as even as may be: 1,025 are 513 and 512. */
export function splitOutputs(outputs: number, most: number = K210.channels): number[] {
  const parts = Math.ceil(outputs / most);
  return Array.from({ length: parts }, (_, i) => Math.floor(outputs / parts) + (i < outputs % parts ? 1 : 0));
}

/** Operators with one input that look at each place by itself. */
const EACH_PLACE = new Set([
  "Relu",
  "LeakyRelu",
  "Clip",
  "Sigmoid",
  "Tanh",
  "HardSigmoid",
  "HardSwish",
  "Elu",
  "Identity",
]);

function onlyReader(graph: Graph, node: Node): Node | undefined {
  const readers = graph.consumers().get(node.output()) ?? [];
  return readers.length === 1 && !graph.outputs.includes(node.output()) ? readers[0] : undefined;
}
