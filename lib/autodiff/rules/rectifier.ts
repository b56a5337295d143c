/** Gradients of the rectifiers: piecewise linear activations with their kink at 0. */

import { add, cast, clip, greater, min, mul, sub, type Value } from "../../onnx/mod.ts";
import { defineRule } from "../rule.ts";
import { stopGradient } from "../stop_gradient.ts";

/**
 * y = max(x, 0): dx = g · [y > 0]; at 0 the gradient is 0 (as in PyTorch).
 *
 * It reads y, which the next operator keeps anyway, so that x can be freed.
 */
defineRule("Relu", (ctx) => [mul(ctx.compactGradient, slopes(ctx.output(), 0))]);

/**
 * y = x for x > 0, else α · x: dx = g for x > 0, else α · g (Maas et al. 2013). For α ≥ 0 y has x's sign and is read in its
 * place.
 */
defineRule("LeakyRelu", (ctx) => {
  const alpha = ctx.node.float("alpha");
  const read = alpha >= 0 ? ctx.output() : ctx.input(0);
  const slope = alpha <= 1 ? slopes(read, alpha) : add(mul(slopes(read, 0), 1 - alpha), alpha);
  return [mul(ctx.compactGradient, slope)];
});

/**
 * y = x for x > 0, else s · x with trained slopes (He et al. 2015): dx = g · (s + (1 − s) · [x > 0]),
 * ds = g · min(x, 0), summed to the slopes' shape.
 */
defineRule("PRelu", (ctx) => {
  const x = ctx.input(0), slope = ctx.input(1), g = ctx.compactGradient;
  const at = () => add(mul(slopes(x, 0), sub(1, slope)), slope);
  return [
    ctx.needs[0] ? mul(g, at()) : undefined,
    ctx.needs[1] ? ctx.sumTo(mul(g, min([x, 0])), 1) : undefined,
  ];
});

/** Takes every float32 number above 10⁻³⁸ beyond 1. */
const HUGE = 3e38;

/**
 * 1 where x > 0, else `below` ≤ 1, as Clip(3 · 10³⁸ · x): at [16, 256, 16, 16] with the product with g 0.96 ms, where
 * Max(Cast(Greater)) takes 1.46 (a cast from booleans is scalar work) and Where many times that. Numbers under the smallest
 * normal one are taken for 0 or in between. Other types are compared.
 */
function slopes(x: Value, below: number): Value {
  if (x.dtype === "float32") return stopGradient(clip(mul(x, HUGE), below, 1));
  const mask = cast(greater(x, 0), x.dtype);
  return below === 0 ? mask : add(mul(mask, 1 - below), below);
}
