/** Gradients of operators that move elements without changing them: reshaping, transposing, joining, cutting, repeating. */

import {
  concat,
  isStatic,
  pad,
  permutation,
  reduceSum,
  reshape,
  type Shape,
  slice,
  split,
  transpose,
  trilu,
  type Value,
} from "../../onnx/mod.ts";
import { Part } from "../accumulate.ts";
import { composeShape, isUniform, reshapeTo, zerosLike } from "../broadcast.ts";
import { defineRule } from "../rule.ts";
import { times } from "../simplify.ts";

/** The same elements in another shape: dx = g in x's shape. One number for all elements needs no shape. */
defineRule(["Reshape", "Flatten", "Squeeze", "Unsqueeze"], (ctx) => [
  isUniform(ctx.compactGradient) ? ctx.compactGradient : reshapeTo(ctx.gradient, ctx.node.input(0)),
]);

/** Axes in another order: dx = g in the order that undoes it. */
defineRule("Transpose", (ctx) => {
  const g = ctx.compactGradient;
  if (isUniform(g)) return [g];
  const order = permutation(ctx.node);
  const back = order.map((_, axis) => order.indexOf(axis));
  return [transpose(g.rank === order.length ? g : ctx.gradient, back)];
});

/** Broadcasting to a shape: dx = g summed back. */
defineRule("Expand", (ctx) => [ctx.sumTo(ctx.compactGradient, 0)]);

/** Joining: each input gets its part of g, from one Split when several need it. */
defineRule("Concat", (ctx) => {
  const { node } = ctx;
  if (isUniform(ctx.compactGradient)) return ctx.needs.map((needed) => needed ? ctx.compactGradient : undefined);
  if (node.inputs.length === 1) return [ctx.compactGradient];
  const axis = node.axis(node.int("axis"), node.output().rank);
  const sizes: Shape = node.inputs.map((_, i) => ctx.shape(i)[axis]!);
  if (!isStatic(sizes)) throw ctx.fail(`expected sizes that are known on axis ${axis}, found [${sizes.join(", ")}]`);
  const wanted = ctx.needs.map((needed, i) => needed && sizes[i] !== 0 ? i : -1).filter((i) => i >= 0);
  if (wanted.length === 1) {
    const start = total(sizes.slice(0, wanted[0]));
    const part = slice(ctx.gradient, [start], [start + total(sizes.slice(wanted[0], wanted[0]! + 1))], {
      axes: [axis],
    });
    return ctx.needs.map((_, i) => i === wanted[0] ? part : undefined);
  }
  const parts = split(ctx.gradient, sizes, { axis });
  return ctx.needs.map((needed, i) => needed ? parts[i] : undefined);
});

/** Splitting: dx = the parts' gradients joined, with zeros for parts that nobody used. */
defineRule("Split", (ctx) => {
  const { node } = ctx;
  const axis = node.axis(node.int("axis"), ctx.shape(0).length);
  const given = ctx.gradients.filter((gradient) => gradient !== undefined);
  const size = ctx.shape(0)[axis]!;
  const sizes = node.outputs.map((output) => output?.shape[axis]);
  if (given.length === 1 && typeof size === "number" && sizes.every((part) => typeof part === "number")) {
    const at = ctx.gradients.findIndex((gradient) => gradient !== undefined);
    const before = total(sizes.slice(0, at));
    return [new Part(given[0]!, axis, before, size - before - sizes[at]!)];
  }
  const parts = node.outputs.map((output, i) => {
    if (!output) throw ctx.fail(`expected all outputs to be asked for, found none at ${i}`);
    return ctx.gradients[i] ?? zerosLike(output);
  });
  return [parts.length === 1 ? parts[0] : concat(parts, axis)];
});

/**
 * y = x[starts : ends : steps]: dx is g with zeros around and, for steps s > 1, s − 1 zeros after each element (a Pad on an
 * axis put in behind, taken away by a Reshape); for negative steps g is first turned around.
 */
