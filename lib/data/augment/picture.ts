/** A decoded picture: RGBA, straight alpha, one byte a channel. */

import { InputError } from "../../runtime/mod.ts";

/** Pixels row by row from the top left, `4 * width * height` values. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
  /** Whether every alpha is 255: lets the hot loops skip it. */
  readonly opaque: boolean;
}

/** Wraps decoded pixels of 3 (RGB) or 4 (RGBA) channels. Throws InputError when the length does not fit the size. */
export function pictureFrom(
  pixels: Uint8Array | Uint8ClampedArray,
  width: number,
  height: number,
  channels: 3 | 4,
): Picture {
  if (pixels.length !== width * height * channels) {
    throw new InputError(
      `picture: expected ${width} x ${height} x ${channels} = ${
        width * height * channels
      } bytes, found ${pixels.length}`,
    );
  }
  const data = new Uint8ClampedArray(4 * width * height);
  if (channels === 3) {
    for (let from = 0, to = 0; from < pixels.length; from += 3, to += 4) {
      data[to] = pixels[from]!;
      data[to + 1] = pixels[from + 1]!;
      data[to + 2] = pixels[from + 2]!;
      data[to + 3] = 255;
    }
    return { width, height, data, opaque: true };
  }
  data.set(pixels);
  return { width, height, data, opaque: isOpaque(data) };
}

/** Whether every alpha of RGBA pixels is 255. */
export function isOpaque(data: Uint8ClampedArray): boolean {
  for (let at = 3; at < data.length; at += 4) if (data[at] !== 255) return false;
  return true;
}

/** Half the size, each pixel the alpha-weighted mean of 2 x 2; an odd last row or column is averaged alone. */
export function halve({ width, height, data, opaque }: Picture): Picture {
  const w = Math.ceil(width / 2), h = Math.ceil(height / 2);
  const half = new Uint8ClampedArray(4 * w * h);
  for (let y = 0, to = 0; y < h; y++) {
    const top = 2 * y * width, bottom = Math.min(2 * y + 1, height - 1) * width;
    for (let x = 0; x < w; x++, to += 4) {
      const left = 2 * x, right = Math.min(left + 1, width - 1);
      const a = 4 * (top + left), b = 4 * (top + right), c = 4 * (bottom + left), d = 4 * (bottom + right);
      const wa = data[a + 3]!, wb = data[b + 3]!, wc = data[c + 3]!, wd = data[d + 3]!;
      const sum = wa + wb + wc + wd;
      if (sum === 0) continue;
      for (let k = 0; k < 3; k++) {
        half[to + k] = (data[a + k]! * wa + data[b + k]! * wb + data[c + k]! * wc + data[d + k]! * wd) / sum;
      }
      half[to + 3] = sum / 4;
    }
  }
  return { width: w, height: h, data: half, opaque };
}

/** Lays a picture over RGB pixels of the same size, in place of its transparency. Returns an opaque picture. */
export function layOver(picture: Picture, background: Uint8Array): Picture {
  if (picture.opaque) return picture;
  const { data } = picture;
  for (let at = 0, from = 0; at < data.length; at += 4, from += 3) {
    const alpha = data[at + 3]!;
    if (alpha === 255) continue;
    const t = alpha / 255;
    for (let k = 0; k < 3; k++) data[at + k] = data[at + k]! * t + background[from + k]! * (1 - t);
    data[at + 3] = 255;
  }
  return { ...picture, opaque: true };
}

/** Multiplies the colours by their alpha, in place: what a blur must see, so that hidden colours do not leak out. */
export function premultiply(data: Uint8ClampedArray): void {
  for (let at = 0; at < data.length; at += 4) {
    const alpha = data[at + 3]!;
    if (alpha === 255) continue;
    for (let k = 0; k < 3; k++) data[at + k] = data[at + k]! * alpha / 255;
  }
}

/** The way back from `premultiply`, in place. */
export function unpremultiply(data: Uint8ClampedArray): void {
  for (let at = 0; at < data.length; at += 4) {
    const alpha = data[at + 3]!;
    if (alpha === 255 || alpha === 0) continue;
    for (let k = 0; k < 3; k++) data[at + k] = data[at + k]! * 255 / alpha;
  }
}
