/** What a camera and a file format do to a picture: motion blur, defocus, noise, fewer pixels, JPEG. */

import sharp from "sharp";
import { Buffer } from "node:buffer";
import type { Random } from "../../runtime/mod.ts";
import { type Picture, premultiply, unpremultiply } from "./picture.ts";
import { scaling } from "./homography.ts";
import type { Sample } from "./sample.ts";
import { eachSample, type Transform } from "./transform.ts";
import { warp } from "./warp.ts";

/** Smears along a random direction over up to `length` of the picture's longer side. */
export function motionBlur({ length = 0.08 }: { length?: number } = {}): Transform {
  return eachSample("motionBlur", { length }, (sample, random) => {
    const angle = random.uniform(0, Math.PI);
    const reach = random.uniform(0.25, 1) * length * Math.max(sample.width, sample.height);
    blur(sample, (picture) => lineBlur(picture, reach * Math.cos(angle), reach * Math.sin(angle)));
  });
}

/** Blurs with a disc of up to `radius` of the picture's longer side, as a lens out of focus does. */
export function defocus({ radius = 0.025 }: { radius?: number } = {}): Transform {
  return eachSample("defocus", { radius }, (sample, random) => {
    const pixels = random.uniform(0.3, 1) * radius * Math.max(sample.width, sample.height);
    blur(sample, (picture) => discBlur(picture, pixels));
  });
}

/** Adds normal noise of up to `deviation` (of the full range), each channel alone or all alike. */
export function noise({ deviation = 0.06 }: { deviation?: number } = {}): Transform {
  return eachSample("noise", { deviation }, (sample, random) => {
    const amount = random.uniform(0.2, 1) * deviation * 255;
    const grey = random.chance(0.5);
    addNoise(sample.render(), amount, random, { grey });
  });
}

/**
 * Adds normal noise with a standard deviation of `amount` bytes to the colours, in place: each channel alone, or (`grey`) all
 * alike. The same stream gives the same noise, times the amount.
 */
export function addNoise(
  { data }: Picture,
  amount: number,
  random: Random,
  { grey = false }: { readonly grey?: boolean } = {},
): void {
  for (let at = 0; at < data.length; at += 4) {
    const bits = random.uint32();
    const red = amount * normalTable[bits & 2047]!;
    data[at] = data[at]! + red;
    data[at + 1] = data[at + 1]! + (grey ? red : amount * normalTable[(bits >>> 11) & 2047]!);
    data[at + 2] = data[at + 2]! + (grey ? red : amount * normalTable[(random.uint32() >>> 4) & 2047]!);
  }
}

/** Goes down to a share of the pixels' width between `lowest` and 1, and up again. */
export function resolution({ lowest = 0.4 }: { lowest?: number } = {}): Transform {
  return eachSample("resolution", { lowest }, (sample, random) => {
    const share = random.uniform(lowest, 1);
    sample.replace(lowerResolution(sample.render(), share));
  });
}

/** The picture with a share of its pixels' width and height, brought back to its size. */
export function lowerResolution(picture: Picture, share: number): Picture {
  const { width, height } = picture;
  const w = Math.max(1, Math.round(share * width)), h = Math.max(1, Math.round(share * height));
  const small = warp(picture, scaling(w / width, h / height), w, h);
  return warp(small, scaling(width / w, height / h), width, height);
}

/** Writes and reads the picture as JPEG with a quality between `lowest` and `highest`; alpha is kept beside it. */
export function jpeg({ lowest = 20, highest = 80 }: { lowest?: number; highest?: number } = {}): Transform {
  return eachSample("jpeg", { lowest, highest }, async (sample, random) => {
    const quality = lowest + random.int(Math.max(1, Math.floor(highest - lowest) + 1));
    await throughJpeg(sample.render(), quality);
  });
}

/** Writes the colours as JPEG of a quality of 1 … 100 and reads them again, in place; alpha is left alone. */
export async function throughJpeg({ width, height, data }: Picture, quality: number): Promise<void> {
  const bytes = await sharp(Buffer.from(data.buffer, data.byteOffset, data.length), {
    raw: { width, height, channels: 4 },
  }).removeAlpha().jpeg({ quality }).toBuffer();
  const decoded = await sharp(bytes).raw().toBuffer();
  for (let from = 0, to = 0; to < data.length; from += 3, to += 4) {
    data[to] = decoded[from]!;
    data[to + 1] = decoded[from + 1]!;
    data[to + 2] = decoded[from + 2]!;
  }
}

