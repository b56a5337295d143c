/** Scales, zero points and rounding, as onnxruntime.quantization computes them. */

import { InputError } from "../../runtime/mod.ts";

/** The smallest and the largest value that an activation is to have after quantization. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

/** Integers that a type of activation has. */
export type ActivationType = "uint8" | "int8";

/** x ≈ (q − zeroPoint) · scale, q in low … high. */
export interface Quantizer {
  readonly scale: number;
  readonly zeroPoint: number;
  readonly low: number;
  readonly high: number;
}

/** The smallest normal float32: a scale below it is taken for that of a value that is always 0. */
const TINY = 1.1754943508222875e-38;

/** Rounds to the nearest whole number, halves to the even one, as QuantizeLinear does. */
export function roundHalfEven(x: number): number {
  const rounded = Math.round(x);
  return Math.abs(x - Math.trunc(x)) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

/**
 * Scale and zero point of an activation. The range is widened to include 0; symmetric int8 takes −127 … 127 and the zero point 0.
 * A range of 0 alone gets the scale 1 (onnxruntime.quantization, `compute_scale_zp`). Throws InputError for a range that is none.
 */
export function activationQuantizer(
  { low, high }: Range,
  type: ActivationType,
  { symmetric = false }: { readonly symmetric?: boolean } = {},
): Quantizer {
  if (!(Number.isFinite(low) && Number.isFinite(high) && low <= high)) {
    throw new InputError(`quantize: expected a range of finite numbers, the lower first, found ${low} … ${high}`);
  }
  const limits = type === "uint8" ? { low: 0, high: 255 } : { low: symmetric ? -127 : -128, high: 127 };
  let from = Math.min(low, 0), to = Math.max(high, 0);
  if (symmetric) [from, to] = [-Math.max(-from, to), Math.max(-from, to)];
  const scale = (to - from) / (limits.high - limits.low);
  if (scale < TINY) return { ...limits, scale: 1, zeroPoint: symmetric && type === "uint8" ? 128 : 0 };
  const zeroPoint = symmetric
    ? roundHalfEven((limits.high + limits.low) / 2)
    : roundHalfEven(limits.low - from / scale);
  return { ...limits, scale: Math.fround(scale), zeroPoint };
}

/** Weights as whole numbers: q = clip(round-half-even(w / scale), −127, 127) of its channel, zero point 0. */
export interface QuantizedWeights {
  readonly values: Int8Array<ArrayBuffer>;
  /** One for each channel, or a single one. */
  readonly scales: Float32Array<ArrayBuffer>;
}

/** How weights lie in memory: [outer, channels, inner], one scale a channel. */
export interface ChannelLayout {
  readonly channels: number;
  /** Elements of a channel that follow one another. */
  readonly inner: number;
}

/** The layout of a tensor whose output channels are dimension `axis`. */
export function channelLayout(shape: readonly number[], axis: number): ChannelLayout {
  return { channels: shape[axis]!, inner: shape.slice(axis + 1).reduce((product, size) => product * size, 1) };
}

/** The channel of element i. */
export function channelOf(i: number, { channels, inner }: ChannelLayout): number {
  return Math.floor(i / inner) % channels;
}

/**
 * The scale of each channel: max |w| / 127, or with `reduceRange` / 64 (7 bits, so that sums of two products of U8 and S8 fit
 * 16 bits on processors without VNNI).
 */
export function weightScales(
  weights: Float32Array,
  layout: ChannelLayout,
  { perChannel = true, reduceRange = false }: { readonly perChannel?: boolean; readonly reduceRange?: boolean } = {},
): Float32Array<ArrayBuffer> {
  const largest = new Float64Array(perChannel ? layout.channels : 1);
  for (let i = 0; i < weights.length; i++) {
    const channel = perChannel ? channelOf(i, layout) : 0, size = Math.abs(weights[i]!);
    if (size > largest[channel]!) largest[channel] = size;
  }
  const steps = reduceRange ? 128 : 254;
  return Float32Array.from(largest, (most) => {
    const scale = 2 * most / steps;
    return scale < TINY ? 1 : scale;
  });
}

/** Weights by their channels' scales. Throws InputError for a weight that is no finite number. */
export function quantizeWeights(
  weights: Float32Array,
  scales: Float32Array<ArrayBuffer>,
  layout: ChannelLayout,
): QuantizedWeights {
  const values = new Int8Array(weights.length), single = scales.length === 1;
  for (let i = 0; i < weights.length; i++) {
    const scale = scales[single ? 0 : channelOf(i, layout)]!;
    const q = roundHalfEven(Math.fround(weights[i]! / scale));
    if (!Number.isFinite(q)) throw new InputError(`quantize: expected finite weights, found ${weights[i]}`);
    values[i] = Math.min(127, Math.max(-128, q));
  }
  return { values, scales };
}

/** The largest whole number of a bias. */
const INT32_MAX = 2 ** 31 - 1;

/**
 * Raises scales of weights where a bias would not fit 32 bits as a multiple of inputScale · scale (onnxruntime.quantization,
 * `_adjust_weight_scale_for_int32_bias`). Returns new scales.
 */
export function scalesForBias(
  scales: Float32Array<ArrayBuffer>,
  bias: Float32Array,
  inputScale: number,
): Float32Array<ArrayBuffer> {
  const largest = bias.reduce((most, b) => Math.max(most, Math.abs(b)), 0);
  return scales.map((scale, c) => {
    const size = scales.length === 1 ? largest : Math.abs(bias[c]!);
    const smallest = 1.0001 * 2 * size / (2 * INT32_MAX), candidate = inputScale * scale;
    return candidate > 0 && candidate < smallest ? scale * (smallest / candidate) : scale;
  });
}

/** A bias as multiples of inputScale · scale of its channel. */
export function quantizeBias(
  bias: Float32Array,
  scales: Float32Array<ArrayBuffer>,
  inputScale: number,
): { readonly values: Int32Array<ArrayBuffer>; readonly scales: Float32Array<ArrayBuffer> } {
  const own = scales.map((scale) => inputScale * scale);
  const values = Int32Array.from(
    bias,
    (b, c) => Math.min(INT32_MAX, Math.max(-INT32_MAX - 1, roundHalfEven(b / own[own.length === 1 ? 0 : c]!))),
  );
  return { values, scales: own };
}
