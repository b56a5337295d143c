/** Gradients of elementwise functions: powers, exponentials, trigonometry, bounds and selection. */

import {
  abs as magnitude,
  and,
  cast,
  cos,
  equal,
  exp,
  greater,
  less,
  log,
  mul,
  not,
  type Operand,
  pow,
  sign,
  sin,
  sqrt,
  sub,
  type Value,
  where,
} from "../../onnx/mod.ts";
import { defineRule, type RuleContext } from "../rule.ts";
import { constantNumber, minus, negative, over, plus, times } from "../simplify.ts";

/** Registers an elementwise rule of one input by its derivative as a function of x and y: dx = g · derivative. */
function defineDerivative(opTypes: string | readonly string[], derivative: (ctx: RuleContext) => Value): void {
  defineRule(opTypes, (ctx) => [times(ctx.compactGradient, derivative(ctx))]);
}

/** Whether x lies between two numbers, as 0 and 1 of x's own type. */
export function between(x: Value, low: Operand, high: Operand): Value {
  return cast(and(greater(x, low), less(x, high)), x.dtype);
}

/**
 * y = a^b: da = g · b · a^(b − 1), db = g · y · log a.
 * A known exponent gives the short forms: 2 → 2 g a, ½ → g / (2 y), −1 → −g y². For an exponent that is computed, b = 0
 * gives da = 0 also at a = 0; db is 0 where a ≤ 0 (PyTorch: NaN for a < 0, where y is real for whole b only).
 */
defineRule("Pow", (ctx) => {
  const { node } = ctx;
  const base = node.input(0), exponent = node.input(1);
  const known = constantNumber(exponent);
  const g = ctx.compactGradient;
  if (known !== undefined) {
    if (known === 0) return [];
    if (known === 0.5) return [ctx.sumTo(over(times(g, 0.5), ctx.output()), 0)];
    if (known === -1) return [ctx.sumTo(negative(times(g, square(ctx.output()))), 0)];
    const a = ctx.input(0);
    const power = known === 1 ? undefined : known === 2 ? a : known === 3 ? square(a) : pow(a, known - 1);
    const scaled = times(g, known);
    return [ctx.sumTo(power ? times(scaled, power) : scaled, 0)];
  }
  const a = ctx.input(0), b = ctx.input(1);
  const ofBase = () => {
    const zero = equal(b, 0);
    const safe = where(zero, 1, b); // a^(0 − 1) would be infinite at a = 0
    const factor = exponent.dtype === base.dtype ? b : cast(b, base.dtype);
    return ctx.sumTo(times(g, mul(factor, pow(a, sub(safe, 1)))), 0);
  };
  const ofExponent = () => {
    const positive = greater(a, 0);
    const slope = times(times(g, ctx.output()), log(where(positive, a, 1)));
    return ctx.sumTo(exponent.dtype === base.dtype ? slope : cast(slope, exponent.dtype), 1);
  };
  return [ctx.needs[0] ? ofBase() : undefined, ctx.needs[1] ? ofExponent() : undefined];
});

/** y = √x: dx = g / (2 y). */
defineRule("Sqrt", (ctx) => [over(times(ctx.compactGradient, 0.5), ctx.output())]);
/** y = 1/x: dx = −g · y². */
defineRule("Reciprocal", (ctx) => [negative(times(ctx.compactGradient, square(ctx.output())))]);
/** y = eˣ: dx = g · y. */
defineDerivative("Exp", (ctx) => ctx.output());
/** y = log x: dx = g / x. */
defineRule("Log", (ctx) => [over(ctx.compactGradient, ctx.input(0))]);
/** y = |x|: dx = g · sign x, 0 at 0. */
defineDerivative("Abs", (ctx) => sign(ctx.input(0)));
/** y = erf x: dx = g · 2/√π · e^(−x²). */
defineRule("Erf", (ctx) => [
  times(times(ctx.compactGradient, 2 / Math.sqrt(Math.PI)), exp(negative(square(ctx.input(0))))),
]);

