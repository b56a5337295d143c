/** Draws a prediction onto a copy of its picture: the box, the species and its probability. */

import { Buffer } from "node:buffer";
import { basename, extname, join } from "node:path";
import sharp from "sharp";
import type { Prediction } from "../../lib/experiment/mod.ts";
import { textFont, useBundledFont } from "../../lib/notebook/mod.ts";
import { InputError, reason, writeAtomic } from "../../lib/runtime/mod.ts";

/** The longest side of a drawing in pixels, and the shortest that a small picture is enlarged to. */
const LONGEST = 1600, SHORTEST = 320;

/**
 * Writes `FOLDER/NAME.png` for each picture; a name that is taken by another picture of the call gets a number. Returns the paths.
 * Throws InputError where the folder cannot be written.
 */
export async function annotate(predictions: readonly Prediction[], folder: string): Promise<string[]> {
  await useBundledFont();
  await Deno.mkdir(folder, { recursive: true }).catch((error) => {
    throw new InputError(`--annotate ${folder}: expected a folder that can be written, found ${reason(error)}`);
  });
  const taken = new Set<string>(), paths: string[] = [];
  for (const prediction of predictions) {
    const stem = basename(prediction.image, extname(prediction.image)) || "picture";
    let name = stem;
    for (let count = 2; taken.has(name.toLowerCase()); count++) name = `${stem}-${count}`;
    taken.add(name.toLowerCase());
    const path = join(folder, `${name}.png`);
    await writeAtomic(path, await draw(prediction));
    paths.push(path);
  }
  return paths;
}

async function draw({ image, box, top: [best] }: Prediction): Promise<Uint8Array> {
  const file = await Deno.readFile(image);
  const { width: w, height: h } = (await sharp(file, { density: 144 }).autoOrient().metadata()).autoOrient;
  const scale = Math.min(LONGEST / Math.max(w, h), Math.max(1, SHORTEST / Math.max(w, h)));
  const width = Math.max(1, Math.round(w * scale)), height = Math.max(1, Math.round(h * scale));
  const line = Math.max(2, Math.round(Math.min(width, height) / 120)), font = Math.max(14, Math.round(height / 22));
  const label = `${best!.name} ${(100 * best!.score).toFixed(0)} %`;
  const edges = box ?? { left: 0, top: 0, right: 1, bottom: 1 };
  const [left, right] = [edges.left * width + line / 2, edges.right * width - line / 2];
  const [top, bottom] = [edges.top * height + line / 2, edges.bottom * height - line / 2];
  const tag = { width: Math.min(width, label.length * font * 0.66 + font), height: font * 1.6 };
  const x = Math.max(0, Math.min(left - line / 2, width - tag.width)), y = Math.max(0, top - line / 2);
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">` +
    (box
      ? `<rect x="${left}" y="${top}" width="${Math.max(1, right - left)}" height="${Math.max(1, bottom - top)}" ` +
        `fill="none" stroke="#e3350d" stroke-width="${line}"/>`
      : "") +
    `<rect x="${x}" y="${y}" width="${tag.width}" height="${tag.height}" fill="#e3350d"/>` +
    `<text x="${x + font / 2}" y="${y + font * 1.15}" font-family="${textFont}" font-size="${font}" fill="#ffffff">` +
    `${escapeXml(label)}</text></svg>`;
  const drawing = await sharp(file, { density: 144 }).autoOrient().toColourspace("srgb")
    .resize(width, height, { fit: "fill", kernel: scale >= 2 ? "nearest" : "lanczos3" })
    .composite([{ input: Buffer.from(svg) }]).png().toBuffer();
  return new Uint8Array(drawing);
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
