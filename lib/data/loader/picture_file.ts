/** A picture file of any kind as a network's input, by the same steps as a picture of a data set. */

import { describeError, InputError, reason } from "../../runtime/mod.ts";
import { layOver, type Picture } from "../augment/mod.ts";
import type { Rectangle } from "../augment/polygon.ts";
import { type Colour, plainBackground } from "../backgrounds.ts";
import { decodeFile } from "../decode.ts";
import { type Normalisation, type View, writePlanes } from "./render.ts";
import { shrunkSquare, type Square } from "./square.ts";

/** Settings of `readPictureFile`. */
export interface PictureFileOptions {
  /** Side of the square in pixels. */
  readonly size: number;
  /** What fills the square. Default: "picture". */
  readonly view?: View;
  /** Behind transparent parts and beside what is not square. */
  readonly background: Colour;
  /** By default pixels are in 0 … 1. */
  readonly normalisation?: Normalisation | undefined;
}

/** A decoded picture in the square that a network sees, before it is laid on a background. */
export interface SquareFile extends Square {
  /** Of the picture as it is shown, pixels; a large one is told as it was shrunk to 416. */
  readonly width: number;
  readonly height: number;
  /** The part of it that fills the square's width or height, in 0 … 1 of the picture's. */
  readonly shown: Rectangle;
}

/** A file's picture as a network's input. */
export interface PictureFile extends Omit<SquareFile, keyof Square> {
  /** [3, size, size]: red, green, blue. */
  readonly planes: Float32Array;
}

/**
 * Decodes a file as building a data set does (of an animation the first frame), shrinks it as the cache does, and letterboxes
 * it as loaders do: the picture as large as fits, centred. Throws InputError that names the file for what is no picture.
 */
export async function readPictureFile(
  path: string,
  { background, normalisation, ...options }: PictureFileOptions,
): Promise<PictureFile> {
  const { picture, width, height, shown } = await readSquareFile(path, options);
  return {
    planes: planesOn(picture, plainBackground(background, options.size, options.size), normalisation),
    width,
    height,
    shown,
  };
}

/** Decodes a file as `readPictureFile` does, and leaves transparent what is. Throws InputError that names the file. */
export async function readSquareFile(
  path: string,
  options: Pick<PictureFileOptions, "size" | "view">,
): Promise<SquareFile> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (error) {
    throw new InputError(`${path}: expected a picture, found ${reason(error)}`, { cause: error });
  }
  try {
    return await squareOfBytes(bytes, options);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(`${path}: ${describeError(error)}`, { cause: error });
  }
}

/** The square of a file's bytes. Throws InputError, without a place, for what is no picture. */
export async function squareOfBytes(
  bytes: Uint8Array,
  { size, view = "picture" }: Pick<PictureFileOptions, "size" | "view">,
): Promise<SquareFile> {
  const { pictures: [picture], verbatim } = await decodeFile(bytes);
  // A build keeps the file itself where it can; a JPEG is shrunk while it is decoded, which rounds otherwise.
  const square = await shrunkSquare(verbatim ? bytes : picture!, { size, view });
  return { ...square, width: picture!.width, height: picture!.height };
}

/** The planes [3, side, side] of a square on a background (RGB, interleaved), which the square itself keeps without. */
export function planesOn(square: Picture, background: Uint8Array, normalisation?: Normalisation): Float32Array {
  const planes = new Float32Array(3 * square.width * square.height);
  const copy = square.opaque ? square : { ...square, data: square.data.slice() };
  writePlanes(layOver(copy, background), planes, { normalisation });
  return planes;
}
