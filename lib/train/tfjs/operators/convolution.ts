/**
 * Convolution and pooling. TensorFlow.js's plain backend knows only the channels-last layout, so that maps are transposed
 * around each operator, and kernels from [O, I, H, W] to [H, W, I, O].
 */

import type { Tensor, Tensor3D, Tensor4D } from "@tensorflow/tfjs";
import { convWindow, poolWindow, transposedPads } from "../../../onnx/mod.ts";
import type { TensorFlow } from "../backend.ts";
import { defineTensorFlow, type OperatorContext } from "../operator.ts";
import { alongChannels, parts } from "../shapes.ts";

/** A window over height and width. */
interface Window2D {
  readonly kernel: readonly [number, number];
  readonly strides: [number, number];
  readonly dilations: readonly [number, number];
  /** Top, left, bottom, right. */
  readonly pads: readonly [number, number, number, number];
}

/** Stands for −∞ in the padding of a maximum: a finite number that 32 bits hold. */
const LOWEST = -3.4028234663852886e38;

defineTensorFlow({
  Conv(context) {
    const { tf, node } = context;
    const window = window2d(context, convWindow(node));
    const x = padded(tf, channelsLast(tf, context.input(0)), window, 0);
    const w = dilated(tf, tf.transpose(as2d(tf, context.input(1)), [2, 3, 1, 0]) as Tensor4D, window.dilations);
    const groups = node.int("group"), [, , inputs, outputs] = w.shape;
    let y: Tensor;
    if (groups === 1) y = tf.conv2d(x, w, window.strides, "valid");
    else if (inputs === 1 && sameStrides(window)) {
      // [H, W, 1, C · m] → [H, W, C, m]: depthwise, the outputs of a channel side by side.
      const kernels = tf.reshape(w, [w.shape[0], w.shape[1], groups, outputs / groups]) as Tensor4D;
      y = tf.depthwiseConv2d(x, kernels, window.strides, "valid");
    } else {
      const kernels = grouped(tf, w, groups);
      y = tf.concat(grouped(tf, x, groups).map((map, i) => tf.conv2d(map, kernels[i]!, window.strides, "valid")), 3);
    }
    return finish(context, y);
  },
  ConvTranspose(context) {
    const { tf, node } = context;
    const { pads: _, ...written } = convWindow(node);
    const window = window2d(context, { ...written, pads: transposedPads(node) });
    const x = channelsLast(tf, context.input(0));
    // [I, O, H, W] → [H, W, O, I]
    const w = dilated(tf, tf.transpose(as2d(tf, context.input(1)), [2, 3, 1, 0]) as Tensor4D, window.dilations);
    const [batch, height, width] = x.shape, [kernelHeight, kernelWidth, outputs] = w.shape;
    const full = [
      (height - 1) * window.strides[0] + kernelHeight,
      (width - 1) * window.strides[1] + kernelWidth,
    ] as const;
    const groups = node.int("group");
    const kernels = grouped(tf, w, groups);
    const maps = grouped(tf, x, groups).map((map, i) =>
      tf.conv2dTranspose(map, kernels[i]!, [batch, ...full, outputs], window.strides, "valid")
    );
    const y = maps.length === 1 ? maps[0]! : tf.concat(maps, 3);
    const given = node.ints("output_padding", []);
    const extra = is1d(context) ? [0, given[0] ?? 0] : [given[0] ?? 0, given[1] ?? 0];
    const grown = tf.pad(y, [[0, 0], [0, extra[0]!], [0, extra[1]!], [0, 0]]);
    const [top, left, bottom, right] = window.pads;
    const [, h, wide, c] = grown.shape as [number, number, number, number];
    return finish(context, tf.slice(grown, [0, top, left, 0], [batch, h - top - bottom, wide - left - right, c]));
  },
  MaxPool(context) {
    const { tf, node } = context;
    if (node.outputs[1]) throw context.lacks("a second output, the indices");
    const window = pooling(context);
    if (window.dilations.some((each) => each > 1)) throw context.lacks("dilations above 1");
    const x = padded(tf, channelsLast(tf, context.input(0)), window, LOWEST);
    return channelsFirst(context, tf.maxPool(x, [...window.kernel], window.strides, "valid"));
  },
  AveragePool(context) {
    const { tf, node } = context;
    const window = pooling(context);
    if (window.dilations.some((each) => each > 1)) throw context.lacks("dilations above 1");
    const x = channelsLast(tf, context.input(0));
    const mean = (map: Tensor4D) => tf.avgPool(map, [...window.kernel], window.strides, "valid");
    const sums = mean(padded(tf, x, window, 0));
    if (!window.pads.some((pad) => pad > 0)) return channelsFirst(context, sums);
    // What part of each window counts: the input, and with count_include_pad the written pads, not ceil_mode's.
    const own = pooling(context, false), [, height, width] = x.shape;
    const include = node.int("count_include_pad") === 1;
    const counted: Tensor4D = include
      ? tf.ones([1, height + own.pads[0] + own.pads[2], width + own.pads[1] + own.pads[3], 1])
      : tf.ones([1, height, width, 1]);
    const rest = include
      ? { ...window, pads: window.pads.map((pad, i) => i < 2 ? 0 : pad - own.pads[i]!) as unknown as Window2D["pads"] }
      : window;
    return channelsFirst(context, tf.div(sums, mean(padded(tf, counted, rest, 0))));
  },
  GlobalAveragePool: (context) => context.tf.mean(context.input(0), spatialAxes(context.input(0)), true),
  GlobalMaxPool: (context) => context.tf.max(context.input(0), spatialAxes(context.input(0)), true),
});

