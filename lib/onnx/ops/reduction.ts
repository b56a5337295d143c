/** Reductions along axes, the place of the largest, the k largest, and running sums. */

import type { Dim } from "../dims.ts";
import type { Node } from "../node.ts";
import { defineOperator, type ValueType } from "../registry.ts";
import type { Value } from "../value.ts";
import { apply, INDICES, type Named, NUMBERS, operands } from "./operand.ts";

/** Reductions whose axes are an attribute in opset 17; ReduceSum's are an input. */
const BY_ATTRIBUTE = [
  "ReduceMean",
  "ReduceMax",
  "ReduceMin",
  "ReduceProd",
  "ReduceL1",
  "ReduceL2",
  "ReduceLogSum",
  "ReduceLogSumExp",
  "ReduceSumSquare",
] as const;

for (const opType of BY_ATTRIBUTE) {
  defineOperator(opType, { inputs: ["x"], attributes: { axes: "ints", keepdims: ["int", 1] }, since: 1, infer });
}
defineOperator("ReduceSum", {
  inputs: ["x", "axes?"],
  attributes: { keepdims: ["int", 1], noop_with_empty_axes: ["int", 0] },
  since: 13,
  infer,
});
for (const opType of ["ArgMax", "ArgMin"]) {
  defineOperator(opType, {
    inputs: ["x"],
    attributes: { axis: ["int", 0], keepdims: ["int", 1], select_last_index: ["int", 0] },
    since: 12,
    infer(node) {
      node.dtypeOf(0, NUMBERS);
      const { shape } = node.input(0);
      const axis = node.axis(node.int("axis"), shape.length);
      return [{ dtype: "int64", shape: reduced(shape, [axis], node.int("keepdims") === 1) }];
    },
  });
}
defineOperator("TopK", {
  inputs: ["x", "k"],
  outputs: ["values", "indices"],
  attributes: { axis: ["int", -1], largest: ["int", 1], sorted: ["int", 1] },
  since: 11,
  infer(node) {
    const { shape } = node.input(0);
    const axis = node.axis(node.int("axis"), shape.length);
    node.dtypeOf(1, ["int64"]);
    const k = node.inputs[1]?.elements?.[0] ?? node.unknownDim(0, axis);
    const size = shape[axis]!;
    if (typeof k === "number" && (k < 0 || (typeof size === "number" && k > size))) {
      throw node.fail(`expected k in 0 … ${size} for ${node.describe(0)}, found ${k}`);
    }
    const result = shape.map((dim, i) => i === axis ? k : dim);
    return [{ dtype: node.dtypeOf(0, NUMBERS), shape: result }, { dtype: "int64", shape: result }];
  },
});
defineOperator("CumSum", {
  inputs: ["x", "axis"],
  attributes: { exclusive: ["int", 0], reverse: ["int", 0] },
  since: 11,
  infer(node) {
    const { shape } = node.input(0);
    node.dtypeOf(1, INDICES);
    const axis = node.knownInts(1)?.[0];
    if (axis !== undefined) node.axis(axis, shape.length);
    return [{ dtype: node.dtypeOf(0, NUMBERS), shape }];
  },
});

/**
 * The axes a reduction reduces, from 0 and ascending, wherever they are written; undefined when they are an input that
 * is not known. Throws OnnxError when one is out of range or stands twice.
 */
export function reducedAxes(node: Node): readonly number[] | undefined {
  const { rank } = node.input(0);
  let axes: readonly number[];
  if (node.opType === "ReduceSum") {
    if (node.inputs[1] && !node.knownInts(1)) return undefined;
    axes = node.knownInts(1) ?? [];
    if (axes.length === 0 && node.int("noop_with_empty_axes") === 1) return [];
  } else axes = node.ints("axes", []);
  if (axes.length === 0) return Array.from({ length: rank }, (_, i) => i);
  const found = axes.map((axis) => node.axis(axis, rank)).sort((a, b) => a - b);
  if (new Set(found).size < found.length) throw node.fail(`expected different axes, found [${axes.join(", ")}]`);
  return found;
}

