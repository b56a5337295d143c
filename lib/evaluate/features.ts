/** Simple features of pictures for the nearest-neighbour yardstick. */

import type { ManifestRow, PictureCache } from "../data/mod.ts";

/** One vector a picture, row by row; the Euclidean distance between vectors is what a neighbour is judged by. */
export interface Features {
  readonly name: string;
  readonly dimension: number;
  /** [pictures, dimension] */
  readonly values: Float32Array;
}

/** What is behind transparent pictures: mid-grey, in 0 … 1. */
const grey = 0.5;

/** RGBA pixels with straight alpha, as the cache gives them. */
interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
}

/**
 * Pictures over grey, letterboxed and averaged to `side` x `side` RGB. The values are the orthonormal cosine transform of
 * those pixels, low frequencies first: distances are the same as between the pixels (Parseval), and the first few numbers
 * tell most of a distance, which `nearestNeighbour` makes use of.
 */
export function pixelFeatures(
  cache: PictureCache,
  rows: readonly ManifestRow[],
  { side = 16 }: { side?: number } = {},
): Features {
  const dimension = 3 * side * side;
  const values = new Float32Array(rows.length * dimension);
  const basis = cosineBasis(side);
  const order = byFrequency(side);
  for (const [index, row] of rows.entries()) {
    const planes = averagedPixels(cache.read(row), side);
    for (let c = 0; c < 3; c++) {
      const spectrum = cosineTransform(planes.subarray(c * side * side, (c + 1) * side * side), side, basis);
      for (const [rank, at] of order.entries()) values[index * dimension + 3 * rank + c] = spectrum[at]!;
    }
  }
  return { name: `${side} x ${side} pixels`, dimension, values };
}

/**
 * Histograms of the colours that can be seen, `bins` a channel, weighted by alpha; the square roots of the shares, so that
 * the distance is Hellinger's (up to a factor of √2).
 */
export function histogramFeatures(
  cache: PictureCache,
  rows: readonly ManifestRow[],
  { bins = 6 }: { bins?: number } = {},
): Features {
  const dimension = bins ** 3;
  const values = new Float32Array(rows.length * dimension);
  for (const [index, row] of rows.entries()) {
    values.set(colourHistogram(cache.read(row), bins), index * dimension);
  }
  return { name: `colour histogram, ${bins} x ${bins} x ${bins}`, dimension, values };
}

/** Square roots of the shares of each colour; `bins`³ values, red slowest, whose squares sum to 1. */
export function colourHistogram({ data }: Pixels, bins: number): Float32Array {
  const histogram = new Float32Array(bins ** 3);
  let total = 0;
  for (let at = 0; at < data.length; at += 4) {
    const alpha = data[at + 3]!;
    if (alpha === 0) continue;
    total += alpha;
    const bin = (value: number) => Math.floor(value * bins / 256);
    const key = (bin(data[at]!) * bins + bin(data[at + 1]!)) * bins + bin(data[at + 2]!);
    histogram[key] = histogram[key]! + alpha;
  }
  if (total > 0) { for (let i = 0; i < histogram.length; i++) histogram[i] = Math.sqrt(histogram[i]! / total); }
  return histogram;
}

/** [3, side, side] in 0 … 1: the letterboxed picture over grey, each cell the mean of the area it covers. */
export function averagedPixels({ width, height, data }: Pixels, side: number): Float32Array {
  const planes = new Float32Array(3 * side * side).fill(grey);
  const cells = side * side;
  const longer = Math.max(width, height), zoom = side / longer;
  const marginX = (longer - width) / 2, marginY = (longer - height) / 2;
  for (let y = 0, at = 0; y < height; y++) {
    const top = (y + marginY) * zoom, bottom = (y + 1 + marginY) * zoom;
    for (let x = 0; x < width; x++, at += 4) {
      const alpha = data[at + 3]! / 255;
      if (alpha === 0) continue;
      const left = (x + marginX) * zoom, right = (x + 1 + marginX) * zoom;
      for (let v = Math.floor(top); v < bottom && v < side; v++) {
        const high = Math.min(bottom, v + 1) - Math.max(top, v);
        for (let u = Math.floor(left); u < right && u < side; u++) {
          const share = alpha * high * (Math.min(right, u + 1) - Math.max(left, u));
          const cell = v * side + u;
          planes[cell] = planes[cell]! + share * (data[at]! / 255 - grey);
          planes[cells + cell] = planes[cells + cell]! + share * (data[at + 1]! / 255 - grey);
          planes[2 * cells + cell] = planes[2 * cells + cell]! + share * (data[at + 2]! / 255 - grey);
        }
      }
    }
  }
  return planes;
}

/** The orthonormal DCT-II matrix, [frequency, place] (Ahmed, Natarajan and Rao 1974). */
function cosineBasis(side: number): Float32Array {
  const basis = new Float32Array(side * side);
  for (let k = 0; k < side; k++) {
    const norm = Math.sqrt((k === 0 ? 1 : 2) / side);
    for (let i = 0; i < side; i++) basis[k * side + i] = norm * Math.cos(Math.PI * (i + 0.5) * k / side);
  }
  return basis;
}

/** basis · plane · basisᵀ */
function cosineTransform(plane: Float32Array, side: number, basis: Float32Array): Float32Array {
  return multiplyTransposed(basis, multiplyTransposed(basis, plane, side), side);
}

/** (a · b)ᵀ of square matrices; twice in a row it transforms rows, then columns. */
function multiplyTransposed(a: Float32Array, b: Float32Array, side: number): Float32Array {
  const out = new Float32Array(side * side);
  for (let r = 0; r < side; r++) {
    for (let c = 0; c < side; c++) {
      let sum = 0;
      for (let k = 0; k < side; k++) sum += a[r * side + k]! * b[k * side + c]!;
      out[c * side + r] = sum;
    }
  }
  return out;
}

/** The places of a side x side spectrum, low frequencies first. */
function byFrequency(side: number): number[] {
  return Array.from({ length: side * side }, (_, at) => at).sort((a, b) => {
    const frequency = (at: number) => (at % side) ** 2 + Math.floor(at / side) ** 2;
    return frequency(a) - frequency(b) || a - b;
  });
}
