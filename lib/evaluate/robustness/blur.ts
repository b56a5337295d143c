/** Blurs of an exact strength, also of less than a pixel. Pictures are opaque; their edge pixels go on outside. */

import type { Picture } from "../../data/mod.ts";

/** One pixel that a blur takes from, relative to the one that it gives, and its share. */
interface Tap {
  readonly dx: number;
  readonly dy: number;
  readonly weight: number;
}

/** Blurs with a sampled Gaussian of a standard deviation in pixels, cut off at four of them; below 0.3 it changes next to nothing. */
export function gaussianBlur(picture: Picture, deviation: number): Picture {
  const reach = Math.max(1, Math.ceil(4 * deviation));
  const taps = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-((i - reach) ** 2) / (2 * deviation ** 2)));
  const along = (horizontal: boolean) =>
    normalised(taps.map((weight, i) => ({ dx: horizontal ? i - reach : 0, dy: horizontal ? 0 : i - reach, weight })));
  return rounded(convolve(convolve(picture, along(true)), along(false)));
}

/**
 * Smears one way along a direction (radians): a shift by t pixels weighs exp(−t² / 2 deviation²), as ImageMagick's motion blur
 * weighs it, which ImageNet-C uses. Shifts between pixels are shared out bilinearly.
 */
export function motionBlur(picture: Picture, deviation: number, angle: number): Picture {
  const shares = new Map<string, { dx: number; dy: number; weight: number }>();
  const step = 0.25;
  for (let t = 0; t <= 3.5 * deviation; t += step) {
    const x = t * Math.cos(angle), y = t * Math.sin(angle), left = Math.floor(x), top = Math.floor(y);
    const weight = Math.exp(-(t ** 2) / (2 * deviation ** 2));
    for (const [dx, dy] of [[left, top], [left + 1, top], [left, top + 1], [left + 1, top + 1]] as const) {
      const share = weight * (1 - Math.abs(x - dx)) * (1 - Math.abs(y - dy));
      if (share < 1e-9) continue;
      const key = `${dx} ${dy}`, tap = shares.get(key);
      if (tap) tap.weight += share;
      else shares.set(key, { dx, dy, weight: share });
    }
  }
  return rounded(convolve(picture, normalised([...shares.values()])));
}

/** A picture whose channels are not rounded yet. */
interface Unrounded extends Omit<Picture, "data"> {
  readonly data: Uint8ClampedArray | Float32Array;
}

function normalised(taps: readonly Tap[]): Tap[] {
  const sum = taps.reduce((total, { weight }) => total + weight, 0);
  return taps.map(({ weight, ...at }) => ({ ...at, weight: weight / sum }));
}

function convolve({ width, height, data }: Unrounded, taps: readonly Tap[]): Unrounded {
  const out = new Float32Array(data.length);
  for (const { dx, dy, weight } of taps) {
    for (let y = 0, to = 0; y < height; y++) {
      const row = Math.max(0, Math.min(height - 1, y + dy)) * width;
      for (let x = 0; x < width; x++, to += 4) {
        const from = 4 * (row + Math.max(0, Math.min(width - 1, x + dx)));
        out[to] = out[to]! + weight * data[from]!;
        out[to + 1] = out[to + 1]! + weight * data[from + 1]!;
        out[to + 2] = out[to + 2]! + weight * data[from + 2]!;
      }
    }
  }
  return { width, height, data: out, opaque: true };
}

function rounded({ width, height, data }: Unrounded): Picture {
  const bytes = new Uint8ClampedArray(data);
  for (let at = 3; at < bytes.length; at += 4) bytes[at] = 255;
  return { width, height, data: bytes, opaque: true };
}
