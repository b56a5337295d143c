/** Gradients of the four operations, with NumPy broadcasting undone by summing (`sumTo`). */

import { defineRule } from "../rule.ts";
import { negative, over, times } from "../simplify.ts";

/** y = a + b: da = g, db = g. */
defineRule("Add", (ctx) => [
  ctx.needs[0] ? ctx.sumTo(ctx.compactGradient, 0) : undefined,
  ctx.needs[1] ? ctx.sumTo(ctx.compactGradient, 1) : undefined,
]);

/** y = a − b: da = g, db = −g (negated after the sum, where it is smallest). */
defineRule("Sub", (ctx) => [
  ctx.needs[0] ? ctx.sumTo(ctx.compactGradient, 0) : undefined,
  ctx.needs[1] ? negative(ctx.sumTo(ctx.compactGradient, 1)) : undefined,
]);

/** y = a · b: da = g · b, db = g · a. */
defineRule("Mul", (ctx) => {
  const g = ctx.compactGradient;
  return [
    ctx.needs[0] ? ctx.sumTo(times(g, ctx.input(1)), 0) : undefined,
    ctx.needs[1] ? ctx.sumTo(times(g, ctx.input(0)), 1) : undefined,
  ];
});

/** y = a / b: da = g / b, db = −g · y / b. */
defineRule("Div", (ctx) => {
  const quotient = over(ctx.compactGradient, ctx.input(1));
  return [
    ctx.needs[0] ? ctx.sumTo(quotient, 0) : undefined,
    ctx.needs[1] ? negative(ctx.sumTo(times(quotient, ctx.output()), 1)) : undefined,
  ];
});

/** y = −x: dx = −g. */
defineRule("Neg", (ctx) => [negative(ctx.compactGradient)]);

/** y = Σ xᵢ: dxᵢ = g. */
defineRule("Sum", (ctx) => ctx.needs.map((needed, i) => needed ? ctx.sumTo(ctx.compactGradient, i) : undefined));

/** y = (Σ xᵢ) / n: dxᵢ = g / n. */
defineRule("Mean", (ctx) => {
  const share = times(ctx.compactGradient, 1 / ctx.needs.length);
  return ctx.needs.map((needed, i) => needed ? ctx.sumTo(share, i) : undefined);
});