/** y = sin x: dx = g · cos x. */
defineDerivative("Sin", (ctx) => cos(ctx.input(0)));
/** y = cos x: dx = −g · sin x. */
defineRule("Cos", (ctx) => [negative(times(ctx.compactGradient, sin(ctx.input(0))))]);
/** y = tan x: dx = g · (1 + y²). */
defineDerivative("Tan", (ctx) => plus(square(ctx.output()), 1));
/** y = asin x: dx = g / √(1 − x²). */
defineRule("Asin", (ctx) => [over(ctx.compactGradient, sqrt(minus(1, square(ctx.input(0)))))]);
/** y = acos x: dx = −g / √(1 − x²). */
defineRule("Acos", (ctx) => [negative(over(ctx.compactGradient, sqrt(minus(1, square(ctx.input(0))))))]);
/** y = atan x: dx = g / (1 + x²). */
defineRule("Atan", (ctx) => [over(ctx.compactGradient, plus(square(ctx.input(0)), 1))]);
/** y = sinh x: dx = g · cosh x. */
defineDerivative("Sinh", (ctx) => ctx.graph.node("Cosh", [ctx.input(0)])[0]!);
/** y = cosh x: dx = g · sinh x. */
defineDerivative("Cosh", (ctx) => ctx.graph.node("Sinh", [ctx.input(0)])[0]!);
/** y = asinh x: dx = g / √(x² + 1). */
defineRule("Asinh", (ctx) => [over(ctx.compactGradient, sqrt(plus(square(ctx.input(0)), 1)))]);
/** y = acosh x: dx = g / √(x² − 1). */
defineRule("Acosh", (ctx) => [over(ctx.compactGradient, sqrt(plus(square(ctx.input(0)), -1)))]);
/** y = atanh x: dx = g / (1 − x²). */
defineRule("Atanh", (ctx) => [over(ctx.compactGradient, minus(1, square(ctx.input(0))))]);

/**
 * y = min xᵢ or max xᵢ of any number of operands: the gradient goes to the operand that gave y; where several are equal to
 * it, each gets the same share, as PyTorch's minimum and maximum have it.
 */
defineRule(["Min", "Max"], (ctx) => {
  const g = ctx.compactGradient;
  const { dtype } = ctx.node.output();
  if (ctx.node.inputs.length === 1) return [g];
  const masks = ctx.node.inputs.map((_, i) => cast(equal(ctx.input(i), ctx.output()), dtype));
  const share = over(g, masks.reduce((total, mask) => plus(total, mask)));
  return masks.map((mask, i) => ctx.needs[i] ? ctx.sumTo(times(share, mask), i) : undefined);
});

/**
 * y = x held within [low, high]: dx = g where x = y, that is within the bounds or on them (PyTorch's clamp); a bound that is
 * a trained value gets the gradients of the elements it replaced.
 */
defineRule("Clip", (ctx) => {
  const g = ctx.compactGradient;
  const { dtype } = ctx.node.input(0);
  const replaced = (i: number, compare: (x: Value, bound: Value) => Value) =>
    ctx.sumTo(times(g, cast(compare(ctx.input(0), ctx.input(i)), dtype)), i);
  return [
    ctx.needs[0] ? times(g, cast(equal(ctx.input(0), ctx.output()), dtype)) : undefined,
    ctx.needs[1] ? replaced(1, less) : undefined,
    ctx.needs[2] ? replaced(2, greater) : undefined,
  ];
});

/**
 * y = condition ? a : b: da = g · [condition], db = g · [not condition]. A product with the condition as a number, since
 * ONNX Runtime's Where takes about twenty times as long on large maps.
 */
defineRule("Where", (ctx) => {
  const g = ctx.compactGradient;
  const { dtype } = ctx.node.output();
  return [
    undefined,
    ctx.needs[1] ? ctx.sumTo(times(g, cast(ctx.input(0), dtype)), 1) : undefined,
    ctx.needs[2] ? ctx.sumTo(times(g, cast(not(ctx.input(0)), dtype)), 2) : undefined,
  ];
});

/** Steps: flat wherever they have a derivative, so that none flows. */
defineRule(["Floor", "Ceil", "Round", "Sign"], () => []);

/** y = x mod b (fmod): da = g. The divisor's gradient is −g · trunc(a / b). */
defineRule("Mod", (ctx) => {
  const g = ctx.compactGradient;
  const quotient = () => {
    const ratio = over(ctx.input(0), ctx.input(1));
    return mul(sign(ratio), ctx.graph.node("Floor", [magnitude(ratio)])[0]!);
  };
  return [
    ctx.needs[0] ? ctx.sumTo(g, 0) : undefined,
    ctx.needs[1] ? negative(ctx.sumTo(times(g, quotient()), 1)) : undefined,
  ];
});

/** y = x, in another element type: dx = g in x's type. */
defineRule(["Cast", "CastLike"], (ctx) => [cast(ctx.compactGradient, ctx.node.input(0).dtype)]);
/** y = x. */
defineRule("Identity", (ctx) => [ctx.compactGradient]);

/** x². */
export function square(x: Value): Value {
  return mul(x, x);
}
