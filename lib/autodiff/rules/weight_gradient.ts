/** The gradient of a convolution's weights: a correlation of its input with its output's gradient, in five exact forms. */

import {
  concat,
  gather,
  isStatic,
  matMul,
  mul,
  pad,
  reduceSum,
  reshape,
  type Shape,
  slice,
  tensor,
  transpose,
  type Value,
} from "../../onnx/mod.ts";
import type { RuleContext } from "../rule.ts";

/** A convolution as its weight gradient needs it; all sizes known except perhaps the batch's. */
export interface Correlation {
  /** [N, C, spatial…]: what the window slides over. */
  readonly input: Value;
  /** [N, M, places…]: the gradient at each place of the window. */
  readonly gradient: Value;
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** All beginnings, then all ends. */
  readonly pads: readonly number[];
  readonly group: number;
}

/** The ways to work it out; all give the same sum in another order. */
export type WeightGradientForm = "pointwise" | "depthwise" | "columns" | "rows" | "shifts";

/** Sizes of a correlation. */
interface Sizes {
  readonly channels: number;
  readonly outputs: number;
  readonly spatial: readonly number[];
  readonly places: readonly number[];
  readonly taps: number;
  readonly count: number;
}

/**
 * dw[m, c, k] = Σₙ,ₚ gradient[n, m, p] · input[n, c, stride · p + dilation · k − pad], as [M, C / group, kernel…].
 *
 * - "pointwise" (kernel 1, stride 1): one product of matrices for each example, summed.
 * - "depthwise" (one input and one output channel a group): for each tap an elementwise product, summed.
 * - "columns": all taps of one example side by side (im2col), one product for each example, summed.
 * - "rows": the input as [place, N · C] matrix, of which Gather copies the row of each (tap, place); then one product
 *   for each tap over places and examples at once. Gather copies N · C numbers at a time, pads and strides cost nothing.
 * - "shifts": one product for each tap and example on a shifted copy of the padded input, summed.
 *
 * Chosen by shape. Measured (2 cores with AVX-512, ONNX Runtime 1.32, 3x3, milliseconds, rows / shifts / columns):
 * 256→512 at 7², batch 16: 6.2 / 12.6 / 11.7; 256→512 at 3², batch 32: 3.0 / 23 / 22; 128→256 at 14²: 6.0 / 7.3 / 7.5;
 * 64→128 at 28²: 7.6 / 6.6 / 9.4; 32→64 at 56²: 24 / 8.5 / 28; 3→16 at 96², batch 32: – / 8.0 / 4.6; stride 2:
 * 32→64 at 128²: 22 / 61 / 59, 256→512 at 16²: 8.4 / 16.7 / 15. Batch 2, rows / shifts, one thread: 256→512 at 26² 39.5 / 41.2,
 * 128→256 at 52² 37.5 / 34.7; stride 2: 32→64 at 416² 75 / 114, 128→256 at 104² 40 / 49, 256→512 at 52² 38 / 50. One Conv with the gradient as its kernel: 16 at 7², 25
 * at 14² and 28². 1x1: 1.3 per example against 4.3 by rows at 64², 3.5 against 0.9 at 4².
 */
export function weightGradient(
  ctx: Pick<RuleContext, "fail">,
  correlation: Correlation,
  form?: WeightGradientForm,
): Value {
  const sizes = measure(ctx, correlation);
  switch (form ?? chooseForm(correlation, sizes)) {
    case "pointwise":
      return pointwise(correlation, sizes);
    case "depthwise":
      return depthwise(correlation, sizes);
    case "columns":
      return columns(correlation, sizes);
    case "rows":
      return rows(correlation, sizes);
    case "shifts":
      return shifts(correlation, sizes);
  }
}

/** Numbers that "rows" may copy for large maps, 200 MB: with more the copies need too much memory. */
const LARGEST_ROWS = 50_000_000;

/** The same for one example of a batch whose size is open. */
const LARGEST_EXAMPLE = 1_200_000;

function chooseForm({ input, kernel, strides, pads, group }: Correlation, sizes: Sizes): WeightGradientForm {
  const { channels, outputs, taps, count } = sizes;
  if (group > 1) return group === channels && group === outputs ? "depthwise" : "shifts";
  const plain = kernel.every((size) => size === 1) && strides.every((s) => s === 1) && pads.every((p) => p === 0);
  if (plain) return count >= 128 ? "pointwise" : "rows";
  if (channels * taps <= 64) return "columns";
  if (count <= (channels < 128 ? 400 : 700)) return "rows";
  const [batch] = input.shape, example = taps * count * channels;
  const fits = typeof batch === "number" ? batch * example <= LARGEST_ROWS : example <= LARGEST_EXAMPLE;
  return fits && strides.some((stride) => stride > 1) ? "rows" : "shifts";
}

function measure(ctx: Pick<RuleContext, "fail">, { input, gradient, kernel }: Correlation): Sizes {
  const x: Shape = input.shape.slice(1), g: Shape = gradient.shape.slice(1);
  if (!isStatic(x) || !isStatic(g)) {
    throw ctx.fail(`expected sizes that are known except the batch's, found ${input} and gradient ${gradient}`);
  }
  const places = g.slice(1);
  const product = (numbers: readonly number[]) => numbers.reduce((a, b) => a * b, 1);
  return {
    channels: x[0]!,
    outputs: g[0]!,
    spatial: x.slice(1),
    places,
    taps: product(kernel),
    count: product(places),
  };
}

