/** The gradient of Pad. */

import { pad, reduceSum, slice, sub, type Value } from "../../onnx/mod.ts";
import { defineRule, type RuleContext } from "../rule.ts";
import { type AxisMap, throughAxis } from "./axis_map.ts";

/**
 * y = x with elements added around it (or, with negative pads, taken away).
 *
 * "constant": dx is g without what was added, zeros where elements were taken away; the constant's gradient is the sum of g
 * over what was added. "reflect", "edge" and "wrap": an added element copies one of x, so that its gradient is added to
 * that one's (a product with a 0/1 matrix along each padded axis).
 */
defineRule("Pad", (ctx) => {
  const { node } = ctx;
  const pads = paddedAxes(ctx);
  const mode = node.string("mode");
  if (mode === "constant") {
    const inner = uncovered(ctx, pads);
    return [
      ctx.needs[0] ? inner : undefined,
      undefined,
      ctx.needs[2] ? sub(reduceSum(ctx.gradient), reduceSum(inner)) : undefined,
    ];
  }
  let g = ctx.gradient;
  for (const { axis, begin, end } of pads) {
    const size = ctx.shape(0)[axis]!;
    if (typeof size !== "number") {
      throw ctx.fail(`expected a known size on padded axis ${axis}, found ${node.input(0)}`);
    }
    g = throughAxis(ctx, g, axis, copies(mode, size, begin, end), size);
  }
  return [g];
});

interface PaddedAxis {
  readonly axis: number;
  readonly begin: number;
  readonly end: number;
}

function paddedAxes(ctx: RuleContext): PaddedAxis[] {
  const { node } = ctx;
  const rank = ctx.shape(0).length;
  const pads = node.knownInts(1);
  const axes = node.inputs[3] ? node.knownInts(3)?.map((axis) => node.axis(axis, rank)) : ctx.shape(0).map((_, i) => i);
  if (!pads || !axes) throw ctx.fail("expected pads and axes that are known, found others");
  return axes.map((axis, i) => ({ axis, begin: pads[i]!, end: pads[i + axes.length]! }))
    .filter(({ begin, end }) => begin !== 0 || end !== 0);
}

/** g without what was added, and with zeros for what was taken away. */
function uncovered(ctx: RuleContext, pads: readonly PaddedAxis[]): Value {
  let result = ctx.gradient;
  const added = pads.filter(({ begin, end }) => begin > 0 || end > 0);
  if (added.length > 0) {
    result = slice(
      result,
      added.map(({ begin }) => Math.max(0, begin)),
      added.map(({ end }) => end > 0 ? -end : undefined),
      { axes: added.map(({ axis }) => axis) },
    );
  }
  if (pads.some(({ begin, end }) => begin < 0 || end < 0)) {
    const side = (pick: (axis: PaddedAxis) => number) =>
      ctx.shape(0).map((_, axis) => {
        const padded = pads.find((each) => each.axis === axis);
        return padded ? Math.max(0, -pick(padded)) : 0;
      });
    result = pad(result, [...side(({ begin }) => begin), ...side(({ end }) => end)]);
  }
  return result;
}

/** Which element of the axis each output place copies. */
function copies(mode: string, size: number, begin: number, end: number): AxisMap {
  return Array.from({ length: begin + size + end }, (_, place) => {
    const at = place - begin;
    if (mode === "edge") return [{ from: Math.min(size - 1, Math.max(0, at)), weight: 1 }];
    if (mode === "wrap") return [{ from: ((at % size) + size) % size, weight: 1 }];
    const period = Math.max(1, 2 * (size - 1)), folded = ((at % period) + period) % period;
    return [{ from: Math.min(folded, period - folded), weight: 1 }];
  });
}
