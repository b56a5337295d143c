/** A picture of any shape → a filled square: enlarged to fit, centred, laid on its background. */

import type { Pixels } from "./fingerprint.ts";

/**
 * Fits a picture of at most `size` px into a square of `size` px: aspect kept, centred, padded; transparent parts show
 * the background (RGB, `size` x `size`). Returns RGB, row by row, in `into`.
 *
 * Enlarges by bilinear interpolation with half-pixel centres, like the letter-box of the YOLO tools (OpenCV's
 * INTER_LINEAR), on premultiplied colours so that invisible pixels do not bleed. Interpolating and blending are one pass
 * over the target: three to four times as fast as libvips's enlarging followed by its compositing, which would be half
 * of the time of a build.
 */
export function composeSquare(
  picture: Pixels,
  background: Uint8Array,
  size: number,
  into: Uint8Array = new Uint8Array(size * size * 3),
): Uint8Array {
  const { width, height } = picture;
  if (width > size || height > size) {
    throw new RangeError(`composeSquare: expected at most ${size} px a side, found ${width} x ${height}`);
  }
  const scale = size / Math.max(width, height);
  const fitWidth = Math.max(1, Math.round(width * scale)), fitHeight = Math.max(1, Math.round(height * scale));
  const left = (size - fitWidth) >> 1, top = (size - fitHeight) >> 1;
  const columns = samples(width, fitWidth), rows = samples(height, fitHeight);
  if (background.length !== size * size * 3) {
    throw new RangeError(
      `composeSquare: expected a background of ${size} x ${size} px, found ${background.length} bytes`,
    );
  }
  const square = into;
  square.set(background);

  // Two source rows, interpolated along x: premultiplied RGBA, channels in 0 … 255 << 8.
  let upper = new Int32Array(fitWidth * 4), lower = new Int32Array(fitWidth * 4);
  let upperRow = -1, lowerRow = -1;
  for (let y = 0; y < fitHeight; y++) {
    const a = rows.low[y]!, b = rows.high[y]!;
    if (upperRow !== a) {
      if (lowerRow === a) {
        [upper, lower] = [lower, upper];
        [upperRow, lowerRow] = [lowerRow, upperRow];
      } else {
        stretchRow(picture, a, columns, upper);
        upperRow = a;
      }
    }
    if (lowerRow !== b) {
      stretchRow(picture, b, columns, lower);
      lowerRow = b;
    }
    blendRow(upper, lower, rows.weight[y]!, square, (top + y) * size + left, fitWidth);
  }
  return square;
}

/** For every target position the two source positions and the weight (0 … 256) of the second. */
interface Samples {
  readonly low: Int32Array;
  readonly high: Int32Array;
  readonly weight: Int32Array;
}

function samples(from: number, to: number): Samples {
  const low = new Int32Array(to), high = new Int32Array(to), weight = new Int32Array(to);
  for (let i = 0; i < to; i++) {
    const at = Math.max(0, (i + 0.5) * from / to - 0.5);
    low[i] = Math.min(from - 1, Math.floor(at));
    high[i] = Math.min(from - 1, low[i]! + 1);
    weight[i] = Math.round((at - low[i]!) * 256);
  }
  return { low, high, weight };
}

function stretchRow({ data, width }: Pixels, row: number, columns: Samples, target: Int32Array): void {
  const first = row * width * 4;
  for (let x = 0, to = 0; x < columns.low.length; x++, to += 4) {
    const a = first + columns.low[x]! * 4, b = first + columns.high[x]! * 4;
    const weight = columns.weight[x]!, rest = 256 - weight;
    const alphaA = data[a + 3]!, alphaB = data[b + 3]!;
    if (alphaA === 255 && alphaB === 255) {
      target[to] = data[a]! * rest + data[b]! * weight;
      target[to + 1] = data[a + 1]! * rest + data[b + 1]! * weight;
      target[to + 2] = data[a + 2]! * rest + data[b + 2]! * weight;
      target[to + 3] = 65280;
    } else if (alphaA === 0 && alphaB === 0) {
      target[to] =
        target[to + 1] =
        target[to + 2] =
        target[to + 3] =
          0;
    } else {
      const shareA = alphaA * rest, shareB = alphaB * weight;
      target[to] = ((data[a]! * shareA + data[b]! * shareB) / 255) | 0;
      target[to + 1] = ((data[a + 1]! * shareA + data[b + 1]! * shareB) / 255) | 0;
      target[to + 2] = ((data[a + 2]! * shareA + data[b + 2]! * shareB) / 255) | 0;
      target[to + 3] = shareA + shareB;
    }
  }
}

/** Interpolates two rows along y and lays the result on the background. */
function blendRow(
  upper: Int32Array,
  lower: Int32Array,
  weight: number,
  square: Uint8Array,
  start: number,
  count: number,
): void {
  const rest = 256 - weight;
  for (let x = 0, from = 0, to = start * 3; x < count; x++, from += 4, to += 3) {
    const alpha = (upper[from + 3]! * rest + lower[from + 3]! * weight) >> 8;
    if (alpha === 65280) {
      square[to] = (upper[from]! * rest + lower[from]! * weight + 32768) >> 16;
      square[to + 1] = (upper[from + 1]! * rest + lower[from + 1]! * weight + 32768) >> 16;
      square[to + 2] = (upper[from + 2]! * rest + lower[from + 2]! * weight + 32768) >> 16;
      continue;
    }
    if (alpha === 0) continue;
    const through = (65280 - alpha) / 65280;
    square[to] = ((upper[from]! * rest + lower[from]! * weight) / 65536 + square[to]! * through + 0.5) | 0;
    square[to + 1] = ((upper[from + 1]! * rest + lower[from + 1]! * weight) / 65536 + square[to + 1]! * through +
      0.5) | 0;
    square[to + 2] = ((upper[from + 2]! * rest + lower[from + 2]! * weight) / 65536 + square[to + 2]! * through +
      0.5) | 0;
  }
}
