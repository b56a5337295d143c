/** Gradients of pooling over windows and over whole maps, and of its inverse. */

import {
  add,
  averagePool,
  cast,
  concat,
  convTranspose,
  div,
  equal,
  gather,
  isStatic,
  maxPoolWithIndices,
  mul,
  pad,
  poolWindow,
  reduceSum,
  reshape,
  resize,
  scatterElements,
  slice,
  tensor,
  type Value,
  type Window,
} from "../../onnx/mod.ts";
import { countOf, filledLike, reshapeTo } from "../broadcast.ts";
import { defineRule, type RuleContext } from "../rule.ts";
import { tapsOf } from "./weight_gradient.ts";

type PaddedWindow = Window & { readonly pads: readonly number[] };

/**
 * y[p] = max over the window at p: the gradient of p goes to the window's maximum.
 *
 * **Ties.** Windows that tile the map exactly (stride = kernel, no padding, nothing left over), and every window on
 * webgpu, share the gradient equally among equal maxima: a subgradient like any other, and the same sum for convolution
 * weights where the tie comes from equal neighbourhoods (flat backgrounds). Other windows give it to the first maximum in
 * row-major order, as PyTorch always does.
 *
 * Tiling windows compare x with y enlarged to its size. For 2x2 at [16, 16, 224, 224]: 16.7 ms (of which 5 for counting
 * ties), against 31 ms for MaxPool's indices (a second, scalar kernel in ONNX Runtime: 26 ms where the plain one takes 4)
 * with MaxUnpool. Others scatter by indices; on webgpu, which has no indices, each of the window's taps is compared,
 * and a transposed convolution puts the taps back.
 */
defineRule("MaxPool", (ctx) => {
  if (ctx.compactGradients[1]) throw ctx.fail("expected no gradient of the indices, found one");
  const window = knownWindow(ctx);
  const g = ctx.gradient, x = ctx.input(0);
  // ONNX Runtime resizes no float64.
  if (tiles(ctx, window) && x.dtype !== "float64") return [tiledGradient(g, x, ctx.output(), window.kernel)];
  return [ctx.device === "webgpu" ? tapGradient(ctx, g, window) : scatteredGradient(ctx, g, window)];
});

/**
 * y[p] = mean over the window at p: g / count goes to each element. Windows that tile the map enlarge g by repetition (one
 * pass); others are a transposed convolution with ones of g over the counts, channels taken as examples.
 */
defineRule("AveragePool", (ctx) => {
  const window = knownWindow(ctx);
  const g = ctx.gradient;
  const taps = window.kernel.reduce((a, b) => a * b, 1);
  if (tiles(ctx, window)) return [enlarged(div(g, taps), window.kernel)];
  const spatial = sizesOf(ctx, ctx.node.input(0)), places = sizesOf(ctx, ctx.node.output());
  const share = div(g, counts(ctx, window, spatial, places));
  const each = reshape(share, [-1, 1, ...places]);
  const ones = ctx.graph.constant(1, { dtype: g.dtype, shape: [1, 1, ...window.kernel] });
  return [reshapeTo(spread(each, ones, window, spatial, places), ctx.node.input(0))];
});

/** y = mean over all places: dx = g / count, the same for all places of a channel. */
defineRule("GlobalAveragePool", (ctx) => {
  const axes = ctx.shape(0).map((_, axis) => axis).slice(2);
  return [div(ctx.compactGradient, countOf(ctx.node.input(0), axes))];
});

/** y = max over all places: the gradient is shared equally among the places that hold the maximum. */
defineRule("GlobalMaxPool", (ctx) => {
  const x = ctx.input(0);
  const mask = cast(equal(x, ctx.output()), x.dtype);
  const axes = ctx.shape(0).map((_, axis) => axis).slice(2);
  return [mul(mask, div(ctx.compactGradient, reduceSum(mask, { axes, keepdims: true })))];
});

/** y[indices[i]] = x[i], zeros elsewhere: dx[i] = g[indices[i]]. */
defineRule("MaxUnpool", (ctx) => [
  ctx.needs[0] ? gather(reshape(ctx.gradient, [-1]), ctx.input(1), { axis: 0 }) : undefined,
]);

/** Whether the windows cover the map exactly, each element once. */
function tiles(ctx: RuleContext, { kernel, strides, dilations, pads }: PaddedWindow): boolean {
  const spatial = ctx.shape(0).slice(2);
  return kernel.every((size, i) => size === strides[i] && (size === 1 || dilations[i] === 1)) &&
    pads.every((each) => each === 0) &&
    spatial.every((size, i) => typeof size === "number" && size % kernel[i]! === 0);
}

function tiledGradient(g: Value, x: Value, y: Value, kernel: readonly number[]): Value {
  const mask = cast(equal(x, enlarged(y, kernel)), x.dtype);
  const taps = kernel.reduce((a, b) => a * b, 1);
  const maxima = averagePool(mask, kernel, { strides: kernel }); // their number over `taps`
  return mul(mask, enlarged(div(g, mul(maxima, taps)), kernel));
}

/** Each element repeated `factors` times along the spatial axes. */
function enlarged(x: Value, factors: readonly number[]): Value {
  return resize(x, { scales: [1, 1, ...factors], coordinates: "asymmetric", nearest: "floor" });
}

