/** Gradients of convolution and transposed convolution over any number of spatial dimensions. */

import {
  conv,
  convTranspose,
  convWindow,
  gather,
  isStatic,
  pad,
  reduceSum,
  reshape,
  slice,
  transpose,
  transposedPads,
  type Value,
  type Window,
} from "../../onnx/mod.ts";
import { defineRule, type RuleContext } from "../rule.ts";
import { weightGradient } from "./weight_gradient.ts";

/** A window whose pads are known. */
type PaddedWindow = Window & { readonly pads: readonly number[] };

/**
 * y[n, m, p] = b[m] + Σ x[n, c, stride · p + dilation · k − pad] · w[m, c, k] (Dumoulin and Visin 2016, chapter 2).
 *
 * dx is the transposed convolution of g with the same weights (chapter 4), with as much output padding as the last
 * stride left over; dw is `weightGradient`; db sums g. Where a Conv does the work of the transposed one it is used:
 * ConvTranspose writes all taps of all places to memory and adds them up on one thread. So 1x1 weights are transposed
 * (0.7 ms against 1.1 ms for 256→128 at 16², batch 16), those of depthwise convolutions and of large maps (`turningPays`)
 * turned around.
 */
defineRule("Conv", (ctx) => {
  const { node } = ctx;
  const window = knownWindow(ctx);
  const group = node.int("group");
  const g = ctx.gradient;
  return [
    ctx.needs[0] ? inputGradient(ctx, g, window, group) : undefined,
    ctx.needs[1] ? weightGradient(ctx, { input: ctx.input(0), gradient: g, ...window, group }) : undefined,
    ctx.needs[2] ? reduceSum(g, { axes: allButChannels(g) }) : undefined,
  ];
});

/**
 * The transpose of a convolution: dx is the convolution of g with the same weights, dw the weight gradient of that
 * convolution (with g as its input and x as its output's gradient), db sums g.
 */
defineRule("ConvTranspose", (ctx) => {
  const { node } = ctx;
  const { kernel, strides, dilations } = convWindow(node);
  const window = { kernel, strides, dilations, pads: transposedPads(node), autoPad: "NOTSET" };
  const group = node.int("group");
  const g = ctx.gradient;
  return [
    ctx.needs[0] ? conv(g, ctx.input(1), { strides, dilations, pads: window.pads, group }) : undefined,
    ctx.needs[1] ? weightGradient(ctx, { input: g, gradient: ctx.input(0), ...window, group }) : undefined,
    ctx.needs[2] ? reduceSum(g, { axes: allButChannels(g) }) : undefined,
  ];
});

function inputGradient(ctx: RuleContext, g: Value, window: PaddedWindow, group: number): Value {
  const { kernel, strides, dilations, pads } = window;
  const w = ctx.input(1);
  const n = kernel.length;
  const spatial = spatialSizes(ctx, ctx.node.input(0)), places = spatialSizes(ctx, ctx.node.output());
  const extents = kernel.map((size, i) => (size - 1) * dilations[i]! + 1);
  const plain = strides.every((stride) => stride === 1);
  const one = kernel.every((size) => size === 1);
  const depthwise = group > 1 && group === ctx.shape(0)[1] && group === ctx.shape(1)[0];
  const room = pads.every((each, i) => each < extents[i % n]!);
  if (plain && room && (depthwise || (group === 1 && (one || turningPays(g, w))))) {
    const turned = depthwise ? reversed(w, kernel) : swapped(w, kernel);
    // The ends follow from the sizes: pads of x and of g together are twice the extent less one.
    const begin = extents.map((extent, i) => extent - 1 - pads[i]!);
    const end = extents.map((extent, i) => spatial[i]! - places[i]! + extent - 1 - begin[i]!);
    return conv(g, turned, { dilations, pads: [...begin, ...end], group });
  }
  const left = spatial.map((size, i) => size + pads[i]! + pads[i + n]! - extents[i]! - strides[i]! * (places[i]! - 1));
  if (fitsSideBySide(g, w, window, group, places)) return sideBySide(g, w, window, spatial, left);
  return convTranspose(g, w, {
    strides,
    dilations,
    pads,
    group,
    ...(left.some((rest) => rest > 0) ? { outputPadding: left } : {}),
  });
}

/**
 * Small maps of many channels: ONNX Runtime multiplies matrices example by example, with as few columns as the map has
 * places. Laid side by side the whole batch is one product.
 */
function fitsSideBySide(
  g: Value,
  w: Value,
  { kernel }: PaddedWindow,
  group: number,
  places: readonly number[],
): boolean {
  const [batch] = g.shape;
  if (kernel.length !== 2 || group !== 1 || typeof batch !== "number" || batch < 2) return false;
  const [outputs, inputs] = w.shape as readonly number[];
  if (outputs! * inputs! < 128 * 64) return false;
  return places[0]! * places[1]! <= 25;
}

