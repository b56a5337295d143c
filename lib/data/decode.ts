/** Raw bytes → 8-bit RGBA pictures of at most 416 px, whatever the format and its oddities. */

import sharp, { type Metadata, type SharpOptions } from "sharp";
import { describeError, InputError } from "../runtime/mod.ts";
import type { Pixels } from "./fingerprint.ts";

/** Side of the square pictures of the dataset, and the longest side of stored ones, in pixels. */
export const pictureSize = 416;
/** Raw pictures with more pixels (all frames together) are refused: they would not fit in the memory of a worker. */
export const pixelLimit = 64_000_000;
/** Raw pictures with a shorter side (before or after fitting) are refused: nothing can be recognised. */
export const shortestSide = 8;
/** Frames of an animation that are looked at; later ones repeat. */
const framesSeen = 100;
/** Formats that are accepted, judged by content. */
const formats = ["jpeg", "png", "webp", "gif", "avif", "heif", "tiff", "svg"];

/** One picture of a raw file. */
export interface DecodedPicture extends Pixels {
  /** Frame of an animation, counting from 0; absent for a still picture. */
  readonly frame?: number;
  /** Whether some pixel is not opaque. */
  readonly transparent: boolean;
}

export interface DecodedFile {
  readonly pictures: readonly DecodedPicture[];
  /** File extension under which the raw bytes may be stored as they are; absent when they have to be encoded anew. */
  readonly verbatim?: "webp" | "png" | "jpg";
  /** Whether the pictures are exactly what the file held: neither resized nor rasterised. */
  readonly exact: boolean;
}

/**
 * Decodes a file by its content. The result is upright (EXIF orientation applied), sRGB with alpha, 8 bits a channel
 * (CMYK, 16-bit, grey and palette pictures are converted), fitted within 416 x 416 without enlarging; SVG is rasterised
 * to fill it. Of an animation, up to `frames` frames that look most unlike each other are taken, the first included.
 * Throws InputError with the cause for whatever cannot be used: not a picture, damaged, too large or small.
 */
export async function decodeFile(bytes: Uint8Array, frames = 1): Promise<DecodedFile> {
  if (bytes.length === 0) throw new InputError("expected a picture, found an empty file");
  const about = await readHeader(bytes);
  const width = about.width, height = about.pageHeight ?? about.height;
  const pages = about.format === "gif" || about.format === "webp" ? about.pages ?? 1 : 1;
  const vector = about.format === "svg";
  if (!vector) checkSize(width, height);
  const animated = pages > 1 && frames > 1;
  const seen = animated ? Math.max(1, Math.min(pages, framesSeen, Math.floor(pixelLimit / (width * height)))) : 1;
  const small = width <= pictureSize && height <= pictureSize;

  const input: SharpOptions = { failOn: "error", limitInputPixels: pixelLimit };
  if (seen > 1) input.pages = seen;
  if (vector) input.density = Math.min(20_000, Math.max(1, 72 * pictureSize / Math.max(width, height)));
  let image = sharp(bytes, input);
  if ((about.orientation ?? 1) > 1) image = image.autoOrient();
  if (!small || vector) image = image.resize(pictureSize, pictureSize, { fit: "inside", withoutEnlargement: !vector });
  if (about.space !== "srgb") image = image.toColourspace("srgb");
  let decoded;
  try {
    decoded = await image.ensureAlpha().raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
  } catch (error) {
    throw new InputError(`expected a whole ${about.format} picture, found damage: ${cleanMessage(error)}`);
  }
  const { data, info } = decoded;
  const rgba = info.channels === 4 ? data : spreadGrey(data, info.width * info.height, info.channels);
  const frameHeight = info.height / seen;
  if (Math.min(info.width, frameHeight) < shortestSide) {
    throw new InputError(
      `${sizeText(width, height)}: expected a shape that leaves ${shortestSide} px on the short side`,
    );
  }
  const cut = (frame: number): Pixels => ({
    data: rgba.subarray(frame * info.width * frameHeight * 4, (frame + 1) * info.width * frameHeight * 4),
    width: info.width,
    height: frameHeight,
  });
  const chosen = animated ? chooseFrames(Array.from({ length: seen }, (_, frame) => cut(frame)), frames) : [0];
  const pictures = chosen.map((frame): DecodedPicture => {
    const pixels = cut(frame);
    return { ...pixels, transparent: isTransparent(pixels.data), ...pages > 1 ? { frame } : {} };
  });
  const plain = small && pages === 1 && (about.orientation ?? 1) === 1 && about.depth === "uchar" &&
    (about.space === "srgb" || about.space === "b-w") && !about.hasProfile;
  const extension = ({ webp: "webp", png: "png", jpeg: "jpg" } as const)[about.format as "webp"];
  return {
    pictures,
    exact: small && !vector,
    ...plain && extension !== undefined ? { verbatim: extension } : {},
  };
}

