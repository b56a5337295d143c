/** An executed notebook as one HTML file that needs nothing else: no network, no other file. */

import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { WorkError } from "../runtime/mod.ts";
import { asset } from "./asset.ts";
import { escapeHtml } from "./display.ts";
import type { CellFailure } from "./execute.ts";
import type { KeyFigure } from "./key_figure.ts";
import { rankingKey, type RecordedApproach } from "./leaderboard.ts";
import type { CodeCell, Notebook } from "./notebook_file.ts";
import { excerpt } from "./notebook_file.ts";
import { clock } from "./progress.ts";
import { highlightCode } from "./report_code.ts";
import { type Heading, MarkdownRenderer } from "./report_markdown.ts";
import {
  keyFigureHtml,
  needsPlotly,
  outputHtml,
  type PictureQuality,
  recordedApproaches,
  recordedFigure,
} from "./report_output.ts";
import type { Provenance } from "./provenance.ts";

/** A report's largest size, bytes. */
export const reportLimit = 15_000_000;

/** Pictures are pressed harder until the report fits. */
const qualities: readonly PictureQuality[] = [
  { quality: 88, maxWidth: 2000 },
  { quality: 75, maxWidth: 1400 },
  { quality: 55, maxWidth: 900 },
];

export interface ReportInput {
  readonly notebook: Notebook;
  /** The title where the notebook has no heading of the first level. */
  readonly name: string;
  readonly provenance: Provenance;
  /** Of the whole notebook, and of each cell by its number (counted from 1). */
  readonly seconds: number;
  readonly cellSeconds?: ReadonlyMap<number, number> | undefined;
  readonly failure?: CellFailure | undefined;
  /** Largest size, bytes; by default 15 MB. */
  readonly limit?: number | undefined;
}

/** The key figures of a notebook, in order; of two with one name the later counts. */
export function collectFigures(notebook: Notebook): KeyFigure[] {
  const byName = new Map<string, KeyFigure>();
  for (const cell of notebook.cells) {
    if (cell.cell_type !== "code") continue;
    for (const output of cell.outputs) {
      const figure = recordedFigure(output);
      if (figure) byName.set(figure.name, figure);
    }
  }
  return [...byName.values()];
}

/** The leaderboard's rows of a notebook, in order; of two with one name on one split the later counts. */
export function collectApproaches(notebook: Notebook): RecordedApproach[] {
  const outputs = notebook.cells.flatMap((cell) => cell.cell_type === "code" ? cell.outputs : []);
  const rows = outputs.flatMap(recordedApproaches);
  return [...new Map(rows.map((row) => [`${rankingKey(row.split)}|${row.name}`, row])).values()];
}

