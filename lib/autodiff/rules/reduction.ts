/**
 * Gradients of reductions. The gradient of the result is given axes of size 1 where the reduction took them away, and
 * then broadcasts to the input by itself: no Expand is written.
 */

import {
  cast,
  cumSum,
  equal,
  exp,
  max,
  mul,
  reducedAxes,
  reduceL1,
  reduceL2,
  reduceProd,
  reduceSum,
  scatterElements,
  sign,
  sub,
  unsqueeze,
  type Value,
  where,
} from "../../onnx/mod.ts";
import { countOf, zerosLike } from "../broadcast.ts";
import { defineRule, type RuleContext } from "../rule.ts";
import { constantNumber, minus, over, times } from "../simplify.ts";

/** y = Σ x: dx = g. */
defineRule("ReduceSum", (ctx) => [kept(ctx, ctx.compactGradient)]);

/** y = Σ x / n: dx = g / n. */
defineRule("ReduceMean", (ctx) => {
  const count = countOf(ctx.node.input(0), axesOf(ctx));
  const g = kept(ctx, ctx.compactGradient);
  return [typeof count === "number" ? times(g, 1 / count) : over(g, count)];
});

/**
 * y = max x or min x: the gradient goes to the place of the extremum; where several elements are equal to it, each gets
 * the same share, as PyTorch's amax has it.
 */
defineRule(["ReduceMax", "ReduceMin"], (ctx) => {
  const x = ctx.input(0);
  const mask = cast(equal(x, kept(ctx, ctx.output())), x.dtype);
  const share = over(kept(ctx, ctx.compactGradient), reduceSum(mask, { axes: axesOf(ctx), keepdims: true }));
  return [times(share, mask)];
});

/** y = log Σ eˣ: dx = g · e^(x − y). */
defineRule("ReduceLogSumExp", (ctx) => [
  times(kept(ctx, ctx.compactGradient), exp(sub(ctx.input(0), kept(ctx, ctx.output())))),
]);

/** y = log Σ x: dx = g / Σ x = g · e^(−y). */
defineRule("ReduceLogSum", (ctx) => [over(kept(ctx, ctx.compactGradient), exp(kept(ctx, ctx.output())))]);

/** y = Σ x²: dx = 2 · g · x. */
defineRule("ReduceSumSquare", (ctx) => [times(times(kept(ctx, ctx.compactGradient), 2), ctx.input(0))]);

/** y = Σ |x|: dx = g · sign x (0 at 0). */
defineRule("ReduceL1", (ctx) => [times(kept(ctx, ctx.compactGradient), sign(ctx.input(0)))]);

/**
 * y = √Σ x²: dx = g · x / y, and 0 where y is 0 as in PyTorch. The divisor is held above a number that no norm but 0 can
 * be below (the squares would underflow), which costs nothing on the input's scale.
 */
defineRule("ReduceL2", (ctx) => {
  const y = kept(ctx, ctx.output());
  const least = y.dtype === "float64" ? 1e-200 : y.dtype === "float32" ? 1e-30 : 1e-4;
  return [times(over(kept(ctx, ctx.compactGradient), max([y, least])), ctx.input(0))];
});

/**
 * y = x / n with n = (Σ |x|ᵖ)^(1/p) along an axis, p 1 or 2: dx = (g − n' · Σ g y) / n, where n' = ∂n/∂x is sign x for p = 1
 * and y for p = 2.
 */
defineRule("LpNormalization", (ctx) => {
  const { node } = ctx;
  const x = ctx.input(0), y = ctx.output();
  const options = { axes: [node.axis(node.int("axis"), x.rank)], keepdims: true };
  const first = node.int("p") === 1;
  const norm = first ? reduceL1(x, options) : reduceL2(x, options);
  const along = reduceSum(times(ctx.compactGradient, y), options);
  return [over(minus(ctx.compactGradient, times(first ? sign(x) : y, along)), norm)];
});

/**
 * y = Π x: dx = g · (the product of the others), exact when elements are 0: with z the number of zeros and p the product of
 * the elements that are not 0, it is p / x (x = 1 in place of 0) where z − [x = 0] is 0, else 0.
 */
defineRule("ReduceProd", (ctx) => {
  const x = ctx.input(0);
  const options = { axes: axesOf(ctx), keepdims: true };
  const zero = equal(x, 0);
  const isZero = cast(zero, x.dtype);
  const filled = where(zero, 1, x);
  const others = cast(equal(reduceSum(isZero, options), isZero), x.dtype);
  return [times(kept(ctx, ctx.compactGradient), mul(over(reduceProd(filled, options), filled), others))];
});

/** y = the running sum of x: dx = the running sum of g from the other end. */
defineRule("CumSum", (ctx) => {
  const { node } = ctx;
  const axis = node.knownInts(1)?.[0];
  if (axis === undefined) throw ctx.fail(`expected a known axis, found ${node.describe(1)}`);
  return [
    cumSum(ctx.gradient, axis, {
      ...(node.int("exclusive") === 1 ? { exclusive: true } : {}),
      ...(node.int("reverse") === 1 ? {} : { reverse: true }),
    }),
  ];
});

/** values, indices = the k largest of x: the gradient of each value goes to where it came from. */
defineRule("TopK", (ctx) => {
  const x = ctx.node.input(0);
  const axis = ctx.node.axis(ctx.node.int("axis"), x.rank);
  return [scatterElements(zerosLike(x), ctx.output(1), ctx.gradient, { axis })];
});

/** The axes of the reduction, from 0 and ascending. */
function axesOf(ctx: RuleContext): readonly number[] {
  const axes = reducedAxes(ctx.node);
  if (axes) return axes;
  throw ctx.fail(`expected axes that are known, found ${ctx.node.describe(1)}`);
}

/** A value in the result's shape with the reduced axes put back in with size 1. One number for all stays as it is. */
function kept(ctx: RuleContext, value: Value): Value {
  if (ctx.node.int("keepdims") === 1 || constantNumber(value) !== undefined) return value;
  const axes = axesOf(ctx);
  if (axes.length === 0) return value;
  // A gradient of lower rank than the result is aligned at its end: its missing leading axes have size 1.
  const missing = ctx.node.output().rank - value.rank;
  if (value.rank === 0) return value;
  if (missing === 0) return unsqueeze(value, axes);
  const leading = Array.from({ length: missing }, (_, i) => i);
  const rank = ctx.node.input(0).rank;
  const others = Array.from({ length: rank }, (_, i) => i).filter((axis) => !axes.includes(axis));
  return unsqueeze(value, [...axes, ...leading.map((i) => others[i]!)]);
}
