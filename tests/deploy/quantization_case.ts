/** A small network with its pictures, quantized here and by onnxruntime.quantization, and how far the two are apart. */

import { calibrate, type CalibrateOptions, type QuantizeOptions, quantizeStatic } from "../../lib/deploy/mod.ts";
import {
  add,
  clip,
  conv,
  flatten,
  gemm,
  globalAveragePool,
  Graph,
  leakyRelu,
  maxPool,
  relu,
  type Tensor,
  tensor,
  type Value,
} from "../../lib/onnx/mod.ts";
import { Random } from "../../lib/runtime/mod.ts";

/** What tests/peers/quantization.py writes. */
export interface PythonQuantization {
  readonly onnxruntime: string;
  /** Lowest and highest by method and value. */
  readonly ranges: Readonly<Record<string, Readonly<Record<string, readonly [number, number]>>>>;
  /** Tensors by form and name: NAME_scale, NAME_zero_point, NAME_quantized. */
  readonly quantized: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>>;
}

/** Our settings under the names of tests/peers/quantization.py. */
export const METHODS: Readonly<Record<string, CalibrateOptions>> = {
  minMax: { method: "minMax" },
  percentile: { method: "percentile" },
  "percentile, both sides": { method: "percentile", symmetric: false, percentile: 99 },
  entropy: { method: "entropy" },
  "entropy, 128 bins": { method: "entropy", bins: 128 },
};

/** See `METHODS`. */
export const FORMS: Readonly<Record<string, QuantizeOptions>> = {
  uint8: {},
  "uint8, 7 bits": { reduceRange: true },
  "uint8, one scale": { perChannel: false },
  "int8 about 0": { activation: "int8" },
};

/** Batches of the calibration. */
export const BATCHES = 4;

/** Convolutions with all that may stand between them: Relu, Clip, LeakyRelu, pools, a sum, a linear layer. */
export function smallNetwork(seed: string | number): Graph {
  const random = Random.seeded("quantization", seed), graph = new Graph("small");
  const weight = (name: string, shape: readonly number[], deviation: number) =>
    graph.parameter(name, { shape, init: (sizes) => draw(random.fork(name), sizes, deviation) });
  const layer = (x: Value, name: string, [filters, channels, side]: readonly [number, number, number], group = 1) =>
    conv(
      x,
      weight(`${name}.weight`, [filters, channels / group, side, side], Math.sqrt(2 / (channels / group * side ** 2))),
      {
        bias: weight(`${name}.bias`, [filters], 0.3),
        ...{ pads: (side - 1) / 2, group, name },
      },
    );
  const images = graph.input("images", "float32", ["N", 3, 12, 12]);
  const stem = maxPool(relu(layer(images, "stem", [8, 3, 3]), { name: "stem.relu" }), 2, { strides: 2, name: "pool" });
  const wide = clip(layer(stem, "wide", [8, 8, 3], 8), 0, 6, { name: "wide.clip" });
  const narrow = leakyRelu(layer(wide, "narrow", [8, 8, 1]), { alpha: 0.1, name: "narrow.leaky" });
  const sum = relu(add(stem, narrow, { name: "sum" }), { name: "sum.relu" });
  const features = flatten(globalAveragePool(layer(sum, "top", [6, 8, 3]), { name: "mean" }), { name: "features" });
  const last = weight("last.weight", [5, 6], 0.5);
  graph.output(gemm(features, last, weight("last.bias", [5], 0.3), { transB: true, name: "last" }), "logits");
  return graph;
}

/** Pictures with edges and long tails. */
export function smallPictures(seed: string | number): { images: Tensor }[] {
  const random = Random.seeded("quantization pictures", seed);
  return Array.from({ length: BATCHES }, () => {
    const images = draw(random, [8, 3, 12, 12], 1).map((x) => x ** 3 / 3 + 0.2);
    return { images: tensor("float32", [8, 3, 12, 12], images) };
  });
}

function draw(random: Random, shape: readonly number[], deviation: number): Float32Array {
  return Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal(0, deviation));
}

/** How far apart two quantizations are. */
export interface Distance {
  /** Of ranges and scales, relative. */
  readonly ranges: number;
  readonly scales: number;
  /**
   * Of the ranges that entropy chooses among 2,048 bins: Python sums divergences in float32, whose rounding decides between
   * neighbours (5.16932e-2 beside 5.16933e-2 for one that it takes and we do not).
   */
  readonly entropy: number;
  /** Of whole numbers: zero points, weights, biases. */
  readonly wholes: number;
  /** How many figures were compared. */
  readonly compared: number;
}

/** Quantizes the network as Python did, and compares all that both have. */
export async function distanceTo(python: PythonQuantization, seed: string | number): Promise<Distance> {
  const graph = smallNetwork(seed), pictures = smallPictures(seed);
  let ranges = 0, entropy = 0, scales = 0, wholes = 0, compared = 0;
  for (const [method, options] of Object.entries(METHODS)) {
    const ours = await calibrate(graph, pictures, { ...options, threads: 1 });
    for (const [name, [low, high]] of Object.entries(python.ranges[method]!)) {
      const range = ours.ranges.get(name);
      if (!range || MOVED.has(name)) continue;
      const width = Math.max(high - low, 1e-9);
      const apart = Math.max(Math.abs(range.low - low), Math.abs(range.high - high)) / width;
      if (method === "entropy") entropy = Math.max(entropy, apart);
      else ranges = Math.max(ranges, apart);
      compared++;
    }
  }
  const calibration = await calibrate(graph, pictures, { method: "minMax", threads: 1 });
  for (const [form, options] of Object.entries(FORMS)) {
    const { values } = await quantizeStatic(graph, calibration, options);
    for (const [name, expected] of Object.entries(python.quantized[form]!)) {
      const own = name.replace(/_scale$/, ".scale").replace(/_zero_point$/, ".zero_point");
      const value = values.get(own) ??
        ["int8", "int32"].map((dtype) => values.get(name.replace(/_quantized$/, `.${dtype}`)))
          .find((found) => found);
      if (!value?.tensor || (form === "int8 about 0" && ATTACHED.has(name.replace(/_(scale|zero_point)$/, "")))) {
        continue;
      }
      Array.from(value.tensor.data as Float32Array, Number).forEach((found, i) => {
        if (name.endsWith("_scale")) scales = Math.max(scales, Math.abs(found / expected[i]! - 1));
        else wholes = Math.max(wholes, Math.abs(found - expected[i]!));
        compared++;
      });
    }
  }
  return { ranges, entropy, scales, wholes, compared };
}

/** Values whose range is that of what they were taken from; Python looks at them too. */
const MOVED = new Set(["pool", "features"]);
/** What stands between a layer and its activation, which Python rounds too. */
const ATTACHED = new Set(["stem", "wide", "sum"]);