/** The title of a notebook: its first heading of the first level. */
export function notebookTitle(notebook: Notebook, name: string): string {
  for (const cell of notebook.cells) {
    const match = cell.cell_type === "markdown" && /^#\s+(.+?)\s*#*\s*$/m.exec(cell.source);
    if (match) return match[1]!.replace(/[*_`]/g, "");
  }
  return name;
}

/** Renders the report. Throws WorkError when it would be larger than its limit even with its pictures pressed hard. */
export async function renderReport(input: ReportInput): Promise<string> {
  const { limit = reportLimit } = input;
  const plotly = input.notebook.cells.some((cell) => cell.cell_type === "code" && cell.outputs.some(needsPlotly));
  let size = 0;
  for (const quality of qualities) {
    const html = await renderPage(input, quality, plotly);
    size = new TextEncoder().encode(html).length;
    if (size <= limit) return html;
  }
  throw new WorkError(
    `${input.name}: expected a report of at most ${limit / 1e6} MB, found ${(size / 1e6).toFixed(1)} MB`,
  );
}

async function renderPage(input: ReportInput, quality: PictureQuality, plotly: boolean): Promise<string> {
  const markdown = new MarkdownRenderer();
  const parts: string[] = [];
  for (const [index, cell] of input.notebook.cells.entries()) {
    if (cell.cell_type === "markdown") {
      parts.push(`<section class="markdown">${markdown.render(cell.source)}</section>`);
    } else if (cell.cell_type === "code" && cell.source.trim()) {
      parts.push(await codeCellHtml(cell, index + 1, quality, input));
    }
  }
  const title = notebookTitle(input.notebook, input.name);
  // the first heading is the page's title, in the header
  let body = parts.join("\n");
  const first = markdown.headings.find((heading) => heading.level === 1);
  if (first) body = body.replace(/<h1 id="[^"]*">[^]*?<\/h1>/, "");
  return await page({
    title,
    header: headerHtml(title, input, collectFigures(input.notebook)),
    contents: contentsHtml(markdown.headings.filter((heading) => heading !== first)),
    body,
    plotly,
  });
}

async function codeCellHtml(
  cell: CodeCell,
  number: number,
  quality: PictureQuality,
  input: ReportInput,
): Promise<string> {
  const failed = input.failure?.cell === number;
  const seconds = input.cellSeconds?.get(number);
  const outputs: string[] = [];
  for (const output of cell.outputs) outputs.push(await outputHtml(output, quality));
  const time = seconds === undefined ? "" : `<span class="time">${secondsText(seconds)}</span>`;
  return `<section class="cell${failed ? " failed" : ""}" id="cell-${number}">
<details class="code"${failed ? " open" : ""}><summary><span class="label">Code</span> <span class="excerpt">${
    escapeHtml(excerpt(cell.source, 90))
  }</span>${time}</summary>
<pre class="source"><code>${highlightCode(cell.source, "typescript")}</code></pre></details>
${outputs.filter(Boolean).join("\n")}
</section>`;
}

function secondsText(seconds: number): string {
  return seconds < 10
    ? `${seconds.toFixed(1)}\u00a0s`
    : seconds < 60
    ? `${Math.round(seconds)}\u00a0s`
    : clock(seconds);
}

function headerHtml(title: string, input: ReportInput, figures: readonly KeyFigure[]): string {
  const { provenance: from, failure } = input;
  const facts: readonly (readonly [string, string])[] = [
    ["Profile", from.profile],
    ["Seed", String(from.seed)],
    ["Duration", secondsText(input.seconds)],
    ["Commit", from.commit ?? "not known"],
    ["Machine", from.machine],
    ["Versions", `Pokédex ${from.versions.library}, Deno ${from.versions.deno}`],
    ["Made", from.date],
  ];
  const packages = Object.entries(from.versions.packages).map(([name, version]) => `${name}\u00a0${version}`);
  const failed = failure
    ? `<p class="failure" role="alert"><strong>${
      failure.cell ? `<a href="#cell-${failure.cell}">Cell ${failure.cell}</a> failed.` : "The notebook did not start."
    }</strong> ${escapeHtml(failure.cause.replace(/[.;:]$/, ""))}. The cells below it did not run.</p>`
    : "";
  return `<header>
<p class="eyebrow">Pokédex · ${escapeHtml(input.name)}</p>
<h1>${escapeHtml(title)}</h1>
${failed}
<dl class="facts">${
    facts.map(([name, value]) => `<div><dt>${name}</dt><dd>${escapeHtml(value)}</dd></div>`).join("")
  }</dl>
<details class="packages"><summary>${packages.length} packages</summary><p>${
    escapeHtml(packages.join(", "))
  }</p></details>
${figures.length ? `<div class="key-figures">${figures.map(keyFigureHtml).join("")}</div>` : ""}
</header>`;
}

function contentsHtml(headings: readonly Heading[]): string {
  const shown = headings.filter((heading) => heading.level <= 3);
  const items = shown.map(({ level, id, text }) =>
    `<li class="level-${level}"><a href="#${escapeHtml(id)}">${escapeHtml(text)}</a></li>`
  );
  return items.length
    ? `<details class="contents" open><summary>Contents</summary><ol>${items.join("")}</ol></details>`
    : "";
}

/** What `page` puts together. */
export interface Page {
  readonly title: string;
  readonly header: string;
  readonly contents: string;
  readonly body: string;
  /** Whether the page draws plots. */
  readonly plotly: boolean;
  /** Where the link in the bar leads; by default to the index. */
  readonly home?: boolean;
}

/** A whole page. Only the scripts named by their hash in its policy run, and nothing is loaded from anywhere. */
export async function page({ title, header, contents, body, plotly, home = true }: Page): Promise<string> {
  const [style, early, hover, behaviour] = await Promise.all(
    ["report.css", "theme.js", "hover.js", "report.js"].map(asset),
  );
  const late = `${hover}${behaviour}`;
  const library = plotly ? await plotlySource() : "";
  const hashes = [early!, late, ...(plotly ? [library] : [])].map((script) =>
    `'sha256-${createHash("sha256").update(script).digest("base64")}'`
  );
  const policy =
    `default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; font-src data:; base-uri 'none'; ` +
    `form-action 'none'; script-src ${hashes.join(" ")}`;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
<script>${early}</script>
</head>
<body>
<nav class="bar" aria-label="Report">${
    home ? `<a href="index.html">All reports</a>` : "<span></span>"
  }<span class="tools">${
    home ? `<button type="button" id="toggle-code" hidden>Show code</button>` : ""
  }<button type="button" id="toggle-theme" hidden>Dark</button></span></nav>
<div class="layout${contents ? "" : " wide"}">
${contents ? `<aside>${contents}</aside>` : ""}
<main>
${header}
${body}
</main>
</div>
${plotly ? `<script type="text/plain" id="plotly">${library}</script>` : ""}
<script>${late}</script>
</body>
</html>
`;
}

/** Plotly's own file. It stands in the page as text and is run when the first plot comes near the window. */
async function plotlySource(): Promise<string> {
  // the literal import makes Deno fetch the package; its files then lie beside package.json
  await import("plotly.js-cartesian-dist-min/package.json", { with: { type: "json" } });
  const path = fileURLToPath(import.meta.resolve("plotly.js-cartesian-dist-min/plotly-cartesian.min.js"));
  const source = await Deno.readTextFile(path);
  if (/<\/script|<!--/i.test(source)) {
    throw new WorkError(`${path}: expected a script that can stand in a page, found "</script" or "<!--" in it`);
  }
  return source;
}
