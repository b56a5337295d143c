/** How much a network moves: the elements of weights and activations that one run reads and writes. */

import { ancestors, elementCount, elementSize, type Graph, type Node, type Value } from "../onnx/mod.ts";
import { type CountOptions, weightKinds, withSizes } from "./flops.ts";

/** Elements that one run moves; times the bytes of an element they are the bytes. */
export interface Traffic {
  /** Each weight once, however often it is used. */
  readonly weights: number;
  /** The same in bytes, as they lie in the file. */
  readonly weightBytes: number;
  /** What operators read of each other's results, and what they write. */
  readonly activations: number;
  /** Of the inputs and of the outputs alone: what crosses to a chip that keeps all else. */
  readonly ports: number;
}

/** Operators that give another shape to the same elements where they lie. */
const VIEWS = new Set(["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Shape", "Dropout"]);

/** What runtimes compute on a layer's results before they are written. */
const FUSED = new Set([
  "Relu",
  "LeakyRelu",
  "Clip",
  "Sigmoid",
  "HardSigmoid",
  "HardSwish",
  "Elu",
  "BatchNormalization",
]);

/** Layers that such operators are fused into. */
const LAYERS = new Set(["Conv", "ConvTranspose", "Gemm"]);

/**
 * Counts the elements that a run moves were every result written to memory and read back by each of its readers: caches make it less,
 * and so it is a measure to compare networks by, not a measurement. Activations right behind a layer are computed before its results
 * are written; changes of shape move nothing, nor does what is made of weights alone. Batch of 1 unless `sizes` says otherwise. Throws
 * EvaluateError for a size left open.
 */
export function countTraffic(graph: Graph, options: CountOptions = {}): Traffic {
  const sized = withSizes(graph, options), readers = sized.consumers();
  const elements = (value: Value) => elementCount(value.staticShape);
  const needed: ReadonlySet<Node> = ancestors(sized.outputs, new Set()).nodes;
  const fromInputs = new Set<Value | undefined>(sized.inputs);
  let activations = 0;
  for (const node of sized.nodes) {
    const read = node.inputs.filter((value): value is Value => fromInputs.has(value));
    if (!needed.has(node) || read.length === 0) continue;
    for (const output of node.outputs) fromInputs.add(output);
    if (VIEWS.has(node.opType)) continue;
    for (const value of read) if (!isFused(value.producer, node, readers)) activations += elements(value);
    const [next] = readers.get(node.output()) ?? [];
    if (next && isFused(node, next, readers)) continue;
    for (const value of node.outputs) if (value) activations += elements(value);
  }
  let weights = 0, weightBytes = 0;
  for (const { tensor, dtype } of weightKinds(sized).keys()) {
    weights += tensor!.data.length;
    weightBytes += tensor!.data.length * elementSize(dtype);
  }
  const ports = [...sized.inputs, ...sized.outputs].reduce((sum, value) => sum + elements(value), 0);
  return { weights, weightBytes, activations, ports };
}

/** Whether what `node` does is computed on the results of the layer before they are written. */
function isFused(layer: Node | undefined, node: Node, readers: ReturnType<Graph["consumers"]>): boolean {
  return layer !== undefined && LAYERS.has(layer.opType) && FUSED.has(node.opType) &&
    readers.get(layer.output())?.length === 1 && !layer.graph.outputs.includes(layer.output());
}

/** Bytes that a run moves with elements of so many bytes. */
export function bytesMoved({ weights, activations }: Pick<Traffic, "weights" | "activations">, width: number): number {
  return width * (weights + activations);
}
