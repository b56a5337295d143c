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
  const light = cellMeans(pixels, subject, grid + 1, grid, lightness);
  const cover = cellMeans(pixels, subject, grid, grid, coverage);
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

/** Reads a fingerprint back. Throws InputError when the text is none. */
export function parseFingerprint(text: string): Fingerprint {
  if (!/^[0-9a-f]{108}$/.test(text)) {
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

/** The content box (right and bottom exclusive) and, for opaque pictures, the colour around it. */
interface Subject {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  /** Colour of the one-coloured surroundings of an opaque picture. */
  readonly surroundings: readonly [number, number, number] | undefined;
}

/** Alpha above which a pixel belongs to the subject. */
const visibleAlpha = 32;
/** Largest difference of a channel at which a pixel still has the colour of the surroundings (JPEG blurs it). */
const surroundingsTolerance = 20;

/** Finds the subject; the whole picture when there are no plain surroundings. */
function findSubject({ data, width, height }: Pixels): Subject {
  const whole = { left: 0, top: 0, right: width, bottom: height, surroundings: undefined };
  let transparent = false;
  for (let i = 3; i < data.length; i += 4) {
    if (data[i]! <= visibleAlpha) {
      transparent = true;
      break;
    }
  }
  const surroundings = transparent ? undefined : cornerColour(data, width, height);
  if (!transparent && !surroundings) return whole;
  let left = width, top = height, right = 0, bottom = 0;
  for (let y = 0; y < height; y++) {
    const first = y * width;
    let from = 0;
    while (from < width && !isSubject(data, (first + from) * 4, surroundings)) from++;
    if (from === width) continue;
    let to = width;
    while (!isSubject(data, (first + to - 1) * 4, surroundings)) to--;
    if (from < left) left = from;
    if (to > right) right = to;
    if (y < top) top = y;
    bottom = y + 1;
  }
  return right > left ? { left, top, right, bottom, surroundings } : whole;
}

function isSubject(data: Uint8Array, at: number, surroundings: Subject["surroundings"]): boolean {
  if (!surroundings) return data[at + 3]! > visibleAlpha;
  return Math.abs(data[at]! - surroundings[0]) > surroundingsTolerance ||
    Math.abs(data[at + 1]! - surroundings[1]) > surroundingsTolerance ||
    Math.abs(data[at + 2]! - surroundings[2]) > surroundingsTolerance;
}

/** The mean colour of the four corners if they agree. */
function cornerColour(data: Uint8Array, width: number, height: number): [number, number, number] | undefined {
  const corners = [0, width - 1, (height - 1) * width, height * width - 1];
  const mean: [number, number, number] = [0, 0, 0];
  for (const corner of corners) for (let k = 0; k < 3; k++) mean[k]! += data[corner * 4 + k]! / 4;
  const agree = corners.every((corner) => !isSubject(data, corner * 4, mean));
  return agree ? mean : undefined;
}

type Measure = (data: Uint8Array, at: number, surroundings: Subject["surroundings"]) => number;

/** Luminance on white, 0 … 255. */
const lightness: Measure = (data, at, surroundings) => {
  if (surroundings && !isSubject(data, at, surroundings)) return 255;
  const light = 0.299 * data[at]! + 0.587 * data[at + 1]! + 0.114 * data[at + 2]!;
  const alpha = data[at + 3]!;
  return alpha === 255 ? light : 255 + (light - 255) * alpha / 255;
};

/** 1 where the subject is, 0 elsewhere. */
const coverage: Measure = (data, at, surroundings) => isSubject(data, at, surroundings) ? 1 : 0;

/** Means of a measure over the cells of a grid laid on the content box, row by row. */
function cellMeans({ data, width }: Pixels, subject: Subject, columns: number, rows: number, measure: Measure) {
  const means = new Float64Array(columns * rows);
  const boxWidth = subject.right - subject.left;
  const boxHeight = subject.bottom - subject.top;
  for (let row = 0; row < rows; row++) {
    const top = subject.top + Math.floor(row * boxHeight / rows);
    const bottom = Math.max(top + 1, subject.top + Math.floor((row + 1) * boxHeight / rows));
    for (let column = 0; column < columns; column++) {
      const left = subject.left + Math.floor(column * boxWidth / columns);
      const right = Math.max(left + 1, subject.left + Math.floor((column + 1) * boxWidth / columns));
      let sum = 0;
      for (let y = top; y < bottom; y++) {
        for (let x = left; x < right; x++) sum += measure(data, (y * width + x) * 4, subject.surroundings);
      }
      means[row * columns + column] = sum / ((bottom - top) * (right - left));
    }
  }
  return means;
}
