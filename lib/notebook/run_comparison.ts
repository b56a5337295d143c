/** Runs beside each other as figures, tables and one self-contained page. */

import type { RunComparison, RunSeries, RunSummary } from "../track/mod.ts";
import { type Displayable, escapeHtml, jupyterDisplay } from "./display.ts";
import { Figure } from "./figure.ts";
import { outputHtml } from "./report_output.ts";
import { page } from "./report.ts";
import { table, type TableValue } from "./table.ts";

/** Overlaid curves: loss, each validation figure, learning rate. A curve that no run has is left out. */
export function runFigures({ loss, figures, learningRate }: RunComparison): Figure[] {
  return [
    ...curves("Training loss", "loss", loss, "Mean of the finite losses over stretches of steps."),
    ...Object.entries(figures).flatMap(([name, series]) =>
      curves(`Validation: ${name}`, name, series, "After the epochs that were validated.")
    ),
    ...curves("Learning rate", "learning rate", learningRate, "As it was applied."),
  ];
}

/** One row a run: how it ended and what it reached. */
export function runRows(runs: readonly RunSummary[]): Record<string, TableValue>[] {
  const figures = [...new Set(runs.flatMap((run) => Object.keys(run.figures)))];
  return runs.map((run) => ({
    run: run.id,
    state: run.state,
    started: run.started?.slice(0, 16).replace("T", " "),
    epochs: run.epochs,
    steps: run.steps,
    loss: run.loss,
    ...Object.fromEntries(figures.map((name) => [name, run.figures[name]])),
    checkpoints: run.checkpoints,
    MB: Math.round(run.bytes / 1e5) / 10,
  }));
}

/** One row a setting that differs, one column a run. */
export function differenceRows({ runs, differences }: RunComparison): Record<string, TableValue>[] {
  return Object.entries(differences).map(([setting, values]) => ({
    setting,
    ...Object.fromEntries(runs.map(({ id }, i) => {
      const value = values[i];
      return [id, typeof value === "object" && value !== null ? JSON.stringify(value) : value];
    })),
  }));
}

/** The page: HTML that needs nothing else. */
export async function comparisonPage(comparison: RunComparison): Promise<string> {
  const { runs } = comparison, different = differenceRows(comparison);
  const title = runs.length === 1 ? `Run ${runs[0]!.id}` : `${runs.length} runs compared`;
  const figures = runFigures(comparison);
  const sections: [heading: string, shown: readonly Displayable[]][] = [
    ["Results", [table(runRows(runs), { caption: "Figures are those of the best validation, else of the last." })]],
    ["Settings that differ", different.length ? [table(different)] : []],
    ["Curves", figures],
  ];
  const body: string[] = [];
  for (const [heading, shown] of sections) {
    if (shown.length === 0) continue;
    body.push(`<section class="markdown"><h2>${escapeHtml(heading)}</h2></section>`);
    for (const item of shown) body.push(`<section class="cell">${await shownHtml(item)}</section>`);
  }
  return await page({
    title,
    header: `<header><p class="eyebrow">Pokédex</p><h1>${escapeHtml(title)}</h1></header>`,
    contents: "",
    body: body.join("\n"),
    plotly: figures.length > 0,
    home: false,
  });
}

async function shownHtml(item: Displayable): Promise<string> {
  const data = await item[jupyterDisplay]();
  return await outputHtml({ output_type: "display_data", data, metadata: {} }, { quality: 88, maxWidth: 2000 });
}

function curves(title: string, y: string, series: readonly RunSeries[], caption: string): Figure[] {
  const drawn = series.filter(({ x }) => x.length > 0).map(({ run, x, y }) => ({ name: run, x, y }));
  if (drawn.length === 0) return [];
  return [Figure.line({ title, caption, x: { title: "step" }, y: { title: y }, series: drawn })];
}
