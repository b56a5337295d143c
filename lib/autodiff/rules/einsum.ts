/** The gradient of Einstein sums. */

import {
  cast,
  einsum,
  einsumTerms,
  equal,
  expand,
  type Graph,
  mul,
  range,
  squeeze,
  unsqueeze,
  type Value,
} from "../../onnx/mod.ts";
import { composeShape, shapeValue, sumTo } from "../broadcast.ts";
import { defineRule, type RuleContext } from "../rule.ts";

/**
 * y = einsum("…A, …B -> …Y", a, b) with one or more operands. The gradient of an operand is the Einstein sum of g and
 * the other operands over the labels that it does not have:
 *
 * - a label that only this operand has was summed away: its gradient is the same along that axis;
 * - a label that this operand has twice is its diagonal: the gradient is put on a diagonal of zeros;
 * - an axis of size 1 that met a larger one was broadcast: the gradient is summed over it.
 */
defineRule("Einsum", (ctx) => {
  const { terms, output } = einsumTerms(ctx.node);
  const letters = spelling([...terms.flat(), ...output]);
  return ctx.needs.map((needed, i) => needed ? operandGradient(ctx, i, terms, output, letters) : undefined);
});

function operandGradient(
  ctx: RuleContext,
  index: number,
  terms: readonly (readonly string[])[],
  output: readonly string[],
  letters: ReadonlyMap<string, string>,
): Value {
  const spell = (labels: readonly string[]) => labels.map((label) => letters.get(label)!).join("");
  const own = terms[index]!;
  const once = [...new Set(own)];
  const others = terms.flatMap((term, i) => i === index ? [] : [{ i, term }]);
  const elsewhere = new Set([...output, ...others.flatMap(({ term }) => term)]);
  const summed = once.filter((label) => elsewhere.has(label));
  const operands = [ctx.gradient, ...others.map(({ i }) => ctx.input(i))];
  const left = [output, ...others.map(({ term }) => term)].map(spell);
  // Nothing to do when the gradient already has the operand's labels in their order.
  let result = others.length === 0 && left[0] === spell(summed)
    ? ctx.gradient
    : einsum(`${left.join(",")}->${spell(summed)}`, operands);
  const missing = once.flatMap((label, axis) => elsewhere.has(label) ? [] : [axis]);
  if (missing.length > 0) result = unsqueeze(result, missing);
  if (once.length < own.length) return onDiagonal(ctx, index, own, result);
  return sumTo(result, result, ctx.shape(index).map((dim, axis) => result.shape[axis] === 1 ? 1 : dim));
}

/** Puts a value with one axis a label where all axes of a repeated label have the same index, zeros elsewhere. */
function onDiagonal(ctx: RuleContext, index: number, own: readonly string[], value: Value): Value {
  const operand = ctx.node.input(index);
  // A repeated axis is put in with size 1 and filled by the mask.
  const repeats = own.flatMap((label, axis) => own.indexOf(label) === axis ? [] : [axis]);
  let result = unsqueeze(value, repeats);
  for (const axis of repeats) {
    const first = own.indexOf(own[axis]!);
    const places = (at: number) => {
      const line = positions(ctx.graph, operand, at);
      return unsqueeze(line, own.flatMap((_, i) => i === at ? [] : [i]));
    };
    result = mul(result, cast(equal(places(first), places(axis)), value.dtype));
  }
  return expand(result, shapeValue(operand));
}

/** 0, 1, … for an axis of a value, int64. */
function positions(graph: Graph, value: Value, axis: number): Value {
  const size = value.shape[axis]!;
  if (typeof size === "number") return graph.ints(Array.from({ length: size }, (_, i) => i));
  return range(graph.ints(0), squeeze(composeShape(value, [{ axis }]), [0]), graph.ints(1));
}

/** A letter for each label; those of an ellipsis get letters that the equation does not use. */
function spelling(labels: readonly string[]): ReadonlyMap<string, string> {
  const used = new Set(labels.filter((label) => label.length === 1));
  const free = [..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"].filter((letter) => !used.has(letter));
  const result = new Map<string, string>();
  for (const label of labels) {
    if (!result.has(label)) result.set(label, label.length === 1 ? label : free.shift()!);
  }
  return result;
}
