/** A network drawn and tabled by its stages: the body from left to right, what branches off below it. */

import type { Stage } from "../evaluate/mod.ts";
import { seriesColor } from "./chart.ts";
import { type Displayable, escapeHtml, jupyterDisplay, mime, type MimeBundle } from "./display.ts";
import { table } from "./table.ts";
import { textFont, useBundledFont } from "./font.ts";

const columnWidth = 94, rowHeight = 172, margin = 12;

/** From a block's middle down to the last line of its caption, and to where arrows turn below it. */
const captionEnd = 84, corridor = 106;

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
      const labels = stages.map((stage) => `${stageName(stage, stages)} ${stage.shape.slice(1).join(" x ")}`);
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

/**
 * One row a stage: what it is, its convolutions, output shape, parameters and operations of one picture, in units that fit the
 * whole network.
 */
export function stageTable(stages: readonly Stage[], { caption }: { readonly caption: string }): Displayable {
  const sum = (value: (stage: Stage) => number) => stages.reduce((total, stage) => total + value(stage), 0);
  const [each, many] = sum(({ parameters }) => parameters) >= 1e6 ? [1e6, "M"] : [1e3, "thousands"];
  const [step, flops] = sum(({ flops }) => flops) >= 1e9 ? [1e9, "GFLOP"] : [1e6, "MFLOP"];
  const row = (part: string, stage: Pick<Stage, "convolutions" | "parameters" | "flops">, output: string) => ({
    part,
    convolutions: stage.convolutions,
    output,
    parameters: stage.parameters / each,
    flops: stage.flops / step,
  });
  const whole = {
    convolutions: sum(({ convolutions }) => convolutions),
    parameters: sum(({ parameters }) => parameters),
    flops: sum(({ flops }) => flops),
  };
  return table([
    ...stages.map((stage) => row(stageName(stage, stages), stage, stage.shape.join(" × "))),
    row("in all", whole, ""),
  ], {
    caption,
    columns: [
      "part",
      "convolutions",
      { key: "output", title: "channels × rows × columns" },
      { key: "parameters", unit: many, decimals: 2 },
      { key: "flops", title: "operations", unit: flops, decimals: 2 },
    ],
  });
}

/** "body" leads to all outputs, "neck" to several, "head coarse" to one. */
function stageName({ outputs }: Stage, all: readonly Stage[]): string {
  if (outputs.length === outputsOf(all).length) return "body";
  return outputs.length === 1 ? `head ${outputs[0]}` : "neck";
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
  const height = 2 * margin + rowHeight * outputs.length - 36;
  const arrows = blocks.flatMap((to) => to.stage.from.map((i) => arrow(blocks[i]!, to, blocks)));
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
    line(name, captionEnd - 28, "#30343c") +
    line(`${rows}×${columns}×${channels}`, captionEnd - 14, "#30343c") +
    line(`${convolutions} conv.`, captionEnd, "#6a7080");
}

/** Along a row; or down below the source's caption and into the target from its left, or from above where a block is in the way. */
function arrow(from: Block, to: Block, blocks: readonly Block[]): string {
  const left = to.x - to.width / 2 - 2, down = from.y + captionEnd + 6, r = 12;
  const isBetween = ({ x, y }: Block) => y === to.y && x > from.x && x < to.x;
  const path = from.y === to.y
    ? `M${from.x + from.width / 2} ${from.y}H${left}`
    : blocks.some(isBetween)
    ? `M${from.x} ${down}V${from.y + corridor - r}q0 ${r} ${r} ${r}H${to.x - r}q${r} 0 ${r} ${r}V${
      to.y - to.height / 2 - 2
    }`
    : `M${from.x} ${down}V${to.y - r}q0 ${r} ${r} ${r}H${left}`;
  return `<path d="${path}" fill="none" stroke="#7a8090" stroke-width="1.4" marker-end="url(#tip)"/>`;
}
