/** Gradients of smooth and piecewise activations (the rectifiers are in rectifier.ts). */

import {
  abs as magnitude,
  add,
  cast,
  clip,
  erf,
  exp,
  greater,
  min,
  mul,
  reduceSum,
  sigmoid,
  sub,
  tanh,
  type Value,
} from "../../onnx/mod.ts";
import { countOf } from "../broadcast.ts";
import { defineRule, type RuleContext } from "../rule.ts";
import { constantNumber, minus, over, plus, times } from "../simplify.ts";
import { between, square } from "./elementwise.ts";

/** y = 1 / (1 + e^−x): dx = g · (y − y²). */
defineRule("Sigmoid", (ctx) => {
  const y = ctx.output();
  return [times(ctx.compactGradient, sub(y, square(y)))];
});

/** y = tanh x: dx = g · (1 − y²). */
defineRule("Tanh", (ctx) => [times(ctx.compactGradient, minus(1, square(ctx.output())))]);

/** y = log(1 + eˣ): dx = g · sigmoid x. */
defineRule("Softplus", (ctx) => [times(ctx.compactGradient, sigmoid(ctx.input(0)))]);

/** y = x / (1 + |x|): dx = g / (1 + |x|)². */
defineRule("Softsign", (ctx) => [over(ctx.compactGradient, square(plus(magnitude(ctx.input(0)), 1)))]);

/** y = α x + β held within [0, 1]: dx = g · α strictly inside, else 0. */
defineRule("HardSigmoid", (ctx) => [
  times(times(ctx.compactGradient, ctx.node.float("alpha")), between(ctx.output(), 0, 1)),
]);

/** y = x · h(x), h = x/6 + ½ held within [0, 1]: dx = g · (h + x/6 for −3 < x < 3). */
defineRule("HardSwish", (ctx) => {
  const x = ctx.input(0);
  const sixth = times(x, 1 / 6);
  const gate = clip(plus(sixth, 0.5), 0, 1);
  return [times(ctx.compactGradient, plus(gate, mul(sixth, between(x, -3, 3))))];
});

/**
 * Exponential units: y = γ x for x > 0 and γ α (e^(x/c) − 1) below, so dx = g · (min(y, 0)/c + γ α/c) below and g · γ above.
 * min(y, 0) is 0 above, so that for γ = γ α/c (Elu with α = 1, Celu) one form serves both sides, with no mask.
 */
function exponentialUnit(ctx: RuleContext, gamma: number, alpha: number, scale: number): Value {
  const below = plus(times(min([ctx.output(), 0]), 1 / scale), (gamma * alpha) / scale);
  const jump = gamma - (gamma * alpha) / scale;
  if (jump === 0) return times(ctx.compactGradient, below);
  const x = ctx.input(0);
  return times(ctx.compactGradient, add(below, times(cast(greater(x, 0), x.dtype), jump)));
}

/** y = x for x > 0, else α (eˣ − 1) (Clevert et al. 2015). */
defineRule("Elu", (ctx) => [exponentialUnit(ctx, 1, ctx.node.float("alpha"), 1)]);
/** y = γ x for x > 0, else γ α (eˣ − 1) (Klambauer et al. 2017). */
defineRule("Selu", (ctx) => [exponentialUnit(ctx, ctx.node.float("gamma"), ctx.node.float("alpha"), 1)]);
/** y = x for x > 0, else α (e^(x/α) − 1) (Barron 2017). */
defineRule("Celu", (ctx) => [exponentialUnit(ctx, 1, ctx.node.float("alpha"), ctx.node.float("alpha"))]);

/**
 * y = x · Φ(x) (Hendrycks and Gimpel 2016): dx = g · (Φ(x) + x φ(x)), with Φ from erf; or, for `approximate: "tanh"`,
 * y = x (1 + t)/2 with t = tanh(u), u = √(2/π)(x + 0.044715 x³): dx = g · ((1 + t)/2 + x (1 − t²) u'/2).
 */
