/** Gradients of the rectifiers: piecewise linear activations with their kink at 0. */

import { add, cast, greater, max, min, mul, sub, type Value } from "../../onnx/mod.ts";
import { defineRule } from "../rule.ts";

/**
 * y = max(x, 0): dx = g · [y > 0]; at 0 the gradient is 0 (as in PyTorch).
 *
 * It reads y, which the next operator keeps anyway, so that x can be freed. The mask is Cast(Greater): at
 * [16, 16, 224, 224] comparison, cast and product take 6.9 ms together, where Greater with Where takes 95.
 */
defineRule("Relu", (ctx) => [mul(ctx.compactGradient, positive(ctx.output()))]);

/**
 * y = x for x > 0, else α · x: dx = g for x > 0, else α · g (Maas et al. 2013).
 *
 * For α ≥ 0 y has x's sign and is read in its place. The slope is max([y > 0], α) where α ≤ 1, one pass less than
 * α + (1 − α) · [y > 0].
 */
defineRule("LeakyRelu", (ctx) => {
  const alpha = ctx.node.float("alpha");
  const mask = positive(alpha >= 0 ? ctx.output() : ctx.input(0));
  const slope = alpha >= 0 && alpha <= 1 ? max([mask, alpha]) : add(mul(mask, 1 - alpha), alpha);
  return [mul(ctx.compactGradient, slope)];
});

/**
 * y = x for x > 0, else s · x with trained slopes (He et al. 2015): dx = g · (s + (1 − s) · [x > 0]),
 * ds = g · min(x, 0), summed to the slopes' shape.
 */
defineRule("PRelu", (ctx) => {
  const x = ctx.input(0), slope = ctx.input(1), g = ctx.compactGradient;
  const at = () => add(mul(positive(x), sub(1, slope)), slope);
  return [
    ctx.needs[0] ? mul(g, at()) : undefined,
    ctx.needs[1] ? ctx.sumTo(mul(g, min([x, 0])), 1) : undefined,
  ];
});

/** 1 where x > 0, else 0. */
function positive(x: Value): Value {
  return cast(greater(x, 0), x.dtype);
}
