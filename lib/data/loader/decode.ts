/** From a stored picture to the pixels that the cache keeps. */

import sharp from "sharp";
import { describeError, InputError, reason, sha256 as sha256Of } from "../../runtime/mod.ts";
import type { DecodedPicture } from "./record.ts";

/** The largest stored picture that is read, in bytes: a 416 x 416 RGBA picture uncompressed has 0.7 MB. */
const largestFile = 64 * 2 ** 20;

/** What is fainter than this is no content: the kernel that shrinks a picture leaves a faint ring around it. */
const visibleAlpha = 16;

/**
 * Decodes a stored picture and shrinks it, aspect kept, to at most `size` pixels on its longer side (sharp's Lanczos kernel,
 * alpha-aware); a smaller picture keeps its size, so that the cache holds no invented pixels. RGB when it is opaque, else
 * RGBA with straight alpha. Throws InputError when the file is missing, is not the one the manifest names, or does not decode.
 */
export async function decodePicture(path: string, sha256: string, size: number): Promise<DecodedPicture> {
  let file: Uint8Array;
  try {
    const { size: bytes } = await Deno.stat(path);
    if (bytes > largestFile) {
      throw new InputError(`${path}: expected a picture of at most 64 MiB, found ${bytes} bytes`);
    }
    file = await Deno.readFile(path);
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`${path}: expected a stored picture, found ${reason(error)}; run "deno task data build"`);
  }
  const found = sha256Of(file);
  if (found !== sha256) {
    throw new InputError(
      `${path}: expected the picture that the manifest names (SHA-256 ${sha256.slice(0, 12)}…), found ${
        found.slice(0, 12)
      }…; run "deno task data build"`,
    );
  }
  try {
    return { sha256, ...await shrinkPicture(file, size) };
  } catch (error) {
    throw new InputError(`${path}: expected a picture, found ${describeError(error, 120)}`, { cause: error });
  }
}

/** Shrinks a picture, encoded or as RGBA pixels, as `decodePicture` does. */
export async function shrinkPicture(
  picture: Uint8Array | { readonly data: Uint8Array; readonly width: number; readonly height: number },
  size: number,
): Promise<Omit<DecodedPicture, "sha256">> {
  const input = picture instanceof Uint8Array
    ? sharp(picture, { limitInputPixels: 2 ** 26 }).toColourspace("srgb")
    : sharp(picture.data, { raw: { width: picture.width, height: picture.height, channels: 4 } });
  const { data, info } = await input
    .resize(size, size, { fit: "inside", withoutEnlargement: true })
    .ensureAlpha()
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
  return pack(data, info.width, info.height);
}

/** Drops the alpha of an opaque picture and finds the content's rectangle. */
function pack(rgba: Uint8Array, width: number, height: number): Omit<DecodedPicture, "sha256"> {
  let left = width, top = height, right = 0, bottom = 0, opaque = true;
  for (let y = 0, at = 3; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      const alpha = rgba[at]!;
      if (alpha !== 255) opaque = false;
      if (alpha < visibleAlpha) continue;
      if (x < left) left = x;
      if (x >= right) right = x + 1;
      if (y < top) top = y;
      bottom = y + 1;
    }
  }
  // A picture with nothing in it has its whole frame as content.
  const content = right > left ? [left, top, right, bottom] as const : [0, 0, width, height] as const;
  if (!opaque) return { width, height, channels: 4, content, pixels: new Uint8Array(rgba) };
  const pixels = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; to < pixels.length; from += 4, to += 3) {
    pixels[to] = rgba[from]!;
    pixels[to + 1] = rgba[from + 1]!;
    pixels[to + 2] = rgba[from + 2]!;
  }
  return { width, height, channels: 3, content, pixels };
}
