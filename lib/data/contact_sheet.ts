/** Contact sheets: many pictures in one. */

import { Buffer } from "node:buffer";
import { join } from "node:path";
import sharp, { type OverlayOptions, type Sharp } from "sharp";
import { describeError, InputError } from "../runtime/mod.ts";
import type { Picture } from "./augment/mod.ts";
import { datasetPaths, type ManifestRow } from "./manifest.ts";

export interface ContactSheetOptions {
  readonly columns?: number;
  /** Side of one picture's square, in pixels. */
  readonly side?: number;
  readonly gap?: number;
  /** Behind transparent pictures: any CSS colour. */
  readonly background?: string;
  readonly format?: "png" | "webp";
}

/** The most pictures on one sheet. */
const limit = 4096;

/** Draws stored pictures in rows. Returns the encoded picture. Throws InputError for one that cannot be read. */
export async function contactSheet(
  rows: readonly Pick<ManifestRow, "id" | "image">[],
  { dataFolder, ...options }: ContactSheetOptions & { readonly dataFolder: string },
): Promise<Uint8Array<ArrayBuffer>> {
  const { processed } = datasetPaths(dataFolder);
  return await sheet(rows.map((row) => ({ name: row.image, input: sharp(join(processed, row.image)) })), options);
}

/** Draws decoded pictures in rows, e.g. augmented ones. */
export async function pictureSheet(
  pictures: readonly Picture[],
  options: ContactSheetOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  return await sheet(
    pictures.map(({ data, width, height }, index) => ({
      name: `picture ${index}`,
      input: sharp(Buffer.from(data), { raw: { width, height, channels: 4 } }),
    })),
    options,
  );
}

async function sheet(
  cells: readonly { readonly name: string; readonly input: Sharp }[],
  { columns = 10, side = 64, gap = 4, background = "#ffffff", format = "webp" }: ContactSheetOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  if (cells.length === 0 || cells.length > limit) {
    throw new InputError(`contact sheet: expected 1 … ${limit} pictures, found ${cells.length}`);
  }
  const across = Math.min(columns, cells.length), down = Math.ceil(cells.length / columns);
  const tiles: OverlayOptions[] = [];
  for (const [index, { name, input }] of cells.entries()) {
    try {
      const tile = await input.ensureAlpha()
        .resize(side, side, { fit: "contain", background: { r: 0, g: 0, b: 0, alpha: 0 } }).raw().toBuffer();
      tiles.push({
        input: tile,
        raw: { width: side, height: side, channels: 4 },
        left: gap + index % columns * (side + gap),
        top: gap + Math.floor(index / columns) * (side + gap),
      });
    } catch (error) {
      throw new InputError(`${name}: expected a picture, found ${describeError(error, 120)}`, { cause: error });
    }
  }
  const canvas = sharp({
    create: { width: gap + across * (side + gap), height: gap + down * (side + gap), channels: 4, background },
  }).composite(tiles);
  return new Uint8Array(await (format === "png" ? canvas.png() : canvas.webp({ quality: 85 })).toBuffer());
}
