/** Biases that give back what the rounding of weights takes from the mean of a layer's results. */

import type { Layer } from "./plan.ts";
import { channelLayout, channelOf, type QuantizedWeights } from "./numbers.ts";

/**
 * b − E[(W̃ − W) x]: with the rounded weights W̃ the layer's mean results are those of the float32 weights again (Nagel et al. 2019,
 * section 4.2). `means` are those of the channels of the layer's input; a convolution's sum over its window takes them as the same
 * at all places, which the borders are not.
 */
export function correctedBias(
  { node, weight, axis }: Pick<Layer, "node" | "weight" | "axis">,
  { values, scales }: QuantizedWeights,
  bias: Float32Array | undefined,
  means: Float64Array,
): Float32Array<ArrayBuffer> {
  const { shape, data } = weight.tensor!, weights = data as Float32Array;
  const layout = channelLayout(shape, axis), shifts = new Float64Array(layout.channels);
  const isConv = node.opType === "Conv";
  const window = isConv ? shape.slice(2).reduce((product, size) => product * size, 1) : 1;
  const perGroup = isConv ? layout.channels / node.int("group") : layout.channels;
  for (let i = 0; i < weights.length; i++) {
    const output = channelOf(i, layout), error = values[i]! * scales[scales.length === 1 ? 0 : output]! - weights[i]!;
    const input = isConv
      ? Math.floor(output / perGroup) * shape[1]! + Math.floor(i / window) % shape[1]!
      : axis === 0
      ? i % layout.inner
      : Math.floor(i / layout.channels);
    shifts[output]! += error * means[input]!;
  }
  return Float32Array.from(shifts, (shift, c) => (bias?.[c] ?? 0) - shift);
}
