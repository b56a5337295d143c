/** A picture file as the model's input, under Node: decoded by sharp with the settings of the training data. */

import { readFile } from "node:fs/promises";
import sharp from "sharp";
import { decodedSize, planesOf } from "./preprocess.mjs";

const PICTURE_SIZE = 416, PIXEL_LIMIT = 64_000_000, SHORTEST_SIDE = 8;
const FORMATS = ["jpeg", "png", "webp", "gif", "avif", "heif", "tiff", "svg"];

/** The file was no picture: not a fault of the model. */
export class PictureError extends Error {
  name = "PictureError";
}

/** The planes [3, size, size] of a file. Throws PictureError that names the file. */
export async function readPicture(path, input) {
  let bytes;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new PictureError(
      `${path}: expected a picture, found ${error.code === "ENOENT" ? "nothing there" : error.code}`,
    );
  }
  try {
    return planesOf(await decode(bytes, decodedSize(input)), input);
  } catch (error) {
    const text = String(error.message).split("\n")[0];
    throw new PictureError(`${path}: ${/^expected/.test(text) ? text : `expected a picture, found ${text}`}`);
  }
}

/** RGBA of the first frame, upright, in sRGB, its longer side at most `longest`; never enlarged. */
async function decode(bytes, longest) {
  if (bytes.length === 0) throw new PictureError("expected a picture, found an empty file");
  const about = await sharp(bytes, { limitInputPixels: false }).metadata();
  if (!FORMATS.includes(about.format)) {
    throw new PictureError(`expected JPEG, PNG, WebP, GIF, AVIF, TIFF or SVG, found ${about.format}`);
  }
  const width = about.width, height = about.pageHeight ?? about.height, vector = about.format === "svg";
  if (!vector && (Math.min(width, height) < SHORTEST_SIDE || width * height > PIXEL_LIMIT)) {
    throw new PictureError(
      `expected sides from ${SHORTEST_SIDE} px and at most 64 million pixels, found ${width} x ${height}`,
    );
  }
  const small = width <= PICTURE_SIZE && height <= PICTURE_SIZE, upright = (about.orientation ?? 1) === 1;
  const density = vector ? { density: Math.min(20_000, Math.max(1, 72 * PICTURE_SIZE / Math.max(width, height))) } : {};
  let image = sharp(bytes, { failOn: "error", limitInputPixels: PIXEL_LIMIT, ...density });
  if (!upright) image = image.autoOrient();
  if (!small || vector) {
    image = image.resize(PICTURE_SIZE, PICTURE_SIZE, { fit: "inside", withoutEnlargement: !vector });
  }
  if (about.space !== "srgb") image = image.toColourspace("srgb");
  const decoded = await rgba(image);
  if (Math.min(decoded.width, decoded.height) < SHORTEST_SIDE) {
    throw new PictureError(
      `expected a shape that leaves ${SHORTEST_SIDE} px on the short side, found ${width} x ${height}`,
    );
  }
  // A data set keeps such a file as it is, and it is shrunk while it is decoded, which rounds otherwise.
  const plain = small && upright && (about.format === "gif" || about.format === "webp" ? about.pages ?? 1 : 1) === 1 &&
    about.depth === "uchar" && (about.space === "srgb" || about.space === "b-w") && !about.hasProfile &&
    ["webp", "png", "jpeg"].includes(about.format);
  const again = plain
    ? sharp(bytes, { limitInputPixels: 2 ** 26 }).toColourspace("srgb")
    : sharp(decoded.data, { raw: { width: decoded.width, height: decoded.height, channels: 4 } });
  return await rgba(again.resize(longest, longest, { fit: "inside", withoutEnlargement: true }));
}

/** The pixels, grey spread to three channels. */
async function rgba(image) {
  const { data, info } = await image.ensureAlpha().raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  if (channels === 4) return { width, height, data };
  const spread = new Uint8Array(4 * width * height);
  for (let i = 0; i < width * height; i++) {
    const at = i * channels;
    const [red, green, blue, alpha] = channels === 3
      ? [data[at], data[at + 1], data[at + 2], 255]
      : [data[at], data[at], data[at], channels === 2 ? data[at + 1] : 255];
    spread.set([red, green, blue, alpha], 4 * i);
  }
  return { width, height, data: spread };
}