function spatialAxes({ rank }: Tensor): number[] {
  return Array.from({ length: rank - 2 }, (_, i) => i + 2);
}

function is1d(context: OperatorContext): boolean {
  return context.input(0).rank === 3;
}

/** Equal parts of the last axis. */
function grouped(tf: TensorFlow, x: Tensor4D, groups: number): Tensor4D[] {
  return parts(tf, x, new Array<number>(groups).fill(x.shape[3] / groups), 3);
}

function sameStrides({ strides }: Window2D): boolean {
  return strides[0] === strides[1];
}

/** One spatial dimension becomes a height of 1. */
function window2d(
  context: OperatorContext,
  { kernel, strides, dilations, pads }: ReturnType<typeof convWindow>,
): Window2D {
  if (!pads) throw context.lacks(`auto_pad ${context.node.string("auto_pad")} on sizes that are not fixed`);
  if (kernel.length > 2) throw context.lacks(`${kernel.length} spatial dimensions`);
  const one = kernel.length === 1;
  const two = (pair: readonly number[]): [number, number] => one ? [1, pair[0]!] : [pair[0]!, pair[1]!];
  return {
    kernel: two(kernel),
    strides: two(strides),
    dilations: two(dilations),
    pads: one ? [0, pads[0]!, 0, pads[1]!] : [pads[0]!, pads[1]!, pads[2]!, pads[3]!],
  };
}

/** A pool's window; with ceil_mode its pads end where the last window does. */
function pooling(context: OperatorContext, ceiled = true): Window2D {
  const { node } = context;
  const window = window2d(context, poolWindow(node));
  if (!ceiled || node.int("ceil_mode") === 0) return window;
  const sizes = is1d(context) ? [1, context.input(0).shape[2]!] : context.input(0).shape.slice(2);
  const pads = [...window.pads];
  sizes.forEach((size, i) => {
    const stride = window.strides[i]!, extent = (window.kernel[i]! - 1) * window.dilations[i]! + 1;
    let last = Math.ceil((size + pads[i]! + pads[i + 2]! - extent) / stride);
    if (last * stride >= size + pads[i]!) last--; // a window that begins behind the input does not count
    pads[i + 2] = Math.max(pads[i + 2]!, last * stride + extent - size - pads[i]!);
  });
  return { ...window, pads: pads as unknown as Window2D["pads"] };
}

function as2d(tf: TensorFlow, x: Tensor): Tensor {
  if (x.rank === 4) return x;
  const [n, c, length] = (x as Tensor3D).shape;
  return tf.reshape(x, [n, c, 1, length]);
}

function channelsLast(tf: TensorFlow, x: Tensor): Tensor4D {
  return tf.transpose(as2d(tf, x), [0, 2, 3, 1]) as Tensor4D;
}

function channelsFirst(context: OperatorContext, y: Tensor): Tensor {
  const maps = context.tf.transpose(y, [0, 3, 1, 2]);
  return is1d(context) ? context.tf.squeeze(maps, [2]) : maps;
}

function finish(context: OperatorContext, y: Tensor): Tensor {
  const maps = channelsFirst(context, y), bias = context.inputs[2];
  return bias ? context.tf.add(maps, alongChannels(context.tf, bias, maps.rank)) : maps;
}

function padded(tf: TensorFlow, x: Tensor4D, { pads: [top, left, bottom, right] }: Window2D, value: number): Tensor4D {
  return top + left + bottom + right === 0 ? x : tf.pad(x, [[0, 0], [top, bottom], [left, right], [0, 0]], value);
}

/** A kernel [H, W, I, O] with zeros between its elements: TensorFlow.js has no gradient of a dilated convolution. */
function dilated(tf: TensorFlow, w: Tensor4D, dilations: readonly [number, number]): Tensor4D {
  return dilations.reduce((kernel, dilation, axis) => {
    const size = kernel.shape[axis]!;
    if (dilation === 1 || size === 1) return kernel;
    const apart = tf.expandDims(kernel, axis + 1);
    const spread = tf.pad(apart, apart.shape.map((_, i) => i === axis + 1 ? [0, dilation - 1] : [0, 0]));
    const shape = kernel.shape.map((length, i) => i === axis ? length * dilation : length);
    const joined = tf.reshape(spread, shape);
    return tf.slice(
      joined,
      [0, 0, 0, 0],
      shape.map((length, i) => i === axis ? length - dilation + 1 : length),
    ) as Tensor4D;
  }, w);
}
