/** Pillow's `Image.resize` for 8-bit pictures, to the bit: separable, antialiased, in fixed point, rounded to bytes after each pass. */

import { InputError } from "../../runtime/mod.ts";
import type { Preprocessing } from "../encoder.ts";

/** How neighbours are weighed. */
export type Kernel = Preprocessing["kernel"];

/** 8-bit pixels of three channels, row by row. */
export interface RgbPixels {
  readonly width: number;
  readonly height: number;
  /** `3 * width * height` values. */
  readonly data: Uint8ClampedArray | Uint8Array;
}

interface Filter {
  /** Half the width, in source pixels when enlarging. */
  readonly support: number;
  readonly weight: (x: number) => number;
}

const sinc = (x: number) => x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);

/** The kernels of Pillow's Resample.c: bicubic is Keys' (1981) with a = −0.5, Lanczos has three lobes. */
const filters: Readonly<Record<Exclude<Kernel, "nearest">, Filter>> = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    support: 2,
    weight(x) {
      const a = -0.5, t = Math.abs(x);
      if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
      return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0;
    },
  },
  lanczos: { support: 3, weight: (x) => Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0 },
};

/** Bits behind the point of a weight: what is left of 32 beside a byte and two bits of headroom. */
const PRECISION_BITS = 32 - 8 - 2;

/** The source pixels of each target pixel along one axis, and their weights. */
interface Weights {
  /** First source pixel and how many, two numbers a target pixel. */
  readonly bounds: Int32Array;
  /** `width` fixed-point weights a target pixel. */
  readonly weights: Int32Array;
  readonly width: number;
}

function weightsOf(from: number, to: number, { support, weight }: Filter): Weights {
  const scale = from / to, stretch = Math.max(1, scale), reach = support * stretch;
  const width = Math.ceil(reach) * 2 + 1;
  const bounds = new Int32Array(2 * to), weights = new Int32Array(width * to);
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale;
    // C's cast to int cuts toward zero.
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const count = Math.min(from, Math.trunc(centre + reach + 0.5)) - first;
    const own = Array.from({ length: count }, (_, k) => weight((k + first - centre + 0.5) * (1 / stretch)));
    const sum = own.reduce((total, each) => total + each, 0);
    for (const [k, each] of own.entries()) {
      const scaled = (sum === 0 ? each : each / sum) * 2 ** PRECISION_BITS;
      weights[i * width + k] = Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    }
    bounds[2 * i] = first;
    bounds[2 * i + 1] = count;
  }
  return { bounds, weights, width };
}

const HALF = 2 ** (PRECISION_BITS - 1);

/** Resizes the rows: `lines` lines of `from` pixels each become `to` pixels; a `Uint8ClampedArray` clips as Pillow does. */
function resizeAcross(source: ArrayLike<number>, lines: number, from: number, to: number, filter: Filter) {
  const { bounds, weights, width } = weightsOf(from, to, filter);
  const result = new Uint8ClampedArray(3 * lines * to);
  for (let line = 0, at = 0; line < lines; line++) {
    const start = 3 * line * from;
    for (let i = 0; i < to; i++, at += 3) {
      const first = bounds[2 * i]!, count = bounds[2 * i + 1]!, own = i * width;
      let red = HALF, green = HALF, blue = HALF;
      for (let k = 0, p = start + 3 * first; k < count; k++, p += 3) {
        const weight = weights[own + k]!;
        red += source[p]! * weight;
        green += source[p + 1]! * weight;
        blue += source[p + 2]! * weight;
      }
      result[at] = red >> PRECISION_BITS;
      result[at + 1] = green >> PRECISION_BITS;
      result[at + 2] = blue >> PRECISION_BITS;
    }
  }
  return result;
}

/** Resizes the columns of `from` rows of `width` pixels to `to` rows. */
function resizeDown(source: ArrayLike<number>, width: number, from: number, to: number, filter: Filter) {
  const { bounds, weights, width: taps } = weightsOf(from, to, filter);
  const stride = 3 * width;
  const result = new Uint8ClampedArray(stride * to);
  const sums = new Float64Array(stride);
  for (let i = 0; i < to; i++) {
    sums.fill(HALF);
    const first = bounds[2 * i]!, count = bounds[2 * i + 1]!;
    for (let k = 0; k < count; k++) {
      const weight = weights[i * taps + k]!, start = (first + k) * stride;
      for (let x = 0; x < stride; x++) sums[x]! += source[start + x]! * weight;
    }
    for (let x = 0; x < stride; x++) result[i * stride + x] = sums[x]! >> PRECISION_BITS;
  }
  return result;
}

function nearest({ width, height, data }: RgbPixels, toWidth: number, toHeight: number): Uint8ClampedArray {
  const result = new Uint8ClampedArray(3 * toWidth * toHeight);
  for (let y = 0, at = 0; y < toHeight; y++) {
    const row = Math.min(height - 1, Math.floor((y + 0.5) * height / toHeight)) * width;
    for (let x = 0; x < toWidth; x++, at += 3) {
      const from = 3 * (row + Math.min(width - 1, Math.floor((x + 0.5) * width / toWidth)));
      for (let c = 0; c < 3; c++) result[at + c] = data[from + c]!;
    }
  }
  return result;
}

/**
 * The picture in `width` x `height` pixels, bit for bit as Pillow's `Image.resize((width, height), kernel)` gives it: columns after
 * rows, an axis that keeps its size untouched. Throws InputError for sizes below 1.
 */
export function resizeLikePillow(picture: RgbPixels, width: number, height: number, kernel: Kernel): RgbPixels {
  if (![width, height, picture.width, picture.height].every((side) => Number.isInteger(side) && side > 0)) {
    throw new InputError(
      `resize: expected sides of 1 pixel or more, found ${picture.width} x ${picture.height} → ${width} x ${height}`,
    );
  }
  if (width === picture.width && height === picture.height) return picture;
  if (kernel === "nearest") return { width, height, data: nearest(picture, width, height) };
  const filter = filters[kernel];
  const across = width === picture.width
    ? picture.data
    : resizeAcross(picture.data, picture.height, picture.width, width, filter);
  const data = height === picture.height ? across : resizeDown(across, width, picture.height, height, filter);
  return { width, height, data };
}
