/** Runs beside each other as figures, tables and one self-contained page. */

import type { RunComparison, RunSeries, RunSummary } from "../track/mod.ts";
import { Figure } from "./figure.ts";
import { figurePage } from "./figure_page.ts";
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
  return await figurePage(title, [
    ["Results", [table(runRows(runs), { caption: "Figures are those of the best validation, else of the last." })]],
    ["Settings that differ", different.length ? [table(different)] : []],
    ["Curves", runFigures(comparison)],
  ]);
}

function curves(title: string, y: string, series: readonly RunSeries[], caption: string): Figure[] {
  const drawn = series.filter(({ x }) => x.length > 0).map(({ run, x, y }) => ({ name: run, x, y }));
  if (drawn.length === 0) return [];
  return [Figure.line({ title, caption, x: { title: "step" }, y: { title: y }, series: drawn })];
}
