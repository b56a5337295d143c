/** Few-shot curves, and the table behind them. */

import type { FewShotPoint, FewShotTable } from "../vlm/mod.ts";
import { type Displayable, markdown } from "./display.ts";
import { Figure } from "./figure.ts";
import { table } from "./table.ts";

const percent = (share: number) => 100 * share;

/**
 * Top-1 on test against pictures a class, a line an adapter with the band over its seeds; "all" stands at the mean number of pictures of
 * a class. Zero-shot, which takes none, is a level line.
 */
export function fewShotFigure(
  { points }: Pick<FewShotTable, "points">,
  { classes, caption }: { readonly classes: number; readonly caption?: string },
): Displayable {
  const adapters = [...Map.groupBy(points, ({ adapter }) => adapter)];
  const place = ({ pictures }: FewShotPoint) => pictures / classes;
  const shown = points.filter(({ shots }) => shots !== 0).map(place);
  if (shown.length === 0) return markdown("No adapter has learned from pictures yet.");
  const ends = [Math.min(...shown), Math.max(...shown)];
  return Figure.line({
    title: "Few-shot adapters",
    caption: caption ?? "Bands: the lowest and the highest of the seeds. Settings were chosen on validation.",
    x: { title: "training pictures of a class, mean", log: true, range: [0.95 * ends[0]!, 1.05 * ends[1]!] },
    y: { title: "top-1 on test", unit: "%" },
    series: adapters.map(([name, own]) => {
      const sorted = own.toSorted((a, b) => a.pictures - b.pictures);
      // One that learns from no picture, or from all alone, is a level to compare with.
      const level = sorted.length === 1 ? [sorted[0]!, sorted[0]!] : sorted;
      return {
        name,
        x: sorted.length === 1 ? ends : sorted.map(place),
        y: level.map(({ top1 }) => percent(top1.mean)),
        low: level.map(({ top1 }) => percent(top1.low)),
        high: level.map(({ top1 }) => percent(top1.high)),
      };
    }),
  });
}

/** One row an adapter, one column a number of shots: mean top-1 ± deviation over seeds, in percent. */
export function fewShotTable({ points }: Pick<FewShotTable, "points">): Displayable {
  const shots = [...new Set(points.map(({ shots }) => shots))].sort((a, b) =>
    (a === "all" ? Infinity : a) - (b === "all" ? Infinity : b)
  );
  const text = ({ top1: { mean, deviation }, seeds, failed }: FewShotPoint) =>
    `${percent(mean).toFixed(1)}${seeds > 1 ? ` ± ${percent(deviation).toFixed(1)}` : ""}${
      failed > 0 ? ` (${failed} failed)` : ""
    }`;
  const rows = [...Map.groupBy(points, ({ adapter }) => adapter)].map(([adapter, own]) => ({
    adapter,
    ...Object.fromEntries(shots.map((count) => {
      const point = own.find((each) => each.shots === count);
      return [columnOf(count), point ? text(point) : ""];
    })),
  }));
  return table(rows, {
    caption:
      "Top-1 on test in percent, mean and deviation over the draws of training pictures; 0 shots is the text alone.",
  });
}

const columnOf = (shots: FewShotPoint["shots"]) => shots === "all" ? "all" : `${shots} shots`;
