/** Several runs beside each other: where their settings differ, what each reached, and their curves. */

import type { YamlValue } from "../runtime/mod.ts";
import { readRun, type Run } from "./read_run.ts";
import { type RunSummary, summarizeRun } from "./list_runs.ts";

/** One curve of one run. */
export interface RunSeries {
  readonly run: string;
  /** Steps. */
  readonly x: readonly number[];
  readonly y: readonly number[];
}

/** What is compared. */
export interface RunComparison {
  readonly runs: readonly RunSummary[];
  /** Settings that differ, by their path ("optimizer.momentum"): one value a run, undefined where it has none. */
  readonly differences: Readonly<Record<string, readonly (YamlValue | undefined)[]>>;
  /** Mean of the finite losses of each stretch of steps. */
  readonly loss: readonly RunSeries[];
  readonly learningRate: readonly RunSeries[];
  /** Validation figures by name; runs without the figure are absent. */
  readonly figures: Readonly<Record<string, readonly RunSeries[]>>;
}

/** Points of a curve at most; more steps are averaged in stretches. */
const POINTS = 400;

/** Reads and compares runs by their folders. Throws InputError for one that cannot be read. */
export async function compareRuns(folders: readonly string[]): Promise<RunComparison> {
  const runs = await Promise.all(folders.map(readRun));
  const names = [
    ...new Set(runs.flatMap(({ validations }) => validations.flatMap(({ figures }) => Object.keys(figures)))),
  ];
  return {
    runs: await Promise.all(folders.map(summarizeRun)),
    differences: differences(runs.map(({ start }) => start.config as YamlValue)),
    loss: runs.map((run) => curve(run, ({ finite, skipped, loss }) => finite && !skipped ? loss : NaN)),
    learningRate: runs.map((run) => curve(run, ({ learningRate }) => learningRate)),
    figures: Object.fromEntries(names.map((name) => [name, runs.flatMap((run) => figureCurve(run, name))])),
  };
}

function curve({ id, steps }: Run, value: (step: Run["steps"][number]) => number): RunSeries {
  const stretch = Math.max(1, Math.ceil(steps.length / POINTS));
  const x: number[] = [], y: number[] = [];
  for (let from = 0; from < steps.length; from += stretch) {
    const part = steps.slice(from, from + stretch);
    const values = part.map(value).filter(Number.isFinite);
    if (values.length === 0) continue;
    x.push(part.at(-1)!.step);
    y.push(values.reduce((sum, each) => sum + each, 0) / values.length);
  }
  return { run: id, x, y };
}

function figureCurve({ id, validations }: Run, name: string): RunSeries[] {
  const points = validations.filter(({ figures }) => Number.isFinite(figures[name]));
  if (points.length === 0) return [];
  return [{ run: id, x: points.map(({ step }) => step), y: points.map(({ figures }) => figures[name]!) }];
}

function differences(configs: readonly YamlValue[]): RunComparison["differences"] {
  const flat = configs.map((config) => new Map(leaves(config)));
  const paths = [...new Set(flat.flatMap((map) => [...map.keys()]))].sort();
  return Object.fromEntries(
    paths.map((path) => [path, flat.map((map) => map.get(path))] as const)
      .filter(([, values]) => new Set(values.map((value) => JSON.stringify(value))).size > 1),
  );
}

/** Settings by path; a list is one setting. */
function leaves(value: YamlValue | undefined, path = ""): [string, YamlValue][] {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return Object.entries(value).flatMap(([key, inner]) => leaves(inner, path === "" ? key : `${path}.${key}`));
  }
  return value === undefined ? [] : [[path, value]];
}