/**
 * The transposed convolution of a batch as that of one wide map [1, M, rows, N · (columns + gap)], with gaps in which the
 * overhang of neighbours ends. One thread, 512→256 channels, 3x3: 14.1 → 6.5 ms at 3², batch 32; 1024→512 at 4², batch 16:
 * 31 → 21, with stride 2 62 → 22. From 8² on it loses (512→256: 14 → 20): the taps of the whole batch leave the cache.
 */
function sideBySide(
  g: Value,
  w: Value,
  { kernel, strides, dilations, pads }: PaddedWindow,
  spatial: readonly number[],
  left: readonly number[],
): Value {
  const [batch, outputs, rows, columns] = g.staticShape as [number, number, number, number];
  const [height, width] = spatial as [number, number];
  const inputs = w.staticShape[1]!;
  const stride = strides[1]!, extent = (kernel[1]! - 1) * dilations[1]! + 1;
  // A slot holds a map, then what reaches out of it at its end or out of the next one at its begin; these two may overlap.
  const reach = stride * (columns - 1) + extent - pads[1]!;
  const slot = Math.ceil(Math.max(width + pads[1]!, reach) / stride);
  const spaced = transpose(pad(g, [0, 0, 0, 0, 0, 0, 0, slot - columns]), [1, 2, 0, 3]);
  const wide = reshape(spaced, [1, outputs, rows, batch * slot]);
  const rest = extent - stride - pads[1]!; // of the last slot's window, behind the slot
  const whole = convTranspose(wide, w, {
    strides,
    dilations,
    pads: [pads[0]!, pads[1]!, pads[2]!, Math.max(0, rest)],
    outputPadding: [left[0]!, 0],
  });
  const lacking = Math.max(0, -rest);
  const filled = lacking > 0 ? pad(whole, [0, 0, 0, 0, 0, 0, 0, lacking]) : whole;
  const slots = reshape(filled, [inputs, height, batch, slot * stride]);
  const maps = slot * stride > width ? slice(slots, [0], [width], { axes: [3] }) : slots;
  return transpose(maps, [2, 0, 1, 3]);
}

/**
 * Large maps, few weights: what turning saves grows with the places of the batch. One thread, 3x3, batch 16, Conv on turned
 * weights against ConvTranspose, milliseconds: 64→32 channels at 64² 14.8 / 19.8, 128→64 at 32² 13.1 / 16.3, 256→128 at 16²
 * 12.2 / 14.3; turning takes 0.1, 0.4 and 0.8. 512→256, turning 4.2 included: 37 / 44 at 26², batch 2; 134 / 171 there with
 * batch 8. At 8², batch 16, it takes more than it saves; so it does for 1024→512 at 13², batch 2: 50 / 46.
 */
function turningPays(g: Value, w: Value): boolean {
  const [batch, , ...places] = g.shape;
  if (!isStatic(w.shape) || !isStatic(places)) return false;
  const product = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1);
  if (product(places) < 144) return false;
  return product(w.shape) <= 300_000 || (typeof batch === "number" && batch * product(places) >= 1200);
}

/** Weights [M, C, kernel…] as [C, M, kernel…] with the kernel's elements in reverse order. */
function swapped(w: Value, kernel: readonly number[]): Value {
  const taps = kernel.reduce((a, b) => a * b, 1);
  if (taps === 1) return transpose(w, [1, 0, ...kernel.map((_, i) => i + 2)]);
  const [m, c] = [w.staticShape[0]!, w.staticShape[1]!];
  const other = transpose(reshape(w, [m, c, taps]), [1, 0, 2]);
  return reshape(slice(other, [taps - 1], [-taps - 1], { axes: [2], steps: [-1] }), [c, m, ...kernel]);
}

/** Weights [M, C, kernel…] with the kernel's elements in reverse order. */
function reversed(w: Value, kernel: readonly number[]): Value {
  const taps = kernel.reduce((a, b) => a * b, 1);
  const [m, c] = [w.staticShape[0]!, w.staticShape[1]!];
  const backwards = w.graph.ints(Array.from({ length: taps }, (_, i) => taps - 1 - i));
  return reshape(gather(reshape(w, [m, c, taps]), backwards, { axis: 2 }), [m, c, ...kernel]);
}

function knownWindow(ctx: RuleContext): PaddedWindow {
  const window = convWindow(ctx.node);
  if (window.pads) return { ...window, pads: window.pads };
  throw ctx.fail(`expected known spatial sizes for auto_pad ${window.autoPad}, found ${ctx.node.input(0)}`);
}

function spatialSizes(ctx: { fail: RuleContext["fail"] }, value: Value): readonly number[] {
  const sizes = value.shape.slice(2);
  if (isStatic(sizes)) return sizes;
  throw ctx.fail(`expected known spatial sizes, found ${value}`);
}

function allButChannels(x: Value): number[] {
  return x.shape.map((_, axis) => axis).filter((axis) => axis !== 1);
}
