/** Outputs of cells as HTML for the report: the best representation, made safe, pictures made small. */

// @ts-types="@types/sanitize-html"
import sanitizeHtml from "sanitize-html";
import { z } from "zod";
import { escapeHtml, mime } from "./display.ts";
import { figureDetail, figureValue, type KeyFigure } from "./key_figure.ts";
import { approachSchema, type RecordedApproach } from "./leaderboard.ts";
import { type Output, outputText } from "./notebook_file.ts";
import { plainText } from "./report_code.ts";
import { captionName } from "./plotly.ts";
import { MarkdownRenderer, renderMath } from "./report_markdown.ts";
import { tableHtml } from "./table.ts";

/** How hard pictures are pressed. */
export interface PictureQuality {
  /** WebP quality, 1 … 100. */
  readonly quality: number;
  /** Wider pictures are scaled down, px. */
  readonly maxWidth: number;
}

/** Characters of one text that the report shows; the executed notebook holds all. */
const textLimit = 20_000;

/** A plot whose data are longer than this stays a static picture, characters. */
const plotLimit = 3_000_000;

/** HTML beyond is shown as its text, characters. */
const htmlLimit = 2_000_000;

const text = z.string().max(10_000);
const chartData = z.object({ title: text, caption: text });
const plotlyData = z.object({
  data: z.array(z.record(z.string(), z.unknown())),
  layout: z.record(z.string(), z.unknown()),
});
const tableData = z.object({
  headings: z.array(text),
  numeric: z.array(z.boolean()),
  rows: z.array(z.array(text)),
  caption: text,
  hidden: z.int().min(0),
});
const picturesData = z.object({
  caption: text,
  labels: z.array(text),
  width: z.number().positive(),
  height: z.number().positive(),
});
const keyFigureData = z.object({
  name: text,
  value: z.number(),
  unit: text.optional(),
  n: z.number().optional(),
  ci95: z.tuple([z.number(), z.number()]).optional(),
  split: text.optional(),
  decimals: z.int().min(0).max(20),
});

/** The key figure that an output records; undefined for any other output. */
export function recordedFigure(output: Output): KeyFigure | undefined {
  if (output.output_type !== "display_data" && output.output_type !== "execute_result") return undefined;
  const parsed = keyFigureData.safeParse(output.data[mime.keyFigure]);
  return parsed.success ? parsed.data as KeyFigure : undefined;
}

/** The rows of the leaderboard that an output records; a row that cannot be is left out. */
export function recordedApproaches(output: Output): RecordedApproach[] {
  if (output.output_type !== "display_data" && output.output_type !== "execute_result") return [];
  const rows = output.data[mime.leaderboard];
  return (Array.isArray(rows) ? rows : []).flatMap((row) => approachSchema.safeParse(row).data ?? []);
}

/** Whether a report with this output needs Plotly. */
export function needsPlotly(output: Output): boolean {
  return "data" in output && plot(output.data) !== undefined;
}

/** One output as HTML. */
export async function outputHtml(output: Output, quality: PictureQuality): Promise<string> {
  if (output.output_type === "stream") {
    return `<pre class="output${output.name === "stderr" ? " stderr" : ""}">${shortText(output.text)}</pre>`;
  }
  if (output.output_type === "error") {
    const head = `${output.ename}: ${output.evalue}`;
    const trace = output.traceback.filter((line) => line.trim()).join("\n");
    const all = trace.startsWith(output.ename) ? trace : trace ? `${head}\n${trace}` : head;
    return `<pre class="output error" role="alert">${shortText(all)}</pre>`;
  }
  return await bundleHtml(output.data, quality);
}

async function bundleHtml(data: Record<string, unknown>, quality: PictureQuality): Promise<string> {
  const figure = keyFigureData.safeParse(data[mime.keyFigure]);
  if (figure.success) return keyFigureHtml(figure.data as KeyFigure);
  const chart = await chartHtml(data, quality);
  if (chart) return chart;
  const table = tableData.safeParse(data[mime.table]);
  if (table.success) return tableHtml(table.data);
  const grid = picturesData.safeParse(data[mime.pictures]);
  const picture = await pictureSource(data, quality);
  if (grid.success && picture) {
    const alt = grid.data.labels.filter(Boolean).join(", ") || grid.data.caption;
    const { width, height, caption } = grid.data;
    // on a phone the grid scrolls in its box rather than shrink until its labels cannot be read
    const style = `width:100%;min-width:${Math.min(width, 600)}px;max-width:${width}px`;
    return `<figure class="pictures"><div class="scroll"><img src="${picture}" width="${width}" height="${height}" ` +
      `style="${style}" loading="lazy" alt="${escapeHtml(alt)}"></div>${captionHtml(caption)}</figure>`;
  }
  if ("text/markdown" in data) {
    return `<div class="markdown">${new MarkdownRenderer().render(outputText(data["text/markdown"]))}</div>`;
  }
  if ("text/html" in data && outputText(data["text/html"]).length <= htmlLimit) {
    return `<div class="html scroll">${cleanHtml(outputText(data["text/html"]))}</div>`;
  }
  if (picture) {
    return `<figure><img src="${picture}" loading="lazy" alt="${
      escapeHtml(outputText(data["text/plain"] ?? ""))
    }"></figure>`;
  }
  if ("text/latex" in data) {
    const formula = outputText(data["text/latex"]).replace(/^\s*\$+|\$+\s*$/g, "");
    return `<div class="scroll math">${renderMath(formula, true)}</div>`;
  }
  const plain = data["text/plain"] ?? data["application/json"];
  return plain === undefined ? "" : `<pre class="output">${shortText(outputText(plain))}</pre>`;
}

