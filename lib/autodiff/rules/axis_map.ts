/** Operators that are a linear map along each axis by itself: their gradient is the transposed matrix, axis by axis. */

import { isStatic, matMul, reshape, type Shape, tensor, transpose, type Value } from "../../onnx/mod.ts";
import { composeShape } from "../broadcast.ts";
import type { RuleContext } from "../rule.ts";

/** For each output place along an axis: which input places it reads, and with what weights. */
export type AxisMap = readonly (readonly { readonly from: number; readonly weight: number }[])[];

/**
 * The gradient through a map along one axis: `gradient` has `map.length` places there, the result `size`.
 * One product of matrices with a constant [places, size]. Sizes behind the axis must be known.
 */
export function throughAxis(ctx: RuleContext, gradient: Value, axis: number, map: AxisMap, size: number): Value {
  const { graph } = ctx;
  const behind: Shape = gradient.shape.slice(axis + 1);
  if (!isStatic(behind)) throw ctx.fail(`expected known sizes behind axis ${axis}, found ${gradient}`);
  const places = map.length;
  const dense = new Array<number>(places * size).fill(0);
  map.forEach((reads, place) => reads.forEach(({ from, weight }) => dense[place * size + from]! += weight));
  const matrix = graph.constant(tensor(gradient.dtype, [places, size], dense));
  const rest = behind.reduce((a, b) => a * b, 1);
  const result = rest === 1
    ? matMul(reshape(gradient, [-1, places]), matrix)
    : matMul(transpose(matrix, [1, 0]), reshape(gradient, [-1, places, rest]));
  const target = gradient.shape.map((dim, i) => i === axis ? size : typeof dim === "number" ? dim : { axis: i });
  return reshape(result, composeShape(gradient, target));
}
