/** The gradient of Resize: nearest, linear and cubic interpolation, in all coordinate modes but cropping. */

import { averagePool, mul, type Node, type Value } from "../../onnx/mod.ts";
import { defineRule } from "../rule.ts";
import { type AxisMap, throughAxis } from "./axis_map.ts";

/**
 * y = (A₁ ⊗ A₂ ⊗ …) x, one interpolation matrix an axis (ONNX, "Resize"): dx = the transposed matrices applied to g.
 *
 * Nearest enlargement by whole factors, which repeats elements, sums windows of g (an average pooling times their size):
 * one pass, where products with matrices would multiply mostly zeros.
 */
defineRule("Resize", (ctx) => {
  const { node } = ctx;
  const mode = node.string("mode"), coordinates = node.string("coordinate_transformation_mode");
  if (coordinates === "tf_crop_and_resize") {
    throw ctx.fail(`expected a coordinate mode without cropping, found ${coordinates}`);
  }
  const scales = node.inputs[2], sizes = node.inputs[3];
  const x = node.input(0);
  const given = scales && String(scales.shape) !== "0" ? scales.elements ?? numbersOf(scales) : undefined;
  if (!given && !sizes?.elements) throw ctx.fail("expected scales or sizes that are known, found neither");
  const axes = x.shape.map((dim, axis) => {
    const out = node.output().shape[axis]!;
    const factor = given?.[axis];
    if (factor === 1 || (factor === undefined && dim === out)) return undefined;
    if (typeof dim !== "number" || typeof out !== "number") {
      throw ctx.fail(`expected known sizes on resized axis ${axis}, found ${x}`);
    }
    return { axis, size: dim, places: out, scale: typeof factor === "number" ? factor : out / dim };
  }).filter((axis) => axis !== undefined);
  const repeats = mode === "nearest" &&
    axes.every(({ axis, size, places, scale }) =>
      axis >= 2 && Number.isInteger(scale) &&
      axisMap(node, size, places, scale).every((reads, place) => reads[0]!.from === Math.floor(place / scale))
    );
  if (repeats && x.rank >= 3 && axes.length > 0) return [windowSums(ctx.gradient, axes, x.rank)];
  let g = ctx.gradient;
  for (const { axis, size, places, scale } of axes) {
    g = throughAxis(ctx, g, axis, axisMap(node, size, places, scale), size);
  }
  return [g];
});

function numbersOf(value: Value): number[] | undefined {
  return value.tensor && Array.from(value.tensor.data as Float32Array);
}

function windowSums(g: Value, axes: readonly { axis: number; scale: number }[], rank: number): Value {
  const kernel = Array.from({ length: rank - 2 }, (_, i) => axes.find(({ axis }) => axis === i + 2)?.scale ?? 1);
  return mul(averagePool(g, kernel, { strides: kernel }), kernel.reduce((a, b) => a * b, 1));
}

/** What each output place reads along an axis. */
function axisMap(node: Node, size: number, places: number, scale: number): AxisMap {
  const place = coordinate(node.string("coordinate_transformation_mode"), size, places, scale);
  const mode = node.string("mode");
  const clamp = (at: number) => Math.min(size - 1, Math.max(0, at));
  return Array.from({ length: places }, (_, i) => {
    const at = place(i);
    if (mode === "nearest") return [{ from: clamp(nearest(node.string("nearest_mode"), at)), weight: 1 }];
    const below = Math.floor(at), part = at - below;
    if (mode === "linear") {
      const held = clamp(at), low = Math.floor(held), high = Math.min(low + 1, size - 1);
      return [{ from: low, weight: 1 - (held - low) }, { from: high, weight: held - low }];
    }
    const weights = cubic(part, node.float("cubic_coeff_a"));
    const reads = weights.map((weight, k) => ({ from: below - 1 + k, weight }));
    if (node.int("exclude_outside") === 0) return reads.map(({ from, weight }) => ({ from: clamp(from), weight }));
    const inside = reads.filter(({ from }) => from >= 0 && from < size);
    const total = inside.reduce((sum, { weight }) => sum + weight, 0);
    return inside.map(({ from, weight }) => ({ from, weight: weight / total }));
  });
}

/** Output place → place in the input, for each coordinate mode. */
function coordinate(mode: string, size: number, places: number, scale: number): (place: number) => number {
  const f = Math.fround; // ONNX Runtime works in single precision: nearest places on a border must fall alike
  switch (mode) {
    case "asymmetric":
      return (i) => f(i / f(scale));
    case "align_corners":
      return (i) => places === 1 ? 0 : f(f(i * (size - 1)) / (places - 1));
    case "pytorch_half_pixel":
      return (i) => places > 1 ? f(f(f(i + 0.5) / f(scale)) - 0.5) : 0;
    case "half_pixel_symmetric": {
      const adjustment = places / (scale * size), centre = size / 2;
      const offset = centre * (1 - adjustment);
      return (i) => f(offset + (i + 0.5) / scale - 0.5);
    }
    default:
      return (i) => f(f(f(i + 0.5) / f(scale)) - 0.5);
  }
}

function nearest(mode: string, at: number): number {
  switch (mode) {
    case "floor":
      return Math.floor(at);
    case "ceil":
      return Math.ceil(at);
    case "round_prefer_ceil":
      return Math.floor(at + 0.5);
    default:
      return Math.ceil(at - 0.5);
  }
}

/** Cubic convolution weights of the four neighbours (Keys 1981). */
function cubic(part: number, a: number): number[] {
  const inner = (t: number) => ((a + 2) * t - (a + 3)) * t * t + 1;
  const outer = (t: number) => ((a * t - 5 * a) * t + 8 * a) * t - 4 * a;
  return [outer(part + 1), inner(part), inner(1 - part), outer(2 - part)];
}
