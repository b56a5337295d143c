/** A sweep's results as tables and figures. */

import type { SweepResult, VariantResult } from "../experiment/mod.ts";
import type { YamlValue } from "../runtime/mod.ts";
import type { ParallelChart } from "./chart.ts";
import { type Displayable, markdown } from "./display.ts";
import { Figure } from "./figure.ts";
import { figurePage } from "./figure_page.ts";
import { table, type TableValue } from "./table.ts";

/** One row a variant, the best first; shares in percent. Of several seeds the figures are means. */
export function sweepRows({ variants, monitor, method }: SweepResult): Record<string, TableValue>[] {
  const paths = pathsOf(variants), names = shortNames(paths);
  const other = monitor !== "top1";
  const several = variants.some(({ trainings }) => trainings > 1);
  const failures = variants.some(({ causes }) => causes.length > 0);
  return variants.map((variant, index) => ({
    place: variant.status === "done" ? index + 1 : undefined,
    ...(method === "ablation" ? { settings: variant.label } : {}),
    ...Object.fromEntries(paths.map((path) => [names.get(path)!, text(variant.parameters[path])])),
    epochs: variant.epochs,
    ...(other ? { [unitOf(monitor)]: percent(variant.value, monitor) } : {}),
    "top-1 %": percent(variant.top1),
    "95 %": between(variant.top1_ci95),
    pictures: variant.n,
    ...(several ? { seeds: variant.trainings, "of seeds": spread(variant, monitor) } : {}),
    ...(failures ? { failed: variant.causes[0] } : {}),
  }));
}

/** One row a switch: what it does to top-1, in points. */
export function differenceOfSwitchRows({ differences = [] }: SweepResult): Record<string, TableValue>[] {
  return differences.map(({ label, difference, ci95, p, paired, trainings }) => ({
    settings: label,
    "top-1, points": round(100 * difference, 1),
    "95 %": between(ci95),
    "McNemar's p": p === undefined ? "" : p < 1e-3 ? "< 0.001" : p.toFixed(3),
    seeds: trainings,
    pairs: paired ? "same pictures" : "other pictures",
  }));
}

/** The rows of `sweepRows` as a table. */
export function sweepTable(result: SweepResult): Displayable {
  return table(sweepRows(result), { caption: sweepCaption(result) });
}

/** The rows of `differenceOfSwitchRows` as a table. */
export function differenceTable(result: SweepResult): Displayable {
  return table(differenceOfSwitchRows(result), {
    caption:
      "Top-1 on validation with each switch alone, less that of the base; the interval is Newcombe's for pairs, " +
      "with several seeds the bootstrap's over pictures.",
  });
}

/** What the table says and what not. */
export function sweepCaption({ variants, monitor, state }: SweepResult): string {
  const tried = variants.filter(({ status }) => status === "done").length;
  return `${tried} settings, in order of ${monitor} on validation; the best of many is good by luck as well.` +
    (state === "interrupted" ? " The sweep is not finished." : "");
}

/**
 * Of an ablation the differences as bars with their intervals, else parallel coordinates: a line a variant across the settings,
 * coloured by the monitored figure. Without two variants that have it, a sentence.
 */
export function sweepFigure(result: SweepResult): Displayable {
  const { method, variants, monitor, differences = [], name } = result;
  if (method === "ablation") return differences.length > 0 ? differenceFigure(result) : nothing(name);
  const drawn = variants.filter(({ value }) => value !== undefined);
  if (drawn.length < 2) return nothing(name);
  const failed = variants.length - drawn.length;
  const title = `Sweep "${name}"`, unit = unitOf(monitor), paths = pathsOf(drawn), names = shortNames(paths);
  return Figure.parallel({
    title,
    caption: `A line a setting that was tried, coloured by ${monitor} on validation.` +
      (failed > 0 ? ` Not drawn: ${failed} that failed.` : ""),
    dimensions: [
      ...paths.map((path) => dimensionOf(names.get(path)!, drawn.map(({ parameters }) => parameters[path]))),
      ...(method === "halving" ? [{ title: "epochs", values: drawn.map(({ epochs }) => epochs) }] : []),
      { title: unit, values: drawn.map(({ value }) => percent(value, monitor)!) },
    ],
    labels: drawn.map((variant) => `${variant.label || name}: top-1 ${percent(variant.top1)} %`),
    colorBy: unit,
    height: 340,
  });
}

