/** Which operators of a graph run in int8, which of its values are quantized, and which of them share a scale. */

import type { Graph, Node, Value } from "../../onnx/mod.ts";
import { InputError } from "../../runtime/mod.ts";
import type { Range } from "./numbers.ts";

/** What has weights: the layers. Their inputs by place. */
export interface Layer {
  readonly node: Node;
  /** Its output's name: how people and `keepFloat` name the layer. */
  readonly name: string;
  /** float32 initialisers. */
  readonly weight: Value;
  readonly bias: Value | undefined;
  /** The dimension of the weights that holds the output channels. */
  readonly axis: number;
}

/** Settings of `planQuantization`. */
export interface PlanOptions {
  /** Layers that stay in float32, by their output's or node's name. */
  readonly keepFloat?: readonly string[] | undefined;
}

/** What is quantized of a graph. */
export interface QuantizationPlan {
  /** Operators between DequantizeLinear and QuantizeLinear. */
  readonly nodes: ReadonlySet<Node>;
  /** The layers among them. */
  readonly layers: ReadonlyMap<Node, Layer>;
  /** Relu and Clip that alone read what an operator of `nodes` gives: nothing is quantized between the two. */
  readonly attached: ReadonlyMap<Node, Node>;
  /** Values that are quantized, with the values whose ranges theirs is made of: one scale for all that have the same ones. */
  readonly sources: ReadonlyMap<Value, readonly Value[]>;
}

/** Operators with an int8 form that has a scale of its own for its result (ONNX Runtime: QLinearAdd, QLinearMul, …). */
const RESCALING = new Set(["Add", "Mul", "GlobalAveragePool", "AveragePool", "LeakyRelu", "Sigmoid"]);

