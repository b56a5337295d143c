/** Perceptual fingerprints: what a picture shows, told apart from its size, colours, format, padding and direction. */

import { InputError } from "../runtime/mod.ts";

/** An 8-bit picture in memory: RGBA, alpha not premultiplied, row by row. */
export interface Pixels {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** Cells a side of every grid. */
const grid = 12;
/** Bits of one plane. */
const planeBits = grid * grid;
/** 32-bit words of one plane (144 bits, the last word half used). */
const planeWords = Math.ceil(planeBits / 32);
/** Two neighbouring cells closer than this (of 255) count as equal, so that flat areas give no random bits. */
const gradientMargin = 3;

/**
 * A fingerprint in three bit planes of 12 x 12: where it gets brighter from one cell to the next on the right, where
 * darker, and which cells the subject covers. `words` holds the planes one after the other, `mirrored` those of the
 * picture seen in a mirror.
 */
export interface Fingerprint {
  readonly words: Uint32Array;
  readonly mirrored: Uint32Array;
}

/** How far two fingerprints are apart: differing bits of the brightness planes (0 … 288) and of the outline (0 … 144). */
export interface FingerprintDistance {
  readonly gradient: number;
  readonly outline: number;
}

/**
 * The fingerprint of a picture, as hexadecimal digits (3 planes x 36 digits).
 *
 * Method: a difference hash ("dHash", Neal Krawetz, hackerfactor.com 2013: the signs of the brightness differences
 * between neighbouring cells of a small grid) with three changes that sprites and drawings call for.
 * 1. It is taken over the content box: what is left after transparent or one-coloured borders are cut off, so that
 *    padding and scale do not matter; background pixels count as white whatever their colour.
 * 2. It is ternary (brighter, darker, equal), so that flat areas are stable under re-encoding, and the fingerprint of
 *    the mirrored picture follows from it without the picture.
 * 3. A plane with the subject's outline is added: a shiny form has other colours, and may swap bright for dark, but
 *    keeps its outline to the pixel.
 * Luminance is Rec. 601's 0.299 R + 0.587 G + 0.114 B.
 */
export function fingerprint(pixels: Pixels): string {
  const subject = findSubject(pixels);
  const words = new Uint32Array(3 * planeWords);
  const { light, cover } = gridMeans(pixels, subject);
  for (let row = 0; row < grid; row++) {
    for (let column = 0; column < grid; column++) {
      const at = row * (grid + 1) + column;
      const step = light[at + 1]! - light[at]!;
      const bit = row * grid + column;
      if (step > gradientMargin) setBit(words, 0, bit);
      else if (step < -gradientMargin) setBit(words, 1, bit);
      if (cover[bit]! >= 0.5) setBit(words, 2, bit);
    }
  }
  return planesToHex(words);
}

/** Whether a text is a fingerprint. */
export function isFingerprint(text: string): boolean {
  return /^[0-9a-f]{108}$/.test(text);
}

/** Reads a fingerprint back. Throws InputError when the text is none. */
export function parseFingerprint(text: string): Fingerprint {
  if (!isFingerprint(text)) {
    throw new InputError(`fingerprint: expected 108 hexadecimal digits, found "${text.slice(0, 120)}"`);
  }
  const words = new Uint32Array(3 * planeWords);
  for (let plane = 0; plane < 3; plane++) {
    for (let digit = 0; digit < planeBits / 4; digit++) {
      const value = parseInt(text[plane * 36 + digit]!, 16);
      for (let k = 0; k < 4; k++) if (value & (8 >> k)) setBit(words, plane, digit * 4 + k);
    }
  }
  return { words, mirrored: mirror(words) };
}

/** The distance of two fingerprints: as they are or with one of them mirrored, whichever is nearer. */
export function fingerprintDistance(a: Fingerprint, b: Fingerprint): FingerprintDistance {
  const straight = distance(a.words, b.words);
  const mirrored = distance(a.words, b.mirrored);
  return weighted(straight) <= weighted(mirrored) ? straight : mirrored;
}

const weighted = ({ gradient, outline }: FingerprintDistance) => gradient + 2 * outline;

function distance(a: Uint32Array, b: Uint32Array): FingerprintDistance {
  let gradient = 0;
  for (let i = 0; i < 2 * planeWords; i++) gradient += countBits(a[i]! ^ b[i]!);
  let outline = 0;
  for (let i = 2 * planeWords; i < 3 * planeWords; i++) outline += countBits(a[i]! ^ b[i]!);
  return { gradient, outline };
}

/** Set bits of a 32-bit word (Warren, Hacker's Delight, 5-1). */
export function countBits(word: number): number {
  let x = word - ((word >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

function setBit(words: Uint32Array, plane: number, bit: number): void {
  const at = plane * planeWords + (bit >>> 5);
  words[at] = words[at]! | (1 << (bit & 31));
}

function getBit(words: Uint32Array, plane: number, bit: number): boolean {
  return (words[plane * planeWords + (bit >>> 5)]! & (1 << (bit & 31))) !== 0;
}

/** In a mirror the columns run backwards, and what got brighter to the right gets darker. */
function mirror(words: Uint32Array): Uint32Array {
  const result = new Uint32Array(words.length);
  const target = [1, 0, 2] as const;
  for (let plane = 0; plane < 3; plane++) {
    for (let bit = 0; bit < planeBits; bit++) {
      if (!getBit(words, plane, bit)) continue;
      const row = Math.floor(bit / grid);
      setBit(result, target[plane]!, row * grid + (grid - 1 - (bit - row * grid)));
    }
  }
  return result;
}

function planesToHex(words: Uint32Array): string {
  let text = "";
  for (let plane = 0; plane < 3; plane++) {
    for (let bit = 0; bit < planeBits; bit += 4) {
      let value = 0;
      for (let k = 0; k < 4; k++) if (getBit(words, plane, bit + k)) value |= 8 >> k;
      text += value.toString(16);
    }
  }
  return text;
}

/** The content box, in pixels and parts of pixels, and the colour around it in opaque pictures. */
interface Subject {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  /** Colour of the one-coloured surroundings of an opaque picture. */
  readonly surroundings: readonly [number, number, number] | undefined;
  /** How far a pixel belongs to the subject, 0 … 1. */
  readonly cover: Float32Array;
}

/** Share of the subject that the content box leaves out on each side: hairs and blurred edges do not move it. */
const trim = 0.005;
/** Differences of a channel from the surroundings: up to the first a pixel is background (JPEG blurs), from the second on subject. */
const surroundingsTolerance = [10, 40] as const;

/** Used again by every picture: a fresh one each time costs more than filling it. */
let scratch = new Float32Array(0);

/** Finds the subject; the whole picture when there are no plain surroundings. */
function findSubject({ data, width, height }: Pixels): Subject {
  if (scratch.length < width * height) scratch = new Float32Array(width * height);
  const cover = scratch.subarray(0, width * height).fill(1);
  const whole = { left: 0, top: 0, right: width, bottom: height, surroundings: undefined, cover };
  const transparent = hasTransparency(data);
  const surroundings = transparent ? undefined : cornerColour(data, width, height);
  if (!transparent && !surroundings) return whole;
  const columns = new Float64Array(width), rows = new Float64Array(height);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const part = surroundings ? unlike(data, i * 4, surroundings) : data[i * 4 + 3]! / 255;
      cover[i] = part;
      if (part === 0) continue;
      columns[x]! += part;
      rows[y]! += part;
    }
  }
  const [left, right] = extent(columns), [top, bottom] = extent(rows);
  if (right - left < 1 || bottom - top < 1) return { ...whole, cover: cover.fill(1) };
  return { left, top, right, bottom, surroundings, cover };
}

function hasTransparency(data: Uint8Array): boolean {
  for (let i = 3; i < data.length; i += 4) if (data[i]! < 128) return true;
  return false;
}

/** How far a colour differs from the surroundings, 0 … 1. */
function unlike(data: Uint8Array, at: number, [red, green, blue]: readonly [number, number, number]): number {
  const difference = Math.max(
    Math.abs(data[at]! - red),
    Math.abs(data[at + 1]! - green),
    Math.abs(data[at + 2]! - blue),
  );
  const [low, high] = surroundingsTolerance;
  return difference <= low ? 0 : difference >= high ? 1 : (difference - low) / (high - low);
}

/** The mean colour of the four corners if they agree. */
function cornerColour(data: Uint8Array, width: number, height: number): [number, number, number] | undefined {
  const corners = [0, width - 1, (height - 1) * width, height * width - 1];
  const mean: [number, number, number] = [0, 0, 0];
  for (const corner of corners) for (let k = 0; k < 3; k++) mean[k]! += data[corner * 4 + k]! / 4;
  return corners.every((corner) => unlike(data, corner * 4, mean) < 0.3) ? mean : undefined;
}

/** Where along one side the subject lies, all but `trim` of it at either end; positions between pixels are interpolated. */
function extent(mass: Float64Array): [number, number] {
  const total = mass.reduce((sum, value) => sum + value, 0);
  const quantile = (share: number) => {
    let sum = 0;
    for (const [index, value] of mass.entries()) {
      if (sum + value >= share * total && value > 0) return index + (share * total - sum) / value;
      sum += value;
    }
    return mass.length;
  };
  return [quantile(trim), quantile(1 - trim)];
}

/** One cell of a grid along one side: the pixels it covers and their weights, which sum to 1. */
interface Cell {
  readonly first: number;
  readonly weights: Float64Array;
}

/** Cells overlap their neighbours by a quarter each, so that a shift of a pixel changes little. */
const overlap = 0.25;

/** Divides a stretch of pixels into equal cells; pixels on a border count by their part inside. */
function divide(from: number, to: number, count: number): Cell[] {
  const step = (to - from) / count;
  return Array.from({ length: count }, (_, index) => {
    const low = Math.max(from, from + (index - overlap) * step);
    const high = Math.min(to, from + (index + 1 + overlap) * step);
    const first = Math.floor(low);
    const weights = Float64Array.from(
      { length: Math.ceil(high) - first },
      (_, k) => (Math.min(high, first + k + 1) - Math.max(low, first + k)) / (high - low),
    );
    return { first, weights };
  });
}

/**
 * Means over grids laid on the content box: `light` (12 rows of 13 cells), the luminance on white in 0 … 255, and
 * `cover` (12 x 12), the share that the subject covers in 0 … 1.
 */
function gridMeans({ data, width }: Pixels, subject: Subject) {
  const { left, top, right, bottom, surroundings } = subject;
  const light = new Float64Array(grid * (grid + 1)), cover = new Float64Array(grid * grid);
  const lightColumns = divide(left, right, grid + 1), coverColumns = divide(left, right, grid);
  const rows = divide(top, bottom, grid);
  const lightLine = new Float64Array(width), coverLine = new Float64Array(width);
  for (let y = Math.floor(top); y < bottom; y++) {
    for (let x = Math.floor(left), i = y * width + x; x < right; x++, i++) {
      const part = subject.cover[i]!, at = i * 4;
      coverLine[x] = part;
      // Where a picture has neither transparency nor plain surroundings, every part is 1. Half-covered pixels of an
      // opaque picture hold the surroundings' colour already in part; white takes its place only where it is alone.
      const value = 0.299 * data[at]! + 0.587 * data[at + 1]! + 0.114 * data[at + 2]!;
      lightLine[x] = part === 1 ? value : surroundings && part > 0.5 ? value : 255 + (value - 255) * part;
    }
    const lightMeans = lightColumns.map((cell) => weigh(lightLine, cell));
    const coverMeans = coverColumns.map((cell) => weigh(coverLine, cell));
    for (const [row, { first, weights }] of rows.entries()) {
      const weight = weights[y - first];
      if (weight === undefined) continue;
      for (let column = 0; column <= grid; column++) light[row * (grid + 1) + column]! += weight * lightMeans[column]!;
      for (let column = 0; column < grid; column++) cover[row * grid + column]! += weight * coverMeans[column]!;
    }
  }
  return { light, cover };
}

function weigh(line: Float64Array, { first, weights }: Cell): number {
  let sum = 0;
  for (let k = 0; k < weights.length; k++) sum += line[first + k]! * weights[k]!;
  return sum;
}