defineRule("Slice", (ctx) => {
  const { node } = ctx;
  const { shape } = node.input(0);
  const starts = node.knownInts(1), ends = node.knownInts(2);
  const axes = node.inputs[3] ? node.knownInts(3) : starts?.map((_, i) => i);
  const steps = node.inputs[4] ? node.knownInts(4) : starts?.map(() => 1);
  if (!starts || !ends || !axes || !steps) throw ctx.fail("expected starts, ends, axes and steps that are known");
  if (node.output().shape.includes(0)) return []; // nothing was taken
  const around: [number, number, number][] = [];
  let result = ctx.gradient;
  const reversed = axes.map((axis, i) => [node.axis(axis, shape.length), steps[i]!] as const).filter(([, step]) =>
    step < 0
  );
  if (reversed.length > 0) {
    result = slice(result, reversed.map(() => -1), reversed.map(() => undefined), {
      axes: reversed.map(([axis]) => axis),
      steps: reversed.map(() => -1),
    });
  }
  axes.forEach((given, i) => {
    const axis = node.axis(given, shape.length);
    const size = shape[axis]!, count = node.output().shape[axis]!;
    if (size === count && Math.abs(steps[i]!) === 1) return;
    if (typeof size === "string" || typeof count === "string") {
      throw ctx.fail(`expected a size that is known on axis ${axis}, found ${size}`);
    }
    const step = steps[i]!;
    const clamped = (at: number, low: number, high: number) => Math.min(high, Math.max(low, at < 0 ? at + size : at));
    const first = step > 0 ? clamped(starts[i]!, 0, size) : clamped(starts[i]!, 0, size - 1);
    const lowest = step > 0 ? first : first + (count - 1) * step;
    const stride = Math.abs(step);
    if (stride > 1) result = spread(result, axis, stride, count);
    around.push([axis, lowest, size - lowest - count * stride]);
  });
  const [[axis, before, after] = [0, 0, 0], ...others] = around;
  return [
    around.length > 0 && others.length === 0 && before >= 0 && after >= 0
      ? new Part(result, axis, before, after)
      : padded(result, around),
  ];
});

/** Repeating: dx = g summed over the repetitions, from a shape with an axis of its own for each. */
defineRule("Tile", (ctx) => {
  const { node } = ctx;
  const repeats = node.knownInts(1);
  if (!repeats) throw ctx.fail(`expected repeats that are known, found ${node.describe(1)}`);
  if (repeats.every((repeat) => repeat === 1)) return [ctx.compactGradient];
  if (isUniform(ctx.compactGradient)) {
    return [times(ctx.compactGradient, repeats.reduce((product, repeat) => product * repeat, 1))];
  }
  const dims: (number | { axis: number })[] = [], sums: number[] = [];
  repeats.forEach((repeat, axis) => {
    if (repeat !== 1) {
      sums.push(dims.length);
      dims.push(repeat);
    }
    dims.push({ axis });
  });
  return [reduceSum(reshape(ctx.gradient, composeShape(ctx.node.input(0), dims)), { axes: sums })];
});

/** The upper or lower triangle: dx = the same triangle of g. */
defineRule("Trilu", (ctx) => {
  const { node } = ctx;
  const k = node.inputs[1] ? node.knownInts(1)?.[0] : 0;
  if (k === undefined) throw ctx.fail(`expected a known diagonal, found ${node.describe(1)}`);
  return [trilu(ctx.gradient, { upper: node.int("upper") === 1, k })];
});

/** Zeros before and after along some axes; negative counts cut. */
export function padded(x: Value, around: readonly (readonly [axis: number, before: number, after: number])[]): Value {
  const pads = new Array<number>(2 * x.rank).fill(0);
  for (const [axis, before, after] of around) {
    pads[axis] = before;
    pads[axis + x.rank] = after;
  }
  return pads.every((count) => count === 0) ? x : pad(x, pads);
}

/** `stride` − 1 zeros after each element along an axis of `count`. */
function spread(x: Value, axis: number, stride: number, count: number): Value {
  const kept = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => ({ axis: from + i }));
  const single = reshape(x, composeShape(x, [...kept(0, axis + 1), 1, ...kept(axis + 1, x.rank)]));
  const wide = padded(single, [[axis + 1, 0, stride - 1]]);
  return reshape(wide, composeShape(x, [...kept(0, axis), count * stride, ...kept(axis + 1, x.rank)]));
}

function total(sizes: readonly number[]): number {
  return sizes.reduce((sum, size) => sum + size, 0);
}
