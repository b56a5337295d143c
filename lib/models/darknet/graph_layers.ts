/** The layers of an ONNX graph that have weights in Darknet's files: where their numbers are, in the file's order. */

import { type Graph, type Node, tensor, type Value } from "../../onnx/mod.ts";
import { ModelError } from "../errors.ts";
import { toDarknetVariance, toOnnxVariance } from "./variance.ts";
import type { BlockShape, WeightBlock } from "./weights.ts";

/** A convolution or connected layer of a graph. */
export interface GraphLayer extends BlockShape {
  readonly node: Node;
  readonly weight: Value;
  readonly bias: Value | undefined;
  readonly norm: { readonly node: Node; readonly values: readonly Value[]; readonly epsilon: number } | undefined;
}

/** The convolutions and connected layers in the order of the graph's nodes. Throws ModelError for one that Darknet cannot have. */
export function graphLayers(graph: Graph): GraphLayer[] {
  const readers = graph.consumers();
  return graph.nodes.filter(({ opType, domain }) => domain === "" && (opType === "Conv" || opType === "Gemm"))
    .map((node) => graphLayer(node, readers));
}

/** One convolution (Conv) or connected layer (Gemm). */
export function graphLayer(node: Node, readers: ReadonlyMap<Value, readonly Node[]>): GraphLayer {
  const weight = initialiser(node, 1);
  if (node.opType === "Gemm" && node.int("transB") !== 1) {
    throw new ModelError(`${node}: expected weights [outputs, inputs] (transB = 1), found them the other way`);
  }
  const [outputs = 0, ...rest] = weight.staticShape;
  const next = readers.get(node.output()) ?? [];
  const norm = next.length === 1 && next[0]!.opType === "BatchNormalization" ? next[0]! : undefined;
  const bias = node.inputs[2] && initialiser(node, 2);
  if (norm && bias) {
    throw new ModelError(`${node}: expected no bias before ${norm}, found ${bias}; Darknet has one of the two`);
  }
  return {
    node,
    place: String(node),
    outputs,
    inputs: rest.reduce((product, size) => product * size, 1),
    batchNormalize: norm !== undefined,
    weight,
    bias: norm ? initialiser(norm, 2) : bias,
    norm: norm &&
      { node: norm, values: [1, 3, 4].map((index) => initialiser(norm, index)), epsilon: norm.float("epsilon") },
  };
}

/** The layer's numbers as Darknet has them. */
export function readGraphLayer({ weight, bias, norm, outputs }: GraphLayer): WeightBlock {
  const data = (value: Value) => value.tensor!.data as Float32Array;
  const block = { bias: bias ? data(bias) : new Float32Array(outputs), weight: data(weight) };
  if (!norm) return block;
  const [scale, mean, variance] = norm.values.map(data) as [Float32Array, Float32Array, Float32Array];
  return { ...block, scale, mean, variance: toDarknetVariance(variance, norm.epsilon) };
}

/** Puts a layer's numbers into the graph. */
export function writeGraphLayer(layer: GraphLayer, block: WeightBlock): void {
  const { norm, bias, weight } = layer;
  const set = (value: Value, content: Float32Array) =>
    value.graph.setTensor(value, tensor("float32", value.staticShape, content));
  set(weight, block.weight);
  if (bias) set(bias, block.bias);
  else if (block.bias.some((value) => value !== 0)) {
    throw new ModelError(`${layer.node}: expected a bias that takes ${layer.outputs} numbers, found none in the graph`);
  }
  if (!norm) return;
  const [scale, mean, variance] = norm.values as [Value, Value, Value];
  set(scale, block.scale!);
  set(mean, block.mean!);
  set(variance, toOnnxVariance(block.variance!, norm.epsilon));
}

function initialiser(node: Node, index: number): Value {
  const value = node.input(index);
  if (value.tensor?.dtype === "float32") return value;
  throw new ModelError(`${node}: expected float32 weights that stand in the file, found ${value.kind} ${value}`);
}