defineRule("Gelu", (ctx) => {
  const x = ctx.input(0);
  const squared = square(x);
  if (ctx.node.string("approximate") === "tanh") {
    const root = Math.sqrt(2 / Math.PI), cubic = 0.044715;
    const t = tanh(mul(x, plus(times(squared, root * cubic), root)));
    const half = plus(times(t, 0.5), 0.5);
    const slope = plus(times(squared, 1.5 * root * cubic), 0.5 * root); // u'/2
    return [times(ctx.compactGradient, add(half, mul(mul(x, slope), minus(1, square(t)))))];
  }
  const cumulative = plus(times(erf(times(x, Math.SQRT1_2)), 0.5), 0.5);
  const density = times(exp(times(squared, -0.5)), 1 / Math.sqrt(2 * Math.PI));
  return [times(ctx.compactGradient, add(cumulative, mul(x, density)))];
});

/** y = x · tanh(softplus x) (Misra 2019): with t = tanh(softplus x), dx = g · (t + x · (1 − t²) · sigmoid x). */
defineRule("Mish", (ctx) => {
  const x = ctx.input(0);
  const t = tanh(ctx.graph.node("Softplus", [x])[0]!);
  return [times(ctx.compactGradient, add(t, mul(mul(x, sigmoid(x)), minus(1, square(t)))))];
});

/** y = x where x > α, else 0: dx = g where x > α. */
defineRule("ThresholdedRelu", (ctx) => {
  const x = ctx.input(0);
  return [times(ctx.compactGradient, cast(greater(x, ctx.node.float("alpha")), x.dtype))];
});

/** y = softmax x along an axis: dx = y · (g − Σ g y), both sums along the axis. */
defineRule("Softmax", (ctx) => {
  const y = ctx.output(), g = ctx.compactGradient;
  if (constantNumber(g) !== undefined) return []; // the sum of y is always 1
  const inner = reduceSum(mul(g, y), { axes: [softmaxAxis(ctx)], keepdims: true });
  return [mul(y, sub(g, inner))];
});

/** y = log softmax x along an axis: dx = g − e^y · Σ g. */
defineRule("LogSoftmax", (ctx) => {
  const axis = softmaxAxis(ctx);
  const g = ctx.compactGradient;
  const size = g.shape[axis - (ctx.node.output().rank - g.rank)];
  const total = size === undefined || size === 1
    ? times(g, countOf(ctx.node.output(), [axis]))
    : reduceSum(g, { axes: [axis - (ctx.node.output().rank - g.rank)], keepdims: true });
  return [sub(g, times(exp(ctx.output()), total))];
});

function softmaxAxis(ctx: RuleContext): number {
  return ctx.node.axis(ctx.node.int("axis"), ctx.node.output().rank);
}

/**
 * Dropout (Srivastava et al. 2014). Without training it is the identity. With it, dx = g · mask / (1 − ratio): the node must
 * ask for its mask. A seeded mask that is fed in is a plain Mul.
 */
defineRule("Dropout", (ctx) => {
  const { node } = ctx;
  const training = node.inputs[2];
  if (!training) return [ctx.compactGradient];
  const known = constantNumber(training);
  if (known === 0) return [ctx.compactGradient];
  if (known === undefined) throw ctx.fail("expected training_mode to be a constant, found a computed value");
  if (!node.outputs[1]) {
    throw ctx.fail("expected the mask among its outputs, found none; ask for it, or multiply by a mask");
  }
  const ratio = node.inputs[1] ? constantNumber(node.input(1)) : 0.5;
  if (ratio === undefined) throw ctx.fail("expected ratio to be a constant, found a computed value");
  const mask = cast(ctx.output(1), node.input(0).dtype);
  return [times(times(ctx.compactGradient, 1 / (1 - ratio)), mask)];
});