function pointwise({ input, gradient, kernel }: Correlation, { channels, outputs, count }: Sizes): Value {
  const g = reshape(gradient, [-1, outputs, count]), x = reshape(input, [-1, channels, count]);
  const sum = reduceSum(matMul(g, transpose(x, [0, 2, 1])), { axes: [0] });
  return reshape(sum, [outputs, channels, ...kernel]);
}

function depthwise(correlation: Correlation, { channels, places }: Sizes): Value {
  const axes = [0, ...places.map((_, i) => i + 2)];
  const taps = shifted(correlation).map((x) => reduceSum(mul(x, correlation.gradient), { axes }));
  const all = reshape(concat(taps, 0), [-1, channels]);
  return reshape(transpose(all, [1, 0]), [channels, 1, ...correlation.kernel]);
}

function columns(correlation: Correlation, { channels, outputs, taps, count }: Sizes): Value {
  const all = concat(shifted(correlation), 1);
  const matrix = reshape(all, [-1, taps * channels, count]);
  const product = matMul(reshape(correlation.gradient, [-1, outputs, count]), transpose(matrix, [0, 2, 1]));
  const sum = reshape(reduceSum(product, { axes: [0] }), [outputs, taps, channels]);
  return reshape(transpose(sum, [0, 2, 1]), [outputs, channels, ...correlation.kernel]);
}

function rows(correlation: Correlation, { channels, outputs, spatial, taps, count }: Sizes): Value {
  const { input, gradient, kernel } = correlation;
  const area = spatial.reduce((a, b) => a * b, 1);
  const byPlace = transpose(reshape(input, [-1, area]), [1, 0]);
  const padded = pad(byPlace, [0, 0, 1, 0]); // one more row, of zeros, for what lies in the padding
  const picked = gather(padded, rowIndices(correlation, spatial, area), { axis: 0 });
  const x = reshape(picked, [taps, -1, channels]);
  const g = transpose(reshape(gradient, [-1, outputs * count]), [1, 0]);
  const product = matMul(reshape(g, [outputs, -1]), x);
  return reshape(transpose(reshape(product, [taps, outputs * channels]), [1, 0]), [outputs, channels, ...kernel]);
}

function shifts(correlation: Correlation, { channels, outputs, taps, count }: Sizes): Value {
  const { group, kernel } = correlation;
  const inputs = channels / group;
  const split = (x: Value, each: number) => reshape(x, group === 1 ? [-1, each, count] : [-1, group, each, count]);
  const turn = group === 1 ? [0, 2, 1] : [0, 1, 3, 2];
  const g = split(correlation.gradient, outputs / group);
  const products = shifted(correlation).map((x) =>
    reduceSum(matMul(g, transpose(split(x, inputs), turn)), { axes: [0] })
  );
  const all = reshape(concat(products, 0), [taps, outputs * inputs]);
  return reshape(transpose(all, [1, 0]), [outputs, inputs, ...kernel]);
}

/** For each tap the part of the padded input that it meets, in the gradient's spatial shape. */
function shifted({ input, gradient, kernel, strides, dilations, pads }: Correlation): Value[] {
  const n = kernel.length;
  const axes = kernel.map((_, i) => i + 2);
  const padded = pads.some((each) => each !== 0)
    ? pad(input, [0, 0, ...pads.slice(0, n), 0, 0, ...pads.slice(n)])
    : input;
  const places = gradient.shape.slice(2) as number[];
  return tapsOf(kernel).map((tap) => {
    const begin = tap.map((k, i) => k * dilations[i]!);
    const end = begin.map((from, i) => from + strides[i]! * (places[i]! - 1) + 1);
    const whole = begin.every((from, i) => from === 0 && end[i] === padded.shape[i + 2]);
    return whole && strides.every((stride) => stride === 1)
      ? padded
      : slice(padded, begin, end, { axes, steps: strides });
  });
}

/** For each tap and place the flat index of the element it meets; `area`, the row of zeros, for one in the padding. */
function rowIndices(correlation: Correlation, spatial: readonly number[], area: number): Value {
  const { input, gradient, kernel, strides, dilations, pads } = correlation;
  const places = tapsOf(gradient.shape.slice(2) as number[]);
  const indices = tapsOf(kernel).flatMap((tap) =>
    places.map((place) => {
      let flat = 0;
      for (let i = 0; i < spatial.length; i++) {
        const at = place[i]! * strides[i]! + tap[i]! * dilations[i]! - pads[i]!;
        if (at < 0 || at >= spatial[i]!) return area;
        flat = flat * spatial[i]! + at;
      }
      return flat;
    })
  );
  return input.graph.constant(tensor("int32", [indices.length], indices));
}

/** All index tuples of a shape in row-major order. */
export function tapsOf(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>(
    (tuples, size) => tuples.flatMap((tuple) => Array.from({ length: size }, (_, i) => [...tuple, i])),
    [[]],
  );
}
