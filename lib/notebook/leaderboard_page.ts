/** The leaderboard of `reports/index.html`: a ranking for each split, and what accuracy costs. */

import { escapeHtml } from "./display.ts";
import { ranked, rankingKey, type RecordedApproach, splitText } from "./leaderboard.ts";
import { paretoPicture } from "./pareto_picture.ts";
import type { Results } from "./results.ts";
import { formatValue } from "./table.ts";

/** A row with the notebook that gave it. */
interface Entry extends RecordedApproach {
  readonly notebook: string;
  readonly report: string;
  /** Of the run, where notebooks of several profiles stand side by side. */
  readonly profile: string;
}

/** What a column shows; one that no row has is left out. */
interface Column {
  readonly title: string;
  readonly text: (entry: Entry) => string | undefined;
}

const percent = (value: number) => (100 * value).toFixed(1);
const optional = (value: number | undefined, decimals: number, by = 1) =>
  value === undefined ? undefined : formatValue(value / by, decimals);

/** Columns of numbers behind the interval. */
const COLUMNS: readonly Column[] = [
  { title: "top-5 (%)", text: ({ top5 }) => optional(top5, 1, 0.01) },
  { title: "ECE (%)", text: ({ ece }) => optional(ece, 1, 0.01) },
  { title: "M weights", text: ({ parameters }) => optional(parameters, 2, 1e6) },
  { title: "MB", text: ({ bytes }) => optional(bytes, 2, 1e6) },
  { title: "ms", text: ({ latencyMs }) => optional(latencyMs, 1) },
  { title: "MFLOP", text: ({ operations }) => optional(operations, 0, 1e6) },
];

/**
 * A section with a table for every split that approaches were asked about, those with the most rows first, and below each the pictures of
 * accuracy against size and latency where at least two rows have these. Figures of different splits, parts of splits or numbers of
 * species are never in one table. An empty text where no notebook gave rows.
 */
export function leaderboardHtml({ notebooks }: Pick<Results, "notebooks">): string {
  const entries = Object.entries(notebooks).flatMap(([notebook, { approaches, report, profile }]) =>
    approaches.map((approach): Entry => ({ ...approach, notebook, report, profile }))
  );
  if (entries.length === 0) return "";
  const groups = [...Map.groupBy(entries, ({ split }) => rankingKey(split)).values()]
    .sort((a, b) => b.length - a.length || b[0]!.split.n - a[0]!.split.n);
  return `<section class="leaderboard"><h2 id="leaderboard">Leaderboard</h2><p>Ranked by top-1 within a split: only ` +
    `figures of the same pictures and species stand in one table. Bars are 95&nbsp;% intervals; where two overlap, ` +
    `these pictures do not say which approach is better. MB: all files that are needed; ms: one picture; MFLOP: products and ` +
    `sums of one picture.</p>${groups.map(groupHtml).join("\n")}</section>`;
}

function groupHtml(group: readonly Entry[]): string {
  const rows = ranked(group), { split } = rows[0]!;
  const columns = COLUMNS.filter(({ text }) => rows.some((row) => text(row) !== undefined));
  const [low, high] = rangeOf(rows);
  const body = rows.map((row, i) =>
    `<tr><td class="number">${i + 1}</td><th scope="row">${escapeHtml(row.name)}</th><td class="number">${
      percent(row.top1)
    }<span class="ci">${row.top1_ci95.map(percent).join("\u2009…\u2009")}</span></td><td>${
      intervalBar(row, low, high)
    }</td><td>${escapeHtml(row.family)}</td>${
      columns.map(({ text }) => `<td class="number">${escapeHtml(text(row) ?? "")}</td>`).join("")
    }<td><a href="${escapeHtml(encodeURI(row.report))}" title="${escapeHtml(row.notebook)}">${
      escapeHtml(row.notebook.split("_")[0]!)
    }</a></td></tr>`
  );
  const heads = columns.map(({ title }) => `<th scope="col" class="number">${title}</th>`).join("");
  const pictures = [
    paretoPicture(rows, { of: ({ bytes }) => bytes && bytes / 1e6, title: "Accuracy against size", unit: "MB" }),
    paretoPicture(rows, { of: ({ latencyMs }) => latencyMs, title: "Accuracy against latency", unit: "ms" }),
  ].join("");
  const profiles = [...new Set(rows.map(({ profile }) => profile))].map(escapeHtml).join(", ");
  return `<figure class="table"><h3>${
    escapeHtml(splitText(split))
  }</h3><div class="scroll" tabindex="0" role="region" ` +
    `aria-label="${escapeHtml(splitText(split))}"><table>` +
    `<thead><tr><th scope="col" class="number">#</th><th scope="col">approach</th>` +
    `<th scope="col" class="number">top-1 (%)</th><th scope="col"><span class="ends"><span>${
      formatValue(100 * low, 0)
    }` +
    `</span><span>${
      formatValue(100 * high, 0)
    }&nbsp;%</span></span></th><th scope="col">family</th>${heads}<th scope="col">notebook</th></tr></thead>` +
    `<tbody>${body.join("\n")}</tbody></table></div><figcaption>Profile ${profiles}; split ${
      split.hash.slice(0, 12)
    }.</figcaption></figure>${pictures ? `<div class="pareto">${pictures}</div>` : ""}`;
}

/** The axis of a group's bars: whole steps of 5 % around all intervals. */
function rangeOf(rows: readonly Entry[]): [low: number, high: number] {
  const step = 0.05;
  const low = Math.floor(Math.min(...rows.map(({ top1_ci95 }) => top1_ci95[0])) / step) * step;
  const high = Math.ceil(Math.max(...rows.map(({ top1_ci95 }) => top1_ci95[1])) / step - 1e-9) * step;
  return [Math.max(0, low), Math.min(1, Math.max(high, low + step))];
}

/** Width and height of a bar's picture, CSS pixels. */
const BAR = { width: 120, height: 16 };

function intervalBar({ top1, top1_ci95: ends }: RecordedApproach, low: number, high: number): string {
  const at = (value: number) => (4 + (BAR.width - 8) * (value - low) / (high - low)).toFixed(1);
  const [from, to] = ends.map(at) as [string, string], middle = BAR.height / 2;
  const label = `top-1 ${percent(top1)} %, 95 % interval ${ends.map(percent).join(" to ")} %`;
  return `<svg class="interval" width="${BAR.width}" height="${BAR.height}" role="img" aria-label="${label}">` +
    `<title>${label}</title><line class="axis" x1="4" x2="${BAR.width - 4}" y1="${middle}" y2="${middle}"/>` +
    `<line class="range" x1="${from}" x2="${to}" y1="${middle}" y2="${middle}"/>` +
    `<line class="value" x1="${at(top1)}" x2="${at(top1)}" y1="1" y2="${BAR.height - 1}"/></svg>`;
}
