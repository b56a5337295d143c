/** A picture file of any kind as a network's input, by the same steps as a picture of a data set. */

import { describeError, InputError, reason } from "../../runtime/mod.ts";
import { layOver, letterbox, pictureFrom } from "../augment/mod.ts";
import type { Rectangle } from "../augment/polygon.ts";
import { type Colour, plainBackground } from "../backgrounds.ts";
import { decodeFile } from "../decode.ts";
import { shrinkPicture } from "./decode.ts";
import { decodedSize, type Normalisation, type View, writePlanes } from "./render.ts";

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

/** A file's picture in the square that a network sees. */
export interface PictureFile {
  /** [3, size, size]: red, green, blue. */
  readonly planes: Float32Array;
  /** Of the picture as it is shown, pixels; a large one is told as it was shrunk to 416. */
  readonly width: number;
  readonly height: number;
  /** The part of it that fills the square's width or height, in 0 … 1 of the picture's. */
  readonly shown: Rectangle;
}

/**
 * Decodes a file as building a data set does (of an animation the first frame), shrinks it as the cache does, and letterboxes
 * it as loaders do: the picture as large as fits, centred. Throws InputError that names the file for what is no picture.
 */
export async function readPictureFile(
  path: string,
  { size, view = "picture", background, normalisation }: PictureFileOptions,
): Promise<PictureFile> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (error) {
    throw new InputError(`${path}: expected a picture, found ${reason(error)}`, { cause: error });
  }
  try {
    const { pictures: [picture], verbatim } = await decodeFile(bytes);
    // A build keeps the file itself where it can; a JPEG is shrunk while it is decoded, which rounds otherwise.
    const kept = decodedSize(size, view);
    const { pixels, channels, width, height, content } = await shrinkPicture(verbatim ? bytes : picture!, kept);
    const [left, top, right, bottom] = view === "content" ? content : [0, 0, width, height];
    const square = letterbox(pictureFrom(pixels, width, height, channels), size, 0, {
      view: { left, top, right, bottom },
    }).render();
    const planes = new Float32Array(3 * size * size);
    writePlanes(layOver(square, plainBackground(background, size, size)), planes, { normalisation });
    const shown = { left: left / width, top: top / height, right: right / width, bottom: bottom / height };
    return { planes, width: picture!.width, height: picture!.height, shown };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(`${path}: ${describeError(error)}`, { cause: error });
  }
}