/** A key figure as a card. */
export function keyFigureHtml(figure: KeyFigure): string {
  const detail = figureDetail(figure);
  return `<div class="key-figure"><span class="name">${escapeHtml(figure.name)}</span>` +
    `<span class="value">${escapeHtml(figureValue(figure))}</span>` +
    (detail ? `<span class="detail">${escapeHtml(detail)}</span>` : "") + `</div>`;
}

/** A plot's data and layout as JSON that can stand in a page. */
function plot(data: Record<string, unknown>): string | undefined {
  const parsed = plotlyData.safeParse(data[mime.plotly]);
  if (!parsed.success) return undefined;
  const { title: _, annotations, meta, ...rest } = parsed.data.layout;
  const ours = z.object({ height: z.number().min(100).max(3000) }).safeParse(meta);
  const layout = {
    ...rest,
    // title and caption stand around the plot as text
    ...(Array.isArray(annotations) ? { annotations: annotations.filter((one) => one?.name !== captionName) } : {}),
    ...(ours.success ? { height: ours.data.height } : {}),
  };
  const json = JSON.stringify({ data: parsed.data.data, layout }).replaceAll("<", "\\u003c");
  return json.length > plotLimit ? undefined : json;
}

/** A chart: title and caption as text, the static picture inside, which the report's script replaces by the interactive one. */
async function chartHtml(data: Record<string, unknown>, quality: PictureQuality): Promise<string | undefined> {
  if (!(mime.plotly in data)) return undefined;
  const chart = chartData.safeParse(data[mime.chart]);
  const { title, caption } = chart.success ? chart.data : { title: "", caption: "" };
  const vector = typeof data["image/svg+xml"] === "string";
  const picture = await pictureSource(data, quality);
  const interactive = plot(data);
  if (!picture && !interactive) return undefined;
  const still = picture ? `<img src="${picture}" alt="${escapeHtml(title)}">` : "";
  return `<figure class="chart${vector ? "" : " titled"}"><div class="title">${escapeHtml(title)}</div>` +
    `<div class="plot${interactive ? " interactive" : ""}">${still}` +
    (interactive ? `<script type="application/json">${interactive}</script>` : "") +
    `</div>${captionHtml(caption)}</figure>`;
}

function captionHtml(caption: string): string {
  return caption ? `<figcaption>${escapeHtml(caption)}</figcaption>` : "";
}

/** A picture as a data URL: SVG as it is (a browser runs no script of an `img`), large bitmaps as WebP. */
async function pictureSource(data: Record<string, unknown>, quality: PictureQuality): Promise<string | undefined> {
  const svg = data["image/svg+xml"];
  if (svg !== undefined) {
    return `data:image/svg+xml;base64,${new TextEncoder().encode(outputText(svg)).toBase64()}`;
  }
  for (const type of ["image/webp", "image/png", "image/jpeg", "image/gif"]) {
    if (data[type] === undefined) continue;
    try {
      const bytes = Uint8Array.fromBase64(outputText(data[type]).replace(/\s+/g, ""));
      return await pressed(bytes, type, quality);
    } catch {
      return undefined; // not base64, or not a picture: the text stands in
    }
  }
  return undefined;
}

async function pressed(bytes: Uint8Array, type: string, { quality, maxWidth }: PictureQuality): Promise<string> {
  const { default: sharp } = await import("sharp");
  const input = sharp(bytes, { animated: type === "image/gif" });
  const { width } = await input.metadata(); // also refuses what is no picture
  if (bytes.length < 30_000 || type === "image/gif") return `data:${type};base64,${bytes.toBase64()}`;
  const small = width > maxWidth ? input.resize({ width: maxWidth }) : input;
  const webp = new Uint8Array(await small.webp({ quality, smartSubsample: true }).toBuffer());
  return webp.length < bytes.length
    ? `data:image/webp;base64,${webp.toBase64()}`
    : `data:${type};base64,${bytes.toBase64()}`;
}

function shortText(raw: string): string {
  const plain = plainText(raw);
  if (plain.length <= textLimit) return escapeHtml(plain);
  const left = (plain.length - textLimit).toLocaleString("en-US");
  const [head, tail] = [plain.slice(0, textLimit * 0.7), plain.slice(-textLimit * 0.3)];
  return `${escapeHtml(head)}\n<span class="left-out">… ${left} characters stand in the executed notebook …</span>\n${
    escapeHtml(tail)
  }`;
}

/** HTML of a cell without anything that runs, loads or covers the page. */
function cleanHtml(html: string): string {
  return sanitizeHtml(html, {
    allowedTags: [...sanitizeHtml.defaults.allowedTags, "img", "progress", "meter", "del", "ins", "details", "summary"],
    allowedAttributes: {
      a: ["href", "title"],
      img: ["src", "alt", "width", "height", "title"],
      progress: ["value", "max"],
      meter: ["value", "min", "max"],
      td: ["colspan", "rowspan"],
      th: ["colspan", "rowspan"],
      "*": ["lang", "dir"],
    },
    allowedSchemes: ["https", "http", "mailto"],
    allowedSchemesByTag: { img: ["data"] },
    allowProtocolRelative: false,
  });
}
