/** A network drawn from its stages: the body from left to right, what branches off below it. */

import type { Stage } from "../evaluate/mod.ts";
import { seriesColor } from "./chart.ts";
import { type Displayable, escapeHtml, jupyterDisplay, mime, type MimeBundle } from "./display.ts";
import { textFont, useBundledFont } from "./font.ts";

const columnWidth = 94, rowHeight = 148, margin = 12, blockTop = 84;

/** A block's place and size. */
interface Block {
  readonly stage: Stage;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/**
 * Draws a network for a cell's end: a block a stage, as high as its maps are (logarithmically), as wide as it has channels; the
 * stages of a body, those of a neck and the heads in colours of their own, arrows for what reads what.
 */
export function networkDrawing(stages: readonly Stage[], { caption }: { readonly caption: string }): Displayable {
  return {
    async [jupyterDisplay](): Promise<MimeBundle> {
      const { svg, width, height } = networkSvg(stages);
      const { default: sharp } = await import("sharp");
      await useBundledFont();
      const png = (await sharp(new TextEncoder().encode(svg), { density: 144 }).png().toBuffer()).toString("base64");
      const labels = stages.map((stage) => stageName(stage, stages));
      return {
        [mime.pictures]: { caption, labels, width, height },
        "image/png": png,
        "text/html": `<figure style="margin:0 0 1em"><img alt="${escapeHtml(labels.join(", "))}" width="${width}" ` +
          `style="max-width:100%;height:auto" src="data:image/png;base64,${png}">` +
          `<figcaption style="opacity:.8">${escapeHtml(caption)}</figcaption></figure>`,
        "text/plain": `${labels.join(" → ")}\n${caption}`,
      };
    },
  };
}

/** "body 26 x 26", "neck 13 x 13", "head coarse". */
export function stageName({ outputs, shape: [, rows, columns] }: Stage, all: readonly Stage[]): string {
  if (outputs.length === 1) return `head ${outputs[0]}`;
  return `${outputs.length === outputsOf(all).length ? "body" : "neck"} ${rows} x ${columns}`;
}

function outputsOf(stages: readonly Stage[]): string[] {
  return [...new Set(stages.flatMap(({ outputs }) => outputs))];
}

/** The drawing on white and its size in CSS pixels. */
export function networkSvg(stages: readonly Stage[]): { svg: string; width: number; height: number } {
  const outputs = outputsOf(stages), columns: number[] = [];
  for (const { from } of stages) columns.push(from.length === 0 ? 0 : 1 + Math.max(...from.map((i) => columns[i]!)));
  const rowOf = (stage: Stage) => Math.min(...stage.outputs.map((name) => outputs.indexOf(name)));
  const blocks = stages.map((stage, i): Block => {
    const [channels, rows] = stage.shape;
    return {
      stage,
      x: margin + (columns[i]! + 0.5) * columnWidth,
      y: margin + 44 + rowOf(stage) * rowHeight,
      width: 6 * Math.log2(channels),
      height: 10 * Math.log2(rows + 1),
    };
  });
  const width = 2 * margin + (1 + Math.max(...columns)) * columnWidth;
  const height = 2 * margin + rowHeight * outputs.length - 16;
  const arrows = blocks.flatMap((to) => to.stage.from.map((i) => arrow(blocks[i]!, to)));
  const drawn = blocks.map((block) => blockSvg(block, stageName(block.stage, stages), outputs.length));
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
    `font-family="${textFont}" font-size="11" text-anchor="middle"><rect width="100%" height="100%" fill="#ffffff"/>` +
    `<defs><marker id="tip" markerWidth="7" markerHeight="7" refX="6" refY="3.5" orient="auto">` +
    `<path d="M0 0L7 3.5L0 7z" fill="#7a8090"/></marker></defs>${arrows.join("")}${drawn.join("")}</svg>`;
  return { svg, width, height };
}

function blockSvg({ stage, x, y, width, height }: Block, name: string, outputs: number): string {
  const { shape: [channels, rows, columns], convolutions } = stage;
  const color = seriesColor(stage.outputs.length === outputs && outputs > 1 ? 0 : stage.outputs.length > 1 ? 4 : 1);
  const line = (text: string, at: number, fill: string) =>
    `<text x="${x}" y="${y + at}" fill="${fill}">${escapeHtml(text)}</text>`;
  return `<rect x="${x - width / 2}" y="${
    y - height / 2
  }" width="${width}" height="${height}" rx="3" fill="${color}"/>` +
    line(name.replace(/ \d.*/, ""), blockTop - 28, "#30343c") +
    line(`${rows}×${columns}×${channels}`, blockTop - 14, "#30343c") +
    line(`${convolutions} conv.`, blockTop, "#6a7080");
}

function arrow(from: Block, to: Block): string {
  const end = `${to.x - to.width / 2 - 2} ${to.y}`, start = from.x + from.width / 2;
  const path = from.y === to.y
    ? `M${start} ${from.y}L${end}`
    // around the captions of the block that it leaves
    : `M${start} ${from.y + 6}C${start + 34} ${from.y + 6} ${from.x + columnWidth / 2} ${to.y} ${end}`;
  return `<path d="${path}" fill="none" stroke="#7a8090" stroke-width="1.4" marker-end="url(#tip)"/>`;
}
