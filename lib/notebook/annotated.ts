/** Pictures with marks drawn over them: boxes, cells, a grid. */

import { Buffer } from "node:buffer";
import type { SharpInput } from "sharp";
import { escapeHtml } from "./display.ts";
import { seriesColor } from "./chart.ts";
import { textFont, useBundledFont } from "./font.ts";
import type { Picture } from "./pictures.ts";

/** A rectangle over a picture, in pixels of that picture. */
export interface Mark {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  /** A line around it, a dashed line, a tinted area, or its label alone. Default: "line". */
  readonly look?: "line" | "dashed" | "area" | "label" | undefined;
  /** A series colour of the charts, counted from 0. Default: 0. */
  readonly color?: number | undefined;
  /** A short word at its upper left corner. */
  readonly label?: string | undefined;
}

/** What is drawn over a picture. */
export interface Marks {
  readonly marks?: readonly Mark[] | undefined;
  /** Thin lines that divide the picture evenly. */
  readonly grid?: { readonly columns: number; readonly rows: number } | undefined;
  /** Longer side of the result in device pixels; default 336, two a CSS pixel of a small grid. */
  readonly side?: number | undefined;
}

/** Dots an inch at which vector pictures are drawn: their pixels are counted at it. */
export const VECTOR_DENSITY = 144;

/**
 * The picture with its marks as PNG, upright, enlarged first so that lines stay thin; small pictures grow by hard pixels. Marks that
 * reach beyond the picture are cut to it.
 */
export async function annotated(
  image: Picture["image"],
  { marks = [], grid, side = 336 }: Marks,
): Promise<Uint8Array> {
  const { default: sharp } = await import("sharp");
  await useBundledFont();
  const open = () => {
    if (typeof image === "string" || image instanceof Uint8Array) {
      return sharp(image as SharpInput, { density: VECTOR_DENSITY }).autoOrient();
    }
    const { data, width, height, channels } = image;
    return sharp(data as SharpInput, { raw: { width, height, channels } });
  };
  const { width, height } = (await open().metadata()).autoOrient;
  const zoom = side / Math.max(width, height);
  const [w, h] = [Math.round(width * zoom), Math.round(height * zoom)];
  const enlarged = await open().toColourspace("srgb").resize(w, h, {
    fit: "fill",
    kernel: zoom >= 2 ? "nearest" : "lanczos3",
  }).png().toBuffer();
  const line = Math.max(1, side / 110);
  const shapes = [
    ...(grid ? gridLines(grid, w, h, line / 3) : []),
    ...marks.map((mark) => shapeOf(mark, zoom, w, h, line)),
    ...marks.map((mark) => labelOf(mark, zoom, w, h, side / 19)),
  ];
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}">${shapes.join("")}</svg>`;
  const drawn = sharp(enlarged).composite([{ input: Buffer.from(svg) }]);
  return new Uint8Array(await drawn.png().toBuffer());
}

function gridLines({ columns, rows }: NonNullable<Marks["grid"]>, w: number, h: number, line: number): string[] {
  const along = (count: number) => Array.from({ length: count - 1 }, (_, i) => (i + 1) / count);
  const paths = [
    ...along(columns).map((x) => `M${x * w} 0V${h}`),
    ...along(rows).map((y) => `M0 ${y * h}H${w}`),
  ].join("");
  // a dark line beside a bright one can be seen on any picture
  return [["#000000", 2.4], ["#ffffff", 1]].map(([color, times]) =>
    `<path d="${paths}" stroke="${color}" stroke-opacity="0.45" stroke-width="${line * Number(times)}" fill="none"/>`
  );
}

function shapeOf(mark: Mark, zoom: number, w: number, h: number, line: number): string {
  const { look = "line", color = 0 } = mark;
  if (look === "label") return "";
  const inset = look === "area" ? 0 : line / 2;
  const clip = (value: number, limit: number) => Math.min(limit - inset, Math.max(inset, value * zoom));
  const [left, right] = [clip(mark.left, w), clip(mark.right, w)];
  const [top, bottom] = [clip(mark.top, h), clip(mark.bottom, h)];
  const place = `x="${left}" y="${top}" width="${Math.max(0, right - left)}" height="${Math.max(0, bottom - top)}"`;
  const stroke = seriesColor(color);
  if (look === "area") return `<rect ${place} fill="${stroke}" fill-opacity="0.45"/>`;
  const dashes = look === "dashed" ? ` stroke-dasharray="${3 * line} ${2 * line}"` : "";
  return `<rect ${place} fill="none" stroke="#ffffff" stroke-opacity="0.7" stroke-width="${1.8 * line}"/>` +
    `<rect ${place} fill="none" stroke="${stroke}" stroke-width="${line}"${dashes}/>`;
}

function labelOf({ label, left, top, color = 0 }: Mark, zoom: number, w: number, h: number, size: number): string {
  if (!label) return "";
  const width = Math.min(w, 0.68 * size * [...label].length + size), height = 1.4 * size;
  const x = Math.max(0, Math.min(w - width, left * zoom)), y = Math.max(0, Math.min(h - height, top * zoom));
  return `<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="${seriesColor(color)}"/>` +
    `<text x="${x + size / 2}" y="${y + size * 1.05}" font-family="${textFont}" font-size="${size}" fill="#ffffff">` +
    `${escapeHtml(label)}</text>`;
}