function infer(node: Node): ValueType[] {
  const { shape } = node.input(0);
  const dtype = node.dtypeOf(0, NUMBERS);
  const axes = reducedAxes(node);
  const keep = node.int("keepdims") === 1;
  if (axes) return [{ dtype, shape: reduced(shape, axes, keep) }];
  if (keep) return [{ dtype, shape: shape.map((_, i) => node.unknownDim(0, i)) }];
  throw node.fail(`expected axes that are known, found ${node.describe(1)}`);
}

function reduced(shape: readonly Dim[], axes: readonly number[], keep: boolean): Dim[] {
  return keep ? shape.map((dim, i) => axes.includes(i) ? 1 : dim) : shape.filter((_, i) => !axes.includes(i));
}

/** Settings of a reduction. */
export interface ReduceOptions extends Named {
  /** Which axes; negative ones count from the end. Default: all. */
  readonly axes?: readonly number[] | number | undefined;
  /** Keep reduced axes with size 1. Default: false (ONNX's own default is true). */
  readonly keepdims?: boolean | undefined;
}

function reduce(opType: (typeof BY_ATTRIBUTE)[number]) {
  return (x: Value, { name, axes, keepdims = false }: ReduceOptions = {}): Value =>
    apply(opType, [x], { axes: typeof axes === "number" ? [axes] : axes, keepdims }, { name });
}

/** The sum along axes. No axes in the list ([]) leave x as it is. */
export function reduceSum(x: Value, { name, axes, keepdims = false }: ReduceOptions = {}): Value {
  const list = axes === undefined ? undefined : x.graph.ints(typeof axes === "number" ? [axes] : axes);
  const noop = typeof axes === "object" && axes.length === 0;
  return apply("ReduceSum", [x, list], { keepdims, noop_with_empty_axes: noop ? 1 : undefined }, { name });
}
/** The mean along axes. */
export const reduceMean = reduce("ReduceMean");
/** The largest element along axes. */
export const reduceMax = reduce("ReduceMax");
/** The smallest element along axes. */
export const reduceMin = reduce("ReduceMin");
/** The product along axes. */
export const reduceProd = reduce("ReduceProd");
/** Σ |x| along axes. */
export const reduceL1 = reduce("ReduceL1");
/** √Σ x² along axes. */
export const reduceL2 = reduce("ReduceL2");
/** log Σ x along axes. */
export const reduceLogSum = reduce("ReduceLogSum");
/** log Σ e^x along axes. */
export const reduceLogSumExp = reduce("ReduceLogSumExp");
/** Σ x² along axes. */
export const reduceSumSquare = reduce("ReduceSumSquare");

/** Settings of `argMax` and `argMin`. */
export interface ArgOptions extends Named {
  /** Default: the last. */
  readonly axis?: number;
  /** Default: false. */
  readonly keepdims?: boolean;
}

/** The place of the first largest element along an axis, int64. */
export const argMax = (x: Value, { name, axis = -1, keepdims = false }: ArgOptions = {}): Value =>
  apply("ArgMax", [x], { axis, keepdims }, { name });
/** The place of the first smallest element along an axis, int64. */
export const argMin = (x: Value, { name, axis = -1, keepdims = false }: ArgOptions = {}): Value =>
  apply("ArgMin", [x], { axis, keepdims }, { name });

/** The k largest (or smallest) elements along an axis, sorted, and their places (int64). */
export function topK(
  x: Value,
  k: number | Value,
  options: Named & { axis?: number; largest?: boolean } = {},
): { values: Value; indices: Value } {
  const { graph } = x;
  const count = typeof k === "number" ? graph.ints([k]) : k;
  const attributes = { axis: options.axis, largest: options.largest };
  const [values, indices] = graph.node("TopK", operands("TopK", [x, count]), attributes, {
    name: options.name,
    outputs: 2,
  });
  return { values: values!, indices: indices! };
}

/** Running sums along an axis; `exclusive` leaves the element itself out, `reverse` runs from the end. */
export const cumSum = (
  x: Value,
  axis: number,
  options: Named & { exclusive?: boolean; reverse?: boolean } = {},
): Value =>
  apply("CumSum", [x, x.graph.ints(axis)], { exclusive: options.exclusive, reverse: options.reverse }, options);