async function readHeader(bytes: Uint8Array): Promise<Metadata> {
  let about: Metadata;
  try {
    about = await sharp(bytes, { limitInputPixels: false }).metadata();
  } catch (error) {
    throw new InputError(`expected a picture, found ${JSON.stringify(startOf(bytes))}: ${cleanMessage(error)}`);
  }
  if (!formats.includes(about.format)) {
    throw new InputError(`expected JPEG, PNG, WebP, GIF, AVIF, TIFF or SVG, found ${about.format}`);
  }
  return about;
}

function checkSize(width: number, height: number): void {
  if (Math.min(width, height) < shortestSide) {
    throw new InputError(`${sizeText(width, height)}: expected at least ${shortestSide} px a side`);
  }
  if (width * height > pixelLimit) {
    throw new InputError(`${sizeText(width, height)}: expected at most ${pixelLimit / 1e6} million pixels`);
  }
}

const sizeText = (width: number, height: number) => `${width} x ${height} pixels`;

/** The first bytes as text, for a message. */
function startOf(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes.subarray(0, 12)).replace(/[^\x20-\x7e]/g, "·");
}

/** libvips repeats a message for each attempt; one will do. */
function cleanMessage(error: unknown): string {
  return describeError(error, 160).split("; ")[0]!;
}

function spreadGrey(data: Uint8Array, pixels: number, channels: number): Uint8Array {
  const rgba = new Uint8Array(pixels * 4);
  for (let i = 0; i < pixels; i++) {
    const grey = data[i * channels]!;
    rgba[i * 4] = grey;
    rgba[i * 4 + 1] = channels >= 3 ? data[i * channels + 1]! : grey;
    rgba[i * 4 + 2] = channels >= 3 ? data[i * channels + 2]! : grey;
    rgba[i * 4 + 3] = channels === 2 ? data[i * channels + 1]! : 255;
  }
  return rgba;
}

function isTransparent(data: Uint8Array): boolean {
  for (let i = 3; i < data.length; i += 4) if (data[i]! < 255) return true;
  return false;
}

/** Mean difference of a channel (of 255, over the pixels that either frame shows) below which two frames count as one. */
const frameDifference = 12;

/**
 * Farthest-point selection (Gonzalez 1985): starts with the first frame, then adds the frame whose nearest chosen one is
 * farthest, while that still differs visibly. Returns frame numbers in ascending order.
 */
function chooseFrames(frames: readonly Pixels[], count: number): number[] {
  const chosen = [0];
  const nearest = frames.map((frame) => difference(frames[0]!, frame));
  while (chosen.length < count) {
    const farthest = nearest.indexOf(Math.max(...nearest));
    if (nearest[farthest]! < frameDifference) break;
    chosen.push(farthest);
    for (const [index, frame] of frames.entries()) {
      nearest[index] = Math.min(nearest[index]!, difference(frames[farthest]!, frame));
    }
  }
  return chosen.sort((a, b) => a - b);
}

/** Every second pixel in both directions will do. */
function difference(a: Pixels, b: Pixels): number {
  let sum = 0, seen = 0;
  for (let y = 0; y < a.height; y += 2) {
    for (let x = 0; x < a.width; x += 2) {
      const at = (y * a.width + x) * 4;
      const alphaA = a.data[at + 3]!, alphaB = b.data[at + 3]!;
      if (alphaA === 0 && alphaB === 0) continue;
      seen++;
      if (alphaA < 128 !== alphaB < 128) sum += 255;
      else {
        sum += (Math.abs(a.data[at]! - b.data[at]!) + Math.abs(a.data[at + 1]! - b.data[at + 1]!) +
          Math.abs(a.data[at + 2]! - b.data[at + 2]!)) / 3;
      }
    }
  }
  return seen === 0 ? 0 : sum / seen;
}