/** Operators that choose among elements or move them: in int8 when all that they read and write has one scale. */
const SHARING = new Set([
  ...["MaxPool", "Resize", "Concat", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Split"],
  ...["DepthToSpace", "SpaceToDepth", "Identity"],
]);

const MATRIX_PRODUCTS = new Set(["Gemm", "MatMul"]);

/** All layers of a prepared graph that can run in int8: convolutions and matrix products with fixed weights. */
export function layersOf(graph: Graph): Layer[] {
  return graph.nodes.map(layerOf).filter((layer) => layer !== undefined);
}

function layerOf(node: Node): Layer | undefined {
  const [x, weight, bias] = node.inputs;
  if (node.domain !== "" || !["Conv", "Gemm", "MatMul"].includes(node.opType)) return undefined;
  if (!x?.type || x.dtype !== "float32" || x.tensor || weight?.tensor?.dtype !== "float32") return undefined;
  if (bias && (bias.tensor?.dtype !== "float32" || bias.rank !== 1)) return undefined;
  const layer = { node, name: node.output().name, weight, bias };
  if (node.opType === "Conv") return { ...layer, axis: 0 };
  if (weight.rank !== 2) return undefined;
  if (node.opType === "MatMul") return { ...layer, axis: 1 };
  const plain = node.float("alpha") === 1 && node.float("beta") === 1 && node.int("transA") === 0;
  const axis = node.int("transB") === 1 ? 0 : 1;
  return plain && (!bias || bias.tensor!.data.length === weight.staticShape[axis]) ? { ...layer, axis } : undefined;
}

/**
 * Plans a prepared graph. Layers run in int8 unless they are kept in float; so does what lies between them. What comes after the last
 * layer, such as a softmax or the decoding of boxes, stays in float, and so does the result of a last matrix product.
 * Throws InputError for a layer in `keepFloat` that is none.
 */
export function planQuantization(
  graph: Graph,
  { keepFloat = [] }: PlanOptions = {},
): QuantizationPlan {
  const all = layersOf(graph), kept = new Set(keepFloat.map((name) => layerNamed(all, name)));
  const layers = new Map(all.filter((layer) => !kept.has(layer)).map((layer) => [layer.node, layer]));
  const consumers = graph.consumers();
  const readers = (value: Value) => consumers.get(value) ?? [];
  const leads = leadingValues(graph, layers, readers);
  const nodes = new Set<Node>(),
    attached = new Map<Node, Node>(),
    inInt8 = new Set<Value>(),
    quantized = new Set<Value>();
  const take = (node: Node) => {
    nodes.add(node);
    for (const input of node.inputs) if (input && isActivation(input)) quantized.add(input);
    const [output] = node.outputs, [only, ...others] = output ? readers(output) : [];
    const isAlone = output && only && others.length === 0 && !graph.outputs.includes(output);
    const rectifier = isAlone && isRectifier(only) && !SHARING.has(node.opType) ? only : undefined;
    // A matrix product can give float32 at once, and a last layer should: nothing is rounded after it.
    if (MATRIX_PRODUCTS.has(node.opType) && !leads.has((rectifier ?? node).output())) return;
    if (rectifier) attached.set(rectifier, node);
    for (const value of (rectifier ?? node).outputs) {
      if (!value) continue;
      inInt8.add(value);
      quantized.add(value);
    }
  };
  for (const node of graph.nodes) {
    if (node.domain !== "" || attached.has(node)) continue;
    const inputs = node.inputs.filter((value) => value !== undefined);
    const known = inputs.some((value) => inInt8.has(value));
    if (layers.has(node)) take(node);
    else if (!node.outputs.some((value) => value && leads.has(value)) || !known) continue;
    else if (RESCALING.has(node.opType) && inputs.every(isActivation)) take(node);
    else if (SHARING.has(node.opType) && isActivation(node.input(0))) take(node);
  }
  // What moves elements on the way from an input to the first layer, such as a mirror image.
  for (const node of graph.nodes.toReversed()) {
    if (nodes.has(node) || node.domain !== "" || !SHARING.has(node.opType)) continue;
    const outputs = node.outputs.filter((value) => value !== undefined);
    const isForLayers = outputs.every((value) =>
      isActivation(value) && readers(value).length > 0 && readers(value).every((reader) => nodes.has(reader)) &&
      !graph.outputs.includes(value)
    );
    if (isForLayers && isActivation(node.input(0))) take(node);
  }
  return { nodes, layers, attached, sources: sourcesOf(graph, nodes, quantized) };
}

function layerNamed(layers: readonly Layer[], name: string): Layer {
  const found = layers.find((layer) => layer.name === name || layer.node.name === name);
  if (found) return found;
  const known = layers.slice(0, 3).map((layer) => layer.name).join(", ");
  throw new InputError(`quantize: expected a layer (${known}, …) to keep in float, found "${name}"`);
}

/** Something computed or fed, float32. */
function isActivation(value: Value): boolean {
  return value.type !== undefined && value.dtype === "float32" && !value.tensor;
}

/** Relu, or Clip to fixed limits with 0 between them. */
function isRectifier(node: Node): boolean {
  if (node.domain !== "") return false;
  if (node.opType === "Relu") return true;
  if (node.opType !== "Clip") return false;
  const limit = (index: number, fallback: number) => {
    const value = node.inputs[index];
    return value ? Number(value.tensor?.data[0] ?? NaN) : fallback;
  };
  return limit(1, -Infinity) <= 0 && limit(2, Infinity) >= 0;
}

/** Values from which a quantized layer can be reached. */
function leadingValues(
  graph: Graph,
  layers: ReadonlyMap<Node, Layer>,
  readers: (value: Value) => readonly Node[],
): ReadonlySet<Value> {
  const leads = new Set<Value>();
  for (const node of graph.nodes.toReversed()) {
    for (const output of node.outputs) {
      if (!output) continue;
      const reaches = (reader: Node) => layers.has(reader) || reader.outputs.some((value) => value && leads.has(value));
      if (readers(output).some(reaches)) leads.add(output);
    }
  }
  return leads;
}

/** For each quantized value the values that give its range: itself, or those of all that it shares a scale with. */
function sourcesOf(
  graph: Graph,
  nodes: ReadonlySet<Node>,
  quantized: ReadonlySet<Value>,
): Map<Value, readonly Value[]> {
  const parent = new Map<Value, Value>();
  const root = (value: Value): Value => {
    const above = parent.get(value);
    return above ? root(above) : value;
  };
  const moved = new Set<Value>();
  for (const node of graph.nodes) {
    if (!nodes.has(node) || !SHARING.has(node.opType)) continue;
    const [first, ...others] = [...node.inputs, ...node.outputs].filter((value) => value && quantized.has(value));
    for (const value of others) if (root(value!) !== root(first!)) parent.set(root(value!), root(first!));
    for (const output of node.outputs) if (output) moved.add(output);
  }
  const groups = Map.groupBy(quantized, root);
  const result = new Map<Value, readonly Value[]>();
  for (const members of groups.values()) {
    const sources = members.filter((value) => !moved.has(value));
    for (const value of members) result.set(value, sources);
  }
  return result;
}

/** The range of values that share a scale. Throws InputError where one was not calibrated. */
export function rangeOf(sources: readonly Value[], ranges: ReadonlyMap<string, Range>): Range {
  const found = sources.map(({ name }) => {
    const range = ranges.get(name);
    if (!range) throw new InputError(`quantize: expected a calibrated range of "${name}", found none`);
    return range;
  });
  return { low: Math.min(...found.map(({ low }) => low)), high: Math.max(...found.map(({ high }) => high)) };
}