/** The forward pooling once more, with indices, and a scatter that adds where windows overlap. */
function scatteredGradient(ctx: RuleContext, g: Value, window: PaddedWindow): Value {
  const { node } = ctx;
  const x = ctx.input(0);
  const [, found] = maxPoolWithIndices(x, window.kernel, {
    strides: window.strides,
    dilations: window.dilations,
    pads: window.pads,
    ceilMode: node.int("ceil_mode") === 1,
  });
  const flat = reshape(filledLike(node.input(0), 0), [-1]);
  return reshapeTo(
    scatterElements(flat, reshape(found, [-1]), reshape(g, [-1]), { axis: 0, reduction: "add" }),
    node.input(0),
  );
}

/** A mask a tap, from comparing with the output, and a transposed convolution that moves each tap to its place. */
function tapGradient(ctx: RuleContext, g: Value, window: PaddedWindow): Value {
  const { kernel, strides, dilations, pads } = window;
  const { graph, node } = ctx;
  const x = ctx.input(0), y = ctx.output();
  const n = kernel.length;
  const spatial = sizesOf(ctx, node.input(0)), places = sizesOf(ctx, node.output());
  const extents = kernel.map((size, i) => (size - 1) * dilations[i]! + 1);
  const ends = places.map((count, i) => Math.max(0, strides[i]! * (count - 1) + extents[i]! - spatial[i]! - pads[i]!));
  const lowest = x.dtype === "float16" ? -65504 : -3.4e38;
  const padded = pad(x, [0, 0, ...pads.slice(0, n), 0, 0, ...ends], {
    value: graph.constant(lowest, { dtype: x.dtype, shape: [] }),
  });
  const axes = kernel.map((_, i) => i + 2);
  const masks = tapsOf(kernel).map((tap) => {
    const begin = tap.map((k, i) => k * dilations[i]!);
    const end = begin.map((from, i) => from + strides[i]! * (places[i]! - 1) + 1);
    return cast(equal(slice(padded, begin, end, { axes, steps: strides }), y), x.dtype);
  });
  const total = masks.reduce((sum, mask) => add(sum, mask));
  const share = div(g, total);
  const parts = concat(masks.map((mask) => reshape(mul(mask, share), [-1, 1, ...places])), 1);
  const taps = masks.length;
  const diagonal = Array.from({ length: taps * taps }, (_, i) => i % (taps + 1) === 0 ? 1 : 0);
  const moves = graph.constant(tensor(x.dtype, [taps, 1, ...kernel], diagonal));
  return reshapeTo(spread(parts, moves, window, spatial, places), node.input(0));
}

/** A transposed convolution from the places of a window to the map, also where a last window is partial. */
function spread(
  parts: Value,
  weights: Value,
  { kernel, strides, dilations, pads }: PaddedWindow,
  spatial: readonly number[],
  places: readonly number[],
): Value {
  const n = kernel.length;
  const reach = places.map((count, i) => strides[i]! * (count - 1) + (kernel[i]! - 1) * dilations[i]! + 1 - pads[i]!);
  const whole = convTranspose(parts, weights, {
    strides,
    dilations,
    pads: [...pads.slice(0, n), ...reach.map((size, i) => Math.max(0, size - spatial[i]!))],
  });
  const short = spatial.map((size, i) => Math.max(0, size - reach[i]!));
  return short.some((rest) => rest > 0) ? pad(whole, [0, 0, ...spatial.map(() => 0), 0, 0, ...short]) : whole;
}

/** How many elements each window averages over: [1, 1, places…], or one number where it is the same everywhere. */
function counts(
  ctx: RuleContext,
  { kernel, strides, dilations, pads }: PaddedWindow,
  spatial: readonly number[],
  places: readonly number[],
): Value | number {
  const n = kernel.length;
  const padding = ctx.node.int("count_include_pad") === 1;
  const along = places.map((count, i) =>
    Array.from({ length: count }, (_, place) => {
      const begin = place * strides[i]! - pads[i]!;
      const least = padding ? -pads[i]! : 0, most = spatial[i]! + (padding ? pads[i + n]! : 0);
      let inside = 0;
      for (let k = 0; k < kernel[i]!; k++) {
        const at = begin + k * dilations[i]!;
        if (at >= least && at < most) inside++;
      }
      return inside;
    })
  );
  const all = tapsOf(places).map((place) => place.reduce((product, at, i) => product * along[i]![at]!, 1));
  if (all.every((each) => each === all[0])) return all[0]!;
  return ctx.graph.constant(tensor(ctx.node.output().dtype, [1, 1, ...places], all));
}

function knownWindow(ctx: RuleContext): PaddedWindow {
  const window = poolWindow(ctx.node);
  if (window.pads) return { ...window, pads: window.pads };
  throw ctx.fail(`expected known spatial sizes for auto_pad ${window.autoPad}, found ${ctx.node.input(0)}`);
}

function sizesOf(ctx: RuleContext, value: Value): readonly number[] {
  const sizes = value.shape.slice(2);
  if (isStatic(sizes)) return sizes;
  throw ctx.fail(`expected known spatial sizes, found ${value}`);
}
