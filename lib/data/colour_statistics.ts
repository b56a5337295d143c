/** The colours of a dataset. */

import type { PictureCache } from "./loader/mod.ts";
import type { ManifestRow } from "./manifest.ts";

export interface ColourStatistics {
  /** Pictures looked at. */
  readonly images: number;
  /** Mean and deviation of red, green and blue over what can be seen, in 0 … 1: for `Normalisation`. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  /** Shares of the values of each channel, 32 steps from dark to bright. */
  readonly histograms: readonly [readonly number[], readonly number[], readonly number[]];
  /** Shares of the hues, 36 steps of 10 degrees from red, weighted by chroma. */
  readonly hues: readonly number[];
  /** Mean colour of each class, in 0 … 255. */
  readonly classColours: readonly { readonly dex: number; readonly colour: readonly [number, number, number] }[];
}

/** Looks at every pixel of the rows' cached pictures; every picture weighs the same, transparent pixels nothing. */
export function colourStatistics(cache: PictureCache, rows: readonly ManifestRow[]): ColourStatistics {
  const sums = [0, 0, 0], squares = [0, 0, 0];
  const histograms = [0, 1, 2].map(() => new Float64Array(32));
  const hues = new Float64Array(36);
  const classes = new Map<number, { sums: number[]; count: number }>();
  let images = 0;
  for (const row of rows) {
    const { data } = cache.read(row);
    let total = 0;
    for (let at = 3; at < data.length; at += 4) total += data[at]!;
    if (total === 0) continue;
    images++;
    let own = classes.get(row.dex);
    if (!own) classes.set(row.dex, own = { sums: [0, 0, 0], count: 0 });
    own.count++;
    for (let at = 0; at < data.length; at += 4) {
      const weight = data[at + 3]! / total;
      if (weight === 0) continue;
      for (let c = 0; c < 3; c++) {
        const value = data[at + c]!;
        sums[c] = sums[c]! + weight * value / 255;
        squares[c] = squares[c]! + weight * (value / 255) ** 2;
        own.sums[c] = own.sums[c]! + weight * value;
        const histogram = histograms[c]!;
        histogram[value >> 3] = histogram[value >> 3]! + weight;
      }
      const [hue, chroma] = hueAndChroma(data[at]!, data[at + 1]!, data[at + 2]!);
      const bin = Math.floor(hue / 10) % 36;
      hues[bin] = hues[bin]! + weight * chroma;
    }
  }
  if (images === 0) throw new RangeError("colourStatistics: expected pictures with something in them, found none");
  const mean = sums.map((sum) => sum / images);
  return {
    images,
    mean: triple(mean),
    std: triple(squares.map((square, c) => Math.sqrt(Math.max(0, square / images - mean[c]! ** 2)))),
    histograms: triple(histograms.map((histogram) => Array.from(histogram, (weight) => weight / images))),
    hues: shares(hues),
    classColours: [...classes].sort(([a], [b]) => a - b).map(([dex, { sums, count }]) => ({
      dex,
      colour: triple(sums.map((sum) => sum / count)),
    })),
  };
}

/** Hue in degrees and chroma in 0 … 255 of a byte RGB colour (the hexagonal hue of HSL and HSV). */
export function hueAndChroma(red: number, green: number, blue: number): [hue: number, chroma: number] {
  const high = Math.max(red, green, blue), chroma = high - Math.min(red, green, blue);
  if (chroma === 0) return [0, 0];
  const sixth = high === red
    ? (green - blue) / chroma + 6
    : high === green
    ? (blue - red) / chroma + 2
    : (red - green) / chroma + 4;
  return [60 * (sixth % 6), chroma];
}

function shares(weights: Float64Array): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return Array.from(weights, (weight) => total > 0 ? weight / total : 0);
}

function triple<T>(values: readonly T[]): readonly [T, T, T] {
  return [values[0]!, values[1]!, values[2]!];
}
