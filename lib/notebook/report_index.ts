/** `reports/index.html`: the leaderboard of all approaches, and all reports with their key figures. */

import { escapeHtml } from "./display.ts";
import type { KeyFigure } from "./key_figure.ts";
import { leaderboardHtml } from "./leaderboard_page.ts";
import { clock } from "./progress.ts";
import { page } from "./report.ts";
import { keyFigureHtml } from "./report_output.ts";
import type { NotebookResult, Results } from "./results.ts";

/** Renders the index of all notebooks that results.json knows. */
export async function renderIndex(results: Results): Promise<string> {
  const cards = Object.entries(results.notebooks).map(([name, result]) => card(name, result));
  const facts = [["Machine", results.machine], ["Deno", results.versions.deno], [
    "Commit",
    results.commit ?? "not known",
  ]]
    .map(([name, value]) => `<div><dt>${name}</dt><dd>${escapeHtml(value!)}</dd></div>`).join("");
  return await page({
    title: "Pokédex: reports",
    header: `<header><p class="eyebrow">Pokédex</p><h1>Reports</h1><dl class="facts">${facts}</dl></header>`,
    contents: "",
    body: `${leaderboardHtml(results)}<div class="reports">${
      cards.join("\n") || "<p>No notebook has run yet.</p>"
    }</div>`,
    plotly: false,
    home: false,
  });
}

function card(name: string, result: NotebookResult): string {
  const { title, status, seconds, profile, seed, date, failure, figures } = result;
  const about = [name, `profile ${profile}`, `seed ${seed}`, `${clock(seconds)} min`, date].map(escapeHtml).join(" · ");
  const failed = status === "failed"
    ? `<p class="status-failed">Failed${failure?.cell ? ` in cell ${failure.cell}` : ""}: ${
      escapeHtml(failure?.cause ?? "")
    }</p>`
    : "";
  const shown = figures.length
    ? `<div class="key-figures">${figures.map((figure) => keyFigureHtml(figure as KeyFigure)).join("")}</div>`
    : "";
  return `<article class="report-card"><h2><a href="${escapeHtml(encodeURI(result.report))}">${
    escapeHtml(title)
  }</a></h2><p class="about">${about}</p>${failed}${shown}</article>`;
}
