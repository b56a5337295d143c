/** Seeded starting values of weights. Each function returns what `Graph.parameter` takes as `init`. */

import type { Random } from "../runtime/mod.ts";
import { ModelError } from "./errors.ts";

/** Fills a shape with elements in row-major order. */
export type Initializer = (shape: readonly number[]) => Float32Array;

/** How many inputs an output has (fan in) and how many outputs an input reaches (fan out). */
export interface Fans {
  readonly in: number;
  readonly out: number;
}

/**
 * Which axes of a weight are outputs and inputs: "oi" [out, in, kernel…] as Conv and Gemm with transB have it, "io"
 * [in, out, kernel…] as MatMul and ConvTranspose.
 */
export type WeightLayout = "oi" | "io";

/** Fans of a weight; a kernel's taps count on both sides (He et al. 2015, section 2.2). A vector has its length as both. */
export function fansOf(shape: readonly number[], layout: WeightLayout = "oi"): Fans {
  if (shape.length < 2) return { in: shape[0] ?? 1, out: shape[0] ?? 1 };
  const [first = 1, second = 1, ...kernel] = shape;
  const taps = kernel.reduce((product, size) => product * size, 1);
  return layout === "oi" ? { in: second * taps, out: first * taps } : { in: first * taps, out: second * taps };
}

/** Settings of `kaimingNormal` and `kaimingUniform`. */
export interface KaimingOptions {
  readonly layout?: WeightLayout;
  /** Keep the variance of the forward pass ("in", default) or of the backward pass ("out"). */
  readonly fan?: keyof Fans;
  /** Slope below zero of the rectifier that follows; default 0 (ReLU); 1 for no activation. */
  readonly slope?: number;
}

/** Normal with variance 2 / ((1 + slope²) · fan) (He et al. 2015, eq. 10 and 15). */
export function kaimingNormal(random: Random, options: KaimingOptions = {}): Initializer {
  return (shape) => normal(random, { deviation: kaimingDeviation(shape, options) })(shape);
}

/** Uniform with the same variance as `kaimingNormal`. */
export function kaimingUniform(random: Random, options: KaimingOptions = {}): Initializer {
  return (shape) => {
    const limit = Math.sqrt(3) * kaimingDeviation(shape, options);
    return uniform(random, { low: -limit, high: limit })(shape);
  };
}

/** Settings of `xavierNormal` and `xavierUniform`. */
export interface XavierOptions {
  readonly layout?: WeightLayout;
  /** Multiplies the deviation. Default: 1. */
  readonly gain?: number;
}

/** Normal with variance 2 · gain² / (fan in + fan out) (Glorot and Bengio 2010, eq. 12). */
export function xavierNormal(random: Random, options: XavierOptions = {}): Initializer {
  return (shape) => normal(random, { deviation: xavierDeviation(shape, options) })(shape);
}

/** Uniform with the same variance as `xavierNormal` (Glorot and Bengio 2010, eq. 16). */
export function xavierUniform(random: Random, options: XavierOptions = {}): Initializer {
  return (shape) => {
    const limit = Math.sqrt(3) * xavierDeviation(shape, options);
    return uniform(random, { low: -limit, high: limit })(shape);
  };
}

/** Normal numbers. Default: mean 0, deviation 1. */
export function normal(
  random: Random,
  { mean = 0, deviation = 1 }: { mean?: number; deviation?: number } = {},
): Initializer {
  return (shape) => fill(shape, () => random.normal(mean, deviation));
}

/** Uniform numbers in [low, high). */
export function uniform(random: Random, { low, high }: { low: number; high: number }): Initializer {
  return (shape) => fill(shape, () => random.uniform(low, high));
}

/**
 * Normal numbers of which those further than `bound` (default 2) deviations from 0 are drawn again. The variance is
 * deviation² · (1 − 2b φ(b) / (2 Φ(b) − 1)), 0.774 deviation² for 2.
 */
export function truncatedNormal(
  random: Random,
  { deviation = 0.02, bound = 2 }: { deviation?: number; bound?: number } = {},
): Initializer {
  if (!(bound > 0)) throw new ModelError(`truncatedNormal: expected a bound above 0, found ${bound}`);
  return (shape) =>
    fill(shape, () => {
      let z: number;
      do z = random.normal(); while (Math.abs(z) > bound);
      return z * deviation;
    });
}

/** One number everywhere. */
export function constant(value: number): Initializer {
  return (shape) => fill(shape, () => value);
}

/**
 * Rows (or columns, whichever are fewer, of the weight flattened to [first axis, the others]) that are orthonormal, times
 * gain, uniformly among all such matrices (Saxe et al. 2014, section 3; signs after Mezzadri 2007, section 5). Throws ModelError
 * for fewer than two dimensions.
 */
export function orthogonal(random: Random, { gain = 1 }: { gain?: number } = {}): Initializer {
  return (shape) => {
    if (shape.length < 2) {
      throw new ModelError(`orthogonal: expected two dimensions or more, found [${shape.join(", ")}]`);
    }
    const [rows = 1] = shape;
    const columns = shape.slice(1).reduce((product, size) => product * size, 1);
    const vectors = orthonormal(random, Math.min(rows, columns), Math.max(rows, columns));
    const result = new Float32Array(rows * columns);
    vectors.forEach((vector, i) => {
      for (let j = 0; j < vector.length; j++) {
        result[rows <= columns ? i * columns + j : j * columns + i] = gain * vector[j]!;
      }
    });
    return result;
  };
}

/** Random orthonormal vectors: Gram and Schmidt, twice for accuracy (Giraud et al. 2005). The diagonal of R is positive. */
function orthonormal(random: Random, count: number, length: number): Float64Array[] {
  const found: Float64Array[] = [];
  while (found.length < count) {
    const vector = Float64Array.from({ length }, () => random.normal());
    for (let pass = 0; pass < 2; pass++) {
      for (const other of found) {
        let along = 0;
        for (let i = 0; i < length; i++) along += vector[i]! * other[i]!;
        for (let i = 0; i < length; i++) vector[i]! -= along * other[i]!;
      }
    }
    const size = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
    if (size > 1e-9) found.push(vector.map((x) => x / size));
  }
  return found;
}

function kaimingDeviation(shape: readonly number[], { layout, fan = "in", slope = 0 }: KaimingOptions): number {
  return Math.sqrt(2 / ((1 + slope ** 2) * fansOf(shape, layout)[fan]));
}

function xavierDeviation(shape: readonly number[], { layout, gain = 1 }: XavierOptions): number {
  const fans = fansOf(shape, layout);
  return gain * Math.sqrt(2 / (fans.in + fans.out));
}

function fill(shape: readonly number[], draw: () => number): Float32Array {
  const result = new Float32Array(shape.reduce((product, size) => product * size, 1));
  for (let i = 0; i < result.length; i++) result[i] = draw();
  return result;
}
