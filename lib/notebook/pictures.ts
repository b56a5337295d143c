/** Picture grids for cells: many pictures with labels, composed to one image so that reports stay small. */

import type { OverlayOptions, SharpInput } from "sharp";
import { InputError } from "../runtime/mod.ts";
import { type Displayable, escapeHtml, jupyterDisplay, mime, type MimeBundle } from "./display.ts";
import { textFont, useBundledFont } from "./font.ts";

/** Decoded pixels, 8 bits a channel, row by row: 1 (grey), 3 (RGB) or 4 (RGBA) channels. */
export interface RawPicture {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3 | 4;
}

/** A picture of a grid. */
export interface Picture {
  /** Encoded bytes (any format that sharp reads), decoded pixels, or a file's path. */
  readonly image: Uint8Array | RawPicture | string;
  /** One short line below it, cut where it is too long. */
  readonly label?: string | undefined;
}

export interface PicturesOptions {
  /** Pictures in a row; by default 8, fewer where there are fewer. */
  readonly columns?: number | undefined;
  /** One sentence that says what to see. */
  readonly caption?: string | undefined;
  /** Side of a picture's square in CSS pixels; by default 112. */
  readonly size?: number | undefined;
}

const gap = 10;
const labelHeight = 20;

/** Device pixels a CSS pixel: sharp on fine screens, small enough for a report. */
const scale = 1.5;

/** A grid that a cell can end with. A picture that cannot be decoded shows as an empty, crossed box; it does not fail the grid. */
export function pictures(items: Iterable<Picture>, options: PicturesOptions = {}): Displayable {
  const all = [...items];
  const caption = options.caption ?? "";
  return {
    async [jupyterDisplay](): Promise<MimeBundle> {
      const image = await composeGrid(all, options);
      const base64 = image.png.toBase64();
      const alt = gridText(all, caption);
      const labels = all.map((item) => item.label ?? "");
      return {
        [mime.pictures]: { caption, labels, width: image.width, height: image.height },
        "image/png": base64,
        "text/html": `<figure style="margin:0 0 1em"><img alt="${escapeHtml(alt)}" width="${image.width}" ` +
          `style="max-width:100%;height:auto" src="data:image/png;base64,${base64}">` +
          `<figcaption style="opacity:.8">${escapeHtml(caption)}</figcaption></figure>`,
        "text/plain": alt,
      };
    },
  };
}

function gridText(items: readonly Picture[], caption: string): string {
  const labels = items.map((item) => item.label).filter((label) => label !== undefined && label !== "");
  const some = labels.slice(0, 24).join(", ") + (labels.length > 24 ? ", …" : "");
  return [`${items.length} pictures${some ? ": " + some : ""}`, caption].filter(Boolean).join("\n");
}

/**
 * Composes a grid to one PNG. `width` and `height` are CSS pixels. Throws InputError when there is nothing to show or the
 * grid would be unreasonably large (more than 2,000 pictures).
 */
export async function composeGrid(
  items: readonly Picture[],
  { columns = 8, size = 112 }: PicturesOptions = {},
): Promise<{ readonly png: Uint8Array; readonly width: number; readonly height: number }> {
  if (!items.length || items.length > 2000) {
    throw new InputError(`pictures: expected 1 to 2000 pictures in a grid, found ${items.length}`);
  }
  if (!Number.isInteger(columns) || columns < 1) {
    throw new InputError(`pictures: expected a whole number of columns ≥ 1, found ${columns}`);
  }
  const { default: sharp } = await import("sharp");
  await useBundledFont();
  const across = Math.min(columns, items.length);
  const labelled = items.some((item) => item.label);
  const stepX = size + gap, stepY = size + gap + (labelled ? labelHeight : 0);
  const width = across * stepX + gap;
  const height = Math.ceil(items.length / across) * stepY + gap;
  const device = (value: number) => Math.round(value * scale);
  const side = device(size);
  const layers: OverlayOptions[] = [];
  const marks: string[] = [];
  for (const [index, item] of items.entries()) {
    const x = gap + (index % across) * stepX, y = gap + Math.floor(index / across) * stepY;
    marks.push(`<rect x="${x}" y="${y}" width="${size}" height="${size}" rx="4" fill="#f1f2f5"/>`);
    if (item.label) marks.push(labelSvg(item.label, x + size / 2, y + size + 15, size + gap - 2));
    try {
      const input = await fitted(sharp, item.image, side);
      layers.push({
        input: input.data,
        raw: { width: input.info.width, height: input.info.height, channels: 4 },
        left: device(x) + Math.floor((side - input.info.width) / 2),
        top: device(y) + Math.floor((side - input.info.height) / 2),
      });
    } catch {
      const [a, b, c, d] = [x + 8, y + 8, x + size - 8, y + size - 8];
      marks.push(`<path d="M${a} ${b}L${c} ${d}M${a} ${d}L${c} ${b}" stroke="#c0392b" stroke-width="2"/>`);
    }
  }
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${device(width)}" height="${device(height)}" ` +
    `viewBox="0 0 ${width} ${height}"><rect width="100%" height="100%" fill="#ffffff"/>${marks.join("")}</svg>`;
  const png = await sharp(new TextEncoder().encode(svg), { unlimited: true }).composite(layers)
    .removeAlpha().png({ compressionLevel: 9 }).toBuffer();
  return { png: new Uint8Array(png), width, height };
}

/** Fits a picture into a square; small ones (box sprites, thumbnails) grow by whole pixels so that they stay crisp. */
async function fitted(sharp: typeof import("sharp").default, image: Picture["image"], side: number) {
  const open = () => {
    if (typeof image === "string" || image instanceof Uint8Array) return sharp(image as SharpInput);
    const { data, width, height, channels } = image;
    return sharp(data as SharpInput, { raw: { width, height, channels } });
  };
  const { width, height } = await open().metadata();
  const small = Math.max(width, height) * 2 <= side;
  return await open().ensureAlpha().toColourspace("srgb").resize({
    width: side,
    height: side,
    fit: "inside",
    kernel: small ? "nearest" : "lanczos3",
  }).raw().toBuffer({ resolveWithObject: true });
}

function labelSvg(label: string, x: number, y: number, room: number): string {
  const characters = [...label.replace(/\p{Cc}/gu, " ")];
  const fits = Math.max(3, Math.floor(room / 6.9)); // DejaVu Sans at 11.5 px is about 6.9 px a letter
  const text = characters.length > fits ? characters.slice(0, fits - 1).join("") + "…" : characters.join("");
  return `<text x="${x}" y="${y}" font-family="${textFont}" font-size="11.5" fill="#30343c" text-anchor="middle">` +
    `${escapeHtml(text)}</text>`;
}