/** Mean over a line through each pixel with the given extent in pixels; the edge pixels go on outside. */
export function lineBlur({ width, height, data, opaque }: Picture, extentX: number, extentY: number): Picture {
  const taps = Math.max(1, Math.round(Math.max(Math.abs(extentX), Math.abs(extentY)))) | 1;
  const out = new Uint8ClampedArray(data.length);
  const shifts = Array.from({ length: taps }, (_, index) => {
    const t = taps === 1 ? 0 : index / (taps - 1) - 0.5;
    return [Math.round(t * extentX), Math.round(t * extentY)] as const;
  });
  const sums = new Uint32Array(4 * width);
  for (let y = 0; y < height; y++) {
    sums.fill(0);
    for (const [dx, dy] of shifts) {
      const row = Math.max(0, Math.min(height - 1, y + dy)) * width;
      for (let x = 0, at = 0; x < width; x++, at += 4) {
        const from = 4 * (row + Math.max(0, Math.min(width - 1, x + dx)));
        sums[at] = sums[at]! + data[from]!;
        sums[at + 1] = sums[at + 1]! + data[from + 1]!;
        sums[at + 2] = sums[at + 2]! + data[from + 2]!;
        sums[at + 3] = sums[at + 3]! + data[from + 3]!;
      }
    }
    const start = 4 * width * y;
    for (let at = 0; at < sums.length; at++) out[start + at] = sums[at]! / taps;
  }
  return { width, height, data: out, opaque };
}

/**
 * Mean over a disc around each pixel. A pixel at distance d weighs clamp(radius + 1/2 − d, 0, 1), so that the blur grows
 * smoothly with the radius; running sums along the rows make its cost proportional to the radius, not to its square.
 * The edge pixels go on outside.
 */
export function discBlur({ width, height, data, opaque }: Picture, radius: number): Picture {
  const reach = Math.ceil(radius);
  const weightAt = (dx: number, dy: number) => Math.max(0, Math.min(1, radius + 0.5 - Math.hypot(dx, dy)));
  const runs = discRuns(reach, weightAt);
  const total = runs.reduce((sum, { from, to, weight }) => sum + (to - from + 1) * weight, 0);
  const padded = width + 2 * reach + 1;
  // prefix[row][x] = sum of the row's pixels left of x, counted from `reach` before the picture.
  const prefix = new Uint32Array(4 * padded * height);
  for (let y = 0; y < height; y++) {
    for (let x = 1; x < padded; x++) {
      const to = 4 * (y * padded + x);
      const from = 4 * (y * width + Math.max(0, Math.min(width - 1, x - 1 - reach)));
      for (let k = 0; k < 4; k++) prefix[to + k] = prefix[to - 4 + k]! + data[from + k]!;
    }
  }
  const out = new Uint8ClampedArray(data.length);
  const sums = new Float64Array(4 * width);
  for (let y = 0; y < height; y++) {
    sums.fill(0);
    for (const { dy, from, to, weight } of runs) {
      const row = Math.max(0, Math.min(height - 1, y + dy)) * padded + reach;
      let left = 4 * (row + from), right = 4 * (row + to + 1);
      for (let at = 0; at < sums.length; at++, left++, right++) {
        sums[at] = sums[at]! + weight * (prefix[right]! - prefix[left]!);
      }
    }
    for (let at = 0; at < sums.length; at++) out[4 * width * y + at] = sums[at]! / total;
  }
  return { width, height, data: out, opaque };
}

/** A disc as stretches of equal weight: one long one in each row, and the pixels at its ends. */
function discRuns(reach: number, weightAt: (dx: number, dy: number) => number) {
  const runs: { dy: number; from: number; to: number; weight: number }[] = [];
  for (let dy = -reach; dy <= reach; dy++) {
    for (let dx = -reach; dx <= reach; dx++) {
      const weight = weightAt(dx, dy), last = runs.at(-1);
      if (weight === 0) continue;
      if (last && last.dy === dy && last.to === dx - 1 && last.weight === weight) last.to = dx;
      else runs.push({ dy, from: dx, to: dx, weight });
    }
  }
  return runs;
}

function blur(sample: Sample, kernel: (picture: Picture) => Picture): void {
  const picture = sample.render();
  if (picture.opaque) return sample.replace(kernel(picture));
  premultiply(picture.data);
  const blurred = kernel(picture);
  unpremultiply(blurred.data);
  sample.replace(blurred);
}

/** Quantiles of the normal distribution at (i + 1/2) / 2048: an index of 11 random bits draws from it. */
const normalTable = Float32Array.from({ length: 2048 }, (_, i) => normalQuantile((i + 0.5) / 2048));

/** Inverse of the normal distribution function (Newton steps on the error function, Abramowitz and Stegun 7.1.26). */
function normalQuantile(p: number): number {
  let x = 0;
  for (let step = 0; step < 60; step++) {
    const density = Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
    const change = (normalDistribution(x) - p) / density;
    x -= Math.max(-0.5, Math.min(0.5, change));
    if (Math.abs(change) < 1e-9) break;
  }
  return x;
}

function normalDistribution(x: number): number {
  const z = Math.abs(x) / Math.SQRT2, t = 1 / (1 + 0.3275911 * z);
  const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  const tail = 0.5 * series * Math.exp(-z * z);
  return x >= 0 ? 1 - tail : tail;
}
