/** Which initialisers of a graph are weights that can be trained. */

import { type Graph, isFloat, type Node, type Value } from "../onnx/mod.ts";

/** Inputs of operators that hold weights by their nature. */
const WEIGHT_INPUTS: Readonly<Record<string, readonly number[]>> = {
  Conv: [1, 2],
  ConvTranspose: [1, 2],
  Gemm: [0, 1, 2],
  MatMul: [0, 1],
  Einsum: [0, 1],
  BatchNormalization: [1, 2],
  LayerNormalization: [1, 2],
  InstanceNormalization: [1, 2],
  GroupNormalization: [1, 2],
  PRelu: [1],
  Gather: [0],
};

/** Inputs that hold weights (biases, embeddings of positions, class tokens) once something was computed with weights. */
const LATER_INPUTS: Readonly<Record<string, readonly number[]>> = {
  Add: [0, 1],
  Sub: [0, 1],
  Mul: [0, 1],
  Div: [0, 1],
  Concat: [0, 1, 2, 3],
};

/** Operators whose first input is only brought into another shape or type. */
const CARRIERS = [
  "Identity",
  "Transpose",
  "Reshape",
  "Squeeze",
  "Unsqueeze",
  "Flatten",
  "Expand",
  "Cast",
  "CastLike",
  "Slice",
];

/**
 * The trainable initialisers: those marked as parameters; in a file that marks none (one that was not written here),
 * the floating-point ones that convolutions, matrix products, normalisations, PRelu slopes and embeddings read, and tensors of more than one finite
 * element that are added, multiplied or joined to what depends on such weights. Constants that are applied to the
 * input, such as a mean and deviation of colours, are not; single numbers are not.
 */
export function findWeights(graph: Graph): readonly Value[] {
  if (graph.parameters.length > 0) return graph.parameters;
  const carried = new Map<Value, Value>(); // what holds an initialiser in another shape → that initialiser
  for (const value of graph.initialisers) if (isFloat(value.dtype)) carried.set(value, value);
  const found = new Set<Value>();
  const depends = new Set<Value>();
  for (const node of graph.nodes) {
    const carrier = CARRIERS.includes(node.opType) && node.domain === "";
    const source = carrier ? node.inputs[0] && carried.get(node.inputs[0]) : broadBySum(node, carried);
    const [result] = node.outputs;
    if (source && result) {
      carried.set(result, source);
      if (found.has(source)) depends.add(result);
      continue;
    }
    const later = node.inputs.some((input) => input && depends.has(input));
    for (const index of weightInputs(node, later)) {
      const input = node.inputs[index];
      const weight = input && carried.get(input);
      const direct = weight === input && WEIGHT_INPUTS[node.opType] !== undefined;
      if (weight && (direct || isWeight(weight))) found.add(weight);
    }
    if (later || node.inputs.some((input) => input && found.has(carried.get(input) ?? input))) {
      for (const output of node.outputs) if (output) depends.add(output);
    }
  }
  return graph.initialisers.filter((value) => found.has(value));
}

function weightInputs(node: Node, later: boolean): readonly number[] {
  if (node.domain !== "") return [];
  return WEIGHT_INPUTS[node.opType] ?? (later ? LATER_INPUTS[node.opType] ?? [] : []);
}

/** A vector plus one number on a larger shape: openai/CLIP repeats its class token so, by adding zeros. */
function broadBySum(node: Node, carried: ReadonlyMap<Value, Value>): Value | undefined {
  if (node.opType !== "Add" || node.domain !== "") return undefined;
  const sources = node.inputs.map((input) => input && carried.get(input));
  const number = sources.find((source) => source?.tensor?.data.length === 1);
  return number && sources.find((source) => source !== undefined && source.tensor!.data.length > 1);
}

function isWeight({ tensor }: Value): boolean {
  return tensor !== undefined && tensor.data.length > 1 &&
    (tensor.data as Float32Array).every((element) => Number.isFinite(element));
}

/**
 * Marks the weights of a graph from elsewhere as parameters, before others are added to it (a new head): of a graph with marked
 * parameters only those are trained. Returns them.
 */
export function markWeights(graph: Graph): readonly Value[] {
  const found = findWeights(graph);
  for (const value of found) graph.setTrainable(value);
  return found;
}