/** The tables and figures as a page that needs nothing else. */
export async function sweepPage(result: SweepResult): Promise<string> {
  const { differences = [], variants } = result;
  return await figurePage(`Sweep ${result.name}`, [
    ["Settings", variants.length > 0 ? [sweepTable(result)] : []],
    ["Differences", differences.length > 0 ? [differenceTable(result)] : []],
    ["Figure", [sweepFigure(result)]],
  ]);
}

function differenceFigure({ differences = [], name }: SweepResult): Figure {
  const sorted = differences.toSorted((a, b) => a.difference - b.difference);
  const points = (value: number) => round(100 * value, 2);
  return Figure.bar({
    title: `Ablation "${name}"`,
    caption:
      "What each switch alone does to top-1 on validation: to the left of 0 it costs; the lines are 95 % intervals.",
    x: { title: "difference of top-1 to the base", unit: "points" },
    y: { title: "" },
    horizontal: true,
    categories: sorted.map(({ label }) => label),
    series: [{
      name: "difference",
      values: sorted.map(({ difference }) => points(difference)),
      low: sorted.map(({ ci95 }) => points(ci95[0])),
      high: sorted.map(({ ci95 }) => points(ci95[1])),
    }],
  });
}

function nothing(name: string): Displayable {
  return markdown(`*Sweep "${name}": nothing to draw yet.*`);
}

/** An axis of numbers, logarithmic where they spread over more than a factor of twenty; of anything else one of names. */
function dimensionOf(title: string, values: readonly (YamlValue | undefined)[]): ParallelChart["dimensions"][number] {
  if (values.every((value) => typeof value === "number")) {
    const low = Math.min(...values), high = Math.max(...values);
    return { title, values, log: low > 0 && high / low > 20 };
  }
  const names = [...new Set(values.map(text))];
  return { title, values: values.map((value) => names.indexOf(text(value))), names };
}

function pathsOf(variants: readonly VariantResult[]): string[] {
  return [...new Set(variants.flatMap(({ parameters }) => Object.keys(parameters)))];
}

/** Of each path the end that no other has: "learningRate", "optimizer.name". */
function shortNames(paths: readonly string[]): Map<string, string> {
  return new Map(paths.map((path) => {
    const parts = path.split(".");
    const ends = parts.map((_, i) => parts.slice(parts.length - 1 - i).join("."));
    const isFree = (end: string) =>
      !paths.some((other) => other !== path && (other === end || other.endsWith(`.${end}`)));
    return [path, (parts.at(-1) === "name" ? ends.slice(1) : ends).find(isFree) ?? path];
  }));
}

function text(value: YamlValue | undefined): string {
  if (value === undefined) return "";
  if (typeof value === "number" && value !== 0 && Math.abs(value) < 1e-3) return value.toExponential();
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function unitOf(monitor: SweepResult["monitor"]): string {
  return monitor === "nll" ? "nll" : `${monitor} %`;
}

function percent(share: number | undefined, monitor: SweepResult["monitor"] = "top1"): number | undefined {
  return share === undefined ? undefined : monitor === "nll" ? round(share, 4) : round(100 * share, 1);
}

function between(interval: readonly [number, number] | undefined): string {
  return interval ? interval.map((end) => (100 * end).toFixed(1).replace("-", "−")).join("\u00a0…\u00a0") : "";
}

function spread({ lowest, highest }: VariantResult, monitor: SweepResult["monitor"]): string {
  return lowest === undefined ? "" : `${percent(lowest, monitor)} … ${percent(highest, monitor)}`;
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
