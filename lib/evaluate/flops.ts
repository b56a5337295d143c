/** How much a model computes and holds: operations and parameters counted from its graph, before anything runs. */

import { copyGraph, einsumTerms, elementCount, type Graph, isStatic, type Node, type Value } from "../onnx/mod.ts";
import { EvaluateError } from "./errors.ts";

/** What the nodes of one operator cost together. */
export interface OperatorCost {
  readonly nodes: number;
  readonly macs: number;
  readonly other: number;
}

/** What a model costs for one run. */
export interface OperationCount {
  /** Multiply-accumulate steps of convolutions and matrix products. */
  readonly macs: number;
  /** 2 · macs: what Darknet's and YOLOv3's "BFLOPs" count. Papers that say "FLOPs" often mean `macs`. */
  readonly flops: number;
  /** Sums, activations, normalisations, biases: one for each element, two in a BatchNormalization. */
  readonly elementwise: number;
  /** One for each element of each pooling window. */
  readonly pooling: number;
  /** Learned numbers: weights, biases, scales and offsets of normalisations. */
  readonly parameters: number;
  /** Running means and variances of normalisations, which are no parameters but stand in the file. */
  readonly statistics: number;
  /** By operator, the costliest first. */
  readonly byOperator: Readonly<Record<string, OperatorCost>>;
  /** Operators whose cost is not known: it is in no figure. */
  readonly uncounted: readonly string[];
}

export interface CountOptions {
  /** Sizes for symbols of the inputs' shapes, e.g. `{ H: 416, W: 416 }`. The first dimension is 1 unless it is given here. */
  readonly sizes?: Readonly<Record<string, number>>;
}

/** Operators that only move, name or make elements. */
const MOVES = new Set(
  ("Cast CastLike Concat Constant ConstantOfShape DepthToSpace Dropout Expand EyeLike Flatten Gather GatherElements " +
    "GatherND Identity OneHot Pad Range Reshape Shape Size Slice SpaceToDepth Split Squeeze Tile Transpose Trilu " +
    "Unsqueeze ScatterElements ScatterND MaxUnpool").split(" "),
);
const POOLS = new Set(["MaxPool", "AveragePool", "LpPool"]);
/** Operators whose work depends on the data, or that this file does not know the work of. */
const UNKNOWN = new Set(["NonMaxSuppression", "NonZero"]);

/**
 * Counts the operations of one run and the parameters. Throws EvaluateError when a size of an input is a symbol that
 * `sizes` does not give.
 */
export function countOperations(graph: Graph, options: CountOptions = {}): OperationCount {
  const sized = withSizes(graph, options);
  const costs = new Map<string, { nodes: number; macs: number; other: number }>(), uncounted = new Set<string>();
  let elementwise = 0, pooling = 0;
  for (const node of sized.nodes) {
    const cost = costOf(node);
    const name = node.domain === "" ? node.opType : `${node.domain}.${node.opType}`;
    if (!cost) {
      uncounted.add(name);
      continue;
    }
    elementwise += cost.elementwise ?? 0;
    pooling += cost.pooling ?? 0;
    const row = costs.get(name) ?? { nodes: 0, macs: 0, other: 0 };
    row.nodes++;
    row.macs += cost.macs ?? 0;
    row.other += (cost.elementwise ?? 0) + (cost.pooling ?? 0);
    costs.set(name, row);
  }
  const macs = costs.values().reduce((sum, each) => sum + each.macs, 0);
  const rows = [...costs].sort(([, a], [, b]) => b.macs - a.macs || b.other - a.other);
  return {
    macs,
    flops: 2 * macs,
    elementwise,
    pooling,
    ...countParameters(graph),
    byOperator: Object.fromEntries(rows),
    uncounted: [...uncounted].sort(),
  };
}

/** A copy of the graph whose shapes are numbers. Throws EvaluateError when a size of an input is not given. */
export function withSizes(graph: Graph, { sizes = {} }: CountOptions = {}): Graph {
  const symbols: Record<string, number> = {};
  for (const input of graph.inputs) {
    for (const [i, dim] of input.shape.entries()) {
      if (typeof dim === "number") continue;
      const size = sizes[dim] ?? (i === 0 ? 1 : undefined);
      if (size === undefined) {
        throw new EvaluateError(`countOperations: expected a size for "${dim}" of input ${input}, found none`);
      }
      symbols[dim] = size;
    }
  }
  return copyGraph(graph, { symbols });
}

