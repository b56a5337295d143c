/** Arithmetic that adds no node where the result is known: x · 1, x + 0, and operations on two known numbers. */

import {
  add as addNode,
  div as divNode,
  mul as mulNode,
  neg as negNode,
  sub as subNode,
  type Value,
} from "../onnx/mod.ts";

/** A factor or term: a value, or a number of the other's type. */
export type Term = Value | number;

/** The number a value is before anything runs: a constant with one element. */
export function constantNumber(term: Term): number | undefined {
  if (typeof term === "number") return term;
  if (term.kind !== "constant" || term.tensor?.data.length !== 1) return undefined;
  return Number(term.tensor.data[0]);
}

/** a · b. A one-element constant stands for a number, whatever its rank. */
export function times(a: Value, b: Term): Value {
  const left = constantNumber(a), right = constantNumber(b);
  if (left !== undefined && right !== undefined) return number(a, left * right);
  if (right === 1) return a;
  if (left === 1 && typeof b === "object") return b;
  if (right === -1) return negative(a);
  if (left === -1 && typeof b === "object") return negative(b);
  return mulNode(scalar(a), typeof b === "number" ? b : scalar(b));
}

/** a / b. */
export function over(a: Value, b: Term): Value {
  const left = constantNumber(a), right = constantNumber(b);
  if (left !== undefined && right !== undefined) return number(a, left / right);
  if (right === 1) return a;
  return divNode(scalar(a), typeof b === "number" ? b : scalar(b));
}

/** a + b. */
export function plus(a: Value, b: Term): Value {
  const left = constantNumber(a), right = constantNumber(b);
  if (left !== undefined && right !== undefined) return number(a, left + right);
  if (right === 0) return a;
  if (left === 0 && typeof b === "object") return b;
  return addNode(scalar(a), typeof b === "number" ? b : scalar(b));
}

/** a − b. */
export function minus(a: Term, b: Value): Value {
  const left = constantNumber(a), right = constantNumber(b);
  if (left !== undefined && right !== undefined) return number(b, left - right);
  if (right === 0 && typeof a === "object") return a;
  if (left === 0) return negative(b);
  return subNode(typeof a === "number" ? a : scalar(a), scalar(b));
}

/** −x. */
export function negative(x: Value): Value {
  const known = constantNumber(x);
  return known === undefined ? negNode(x) : number(x, -known);
}

/** A scalar constant of a value's type. */
function number(like: Value, content: number): Value {
  return like.graph.constant(content, { dtype: like.dtype, shape: [] });
}

/** A one-element constant without its axes of size 1, so that it cannot raise the rank of what it meets. */
function scalar(x: Value): Value {
  const known = constantNumber(x);
  return known === undefined || x.rank === 0 ? x : number(x, known);
}