/** Operators whose later inputs are settings of how they work, such as scales, and nothing learned. */
const SETTINGS = new Set(["Resize", "QuantizeLinear", "DequantizeLinear"]);

/** Learned numbers of a graph, and running statistics. Scalars, settings and integers of more than 8 bits are neither. */
export function countParameters(graph: Graph): { readonly parameters: number; readonly statistics: number } {
  let parameters = 0, statistics = 0;
  for (const [value, kind] of weightKinds(graph)) {
    const { length } = value.tensor!.data;
    if (kind === "statistic") statistics += length;
    else parameters += length;
  }
  return { parameters, statistics };
}

/** The initialisers that count: learned numbers and running statistics. */
export function weightKinds(graph: Graph): ReadonlyMap<Value, "parameter" | "statistic"> {
  const running = new Set<Value | undefined>(), settings = new Set<Value | undefined>();
  for (const { opType, inputs } of graph.nodes) {
    if (opType === "BatchNormalization") { for (const value of inputs.slice(3)) running.add(value); }
    if (SETTINGS.has(opType)) { for (const value of inputs.slice(1)) settings.add(value); }
  }
  const kinds = new Map<Value, "parameter" | "statistic">();
  for (const value of graph.initialisers) {
    const learned = value.rank > 0 && /float|int8/.test(value.dtype) && !settings.has(value);
    if (running.has(value)) kinds.set(value, "statistic");
    else if (value.kind === "parameter" || learned) kinds.set(value, "parameter");
  }
  return kinds;
}

/** What one node costs. */
export interface NodeCost {
  readonly macs?: number;
  readonly elementwise?: number;
  readonly pooling?: number;
}

/** What a node of a graph with known sizes costs, or undefined when that is not known. */
export function costOf(node: Node): NodeCost | undefined {
  if (MOVES.has(node.opType) && node.domain === "") return {};
  if (!node.spec || UNKNOWN.has(node.opType)) return undefined;
  const values = [...node.inputs, ...node.outputs].filter((value) => value !== undefined);
  if (!values.every((value) => value.type && isStatic(value.shape))) return undefined;
  const of = (value: Value | undefined) => value ? elementCount(value.staticShape) : 0;
  const out = of(node.output());
  const biased = (index: number) => node.inputs[index] ? out : 0;
  switch (node.opType) {
    case "Conv":
      return { macs: out * of(node.input(1)) / outer(node.input(1)), elementwise: biased(2) };
    case "ConvTranspose":
      return { macs: of(node.input(0)) * of(node.input(1)) / outer(node.input(1)), elementwise: biased(2) };
    case "Gemm": {
      const [rows, columns] = node.input(0).staticShape;
      return { macs: out * (node.int("transA") === 0 ? columns! : rows!), elementwise: biased(2) };
    }
    case "MatMul":
    case "MatMulInteger":
    case "QLinearMatMul":
      return { macs: out * node.input(0).staticShape.at(-1)! };
    case "Einsum":
      return einsumCost(node);
    case "BatchNormalization":
      return { elementwise: 2 * out };
    case "GlobalAveragePool":
    case "GlobalMaxPool":
      return { pooling: of(node.input(0)) };
    default:
      if (POOLS.has(node.opType)) return { pooling: out * elementCount(node.ints("kernel_shape")) };
      return { elementwise: Math.max(out, ...node.inputs.map(of)) };
  }
}

/** Sizes of the weight's first dimension; 1 for one without elements, whose product is 0 anyway. */
function outer(weight: Value): number {
  return Math.max(1, weight.staticShape[0]!);
}

/** One product for each combination of labels, as of one nested loop. A sum over one operand multiplies nothing. */
function einsumCost(node: Node): NodeCost {
  const sizes = new Map<string, number>();
  einsumTerms(node).terms.forEach((term, i) => {
    const { staticShape } = node.input(i);
    term.forEach((label, at) => sizes.set(label, Math.max(sizes.get(label) ?? 1, staticShape[at]!)));
  });
  const steps = sizes.values().reduce((product, size) => product * size, 1);
  const factors = node.inputs.length - 1;
  return factors === 0 ? { elementwise: steps } : { macs: steps * factors };
}
