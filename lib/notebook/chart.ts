/** Charts as plain data: what is shown, apart from how Plotly or a static picture draws it. */

import { InputError } from "../runtime/mod.ts";

/** An axis or a colour scale. */
export interface Axis {
  /** What is measured, e.g. "images of a species". */
  readonly title: string;
  /** Its unit, shown in brackets, e.g. "px"; counts may do without. */
  readonly unit?: string | undefined;
  /** Logarithmic, base 10: values ≤ 0 are not drawn. */
  readonly log?: boolean | undefined;
  /** The range shown; by default that of the values. */
  readonly range?: readonly [low: number, high: number] | undefined;
}

interface Common {
  readonly title: string;
  /** One sentence that says what to read from the chart. */
  readonly caption: string;
  readonly x: Axis;
  readonly y: Axis;
  /** Height of the plot in CSS pixels; by default fitting the content. */
  readonly height?: number | undefined;
}

/** One bar a category and series. */
export interface BarChart extends Common {
  readonly kind: "bar";
  readonly categories: readonly string[];
  /** `values[i]` belongs to `categories[i]`; `low` and `high` are ends of an error bar. */
  readonly series: readonly {
    readonly name: string;
    readonly values: readonly number[];
    readonly low?: readonly number[] | undefined;
    readonly high?: readonly number[] | undefined;
  }[];
  /** Bars grow to the right and the categories stand on the y axis: for long names. */
  readonly horizontal?: boolean | undefined;
  readonly stacked?: boolean | undefined;
}

/** Lines, each with an optional interval band. */
export interface LineChart extends Common {
  readonly kind: "line";
  readonly series: readonly {
    readonly name: string;
    readonly x: readonly number[];
    readonly y: readonly number[];
    readonly low?: readonly number[] | undefined;
    readonly high?: readonly number[] | undefined;
  }[];
}

/** Points; `labels` and `pictures` are shown when one is pointed at. */
export interface ScatterChart extends Common {
  readonly kind: "scatter";
  readonly series: readonly {
    readonly name: string;
    readonly x: readonly number[];
    readonly y: readonly number[];
    readonly labels?: readonly string[] | undefined;
    /** Data URIs of small pictures, in reports and hosted notebooks; an editor shows the labels alone. */
    readonly pictures?: readonly string[] | undefined;
  }[];
}

/** Counts of values in bins of equal width; all series share the bins. */
export interface HistogramChart extends Common {
  readonly kind: "histogram";
  readonly series: readonly { readonly name: string; readonly values: readonly number[] }[];
  /** Number of bins; by default 30, or one a whole number where few whole numbers occur. */
  readonly bins?: number | undefined;
}

/** Quartiles in a box, the median in it, whiskers at the 5th and 95th percentile. */
export interface BoxChart extends Common {
  readonly kind: "box";
  readonly groups: readonly { readonly name: string; readonly values: readonly number[] }[];
}

/** A colour a cell: `values[row][column]`, rows from the top; NaN is left empty. */
export interface HeatmapChart extends Common {
  readonly kind: "heatmap";
  readonly columns: readonly string[];
  readonly rows: readonly string[];
  readonly values: readonly (readonly number[])[];
  readonly color: Axis;
}

/** One line an item across several axes, each with its own scale: for sweeps. */
export interface ParallelChart {
  readonly kind: "parallel";
  readonly title: string;
  readonly caption: string;
  /** `values[i]` belongs to item i; it is left out of the axis where it is no number. With `names` it is an index of these. */
  readonly dimensions: readonly (Axis & {
    readonly values: readonly number[];
    readonly names?: readonly string[] | undefined;
  })[];
  /** What items are called, shown when one is pointed at. */
  readonly labels?: readonly string[] | undefined;
  /** What colours the lines: the name of a dimension; by default the last. */
  readonly colorBy?: string | undefined;
  readonly height?: number | undefined;
}

export type Chart = BarChart | LineChart | ScatterChart | HistogramChart | BoxChart | HeatmapChart | ParallelChart;

/** Series colours that keep apart on white and on near-black, also for most colour-blind readers. */
export const palette = [
  "#3f74d8",
  "#e0782f",
  "#2a9d72",
  "#c2489b",
  "#8b6bd6",
  "#b58a1f",
  "#3f9fc4",
  "#d24b5a",
] as const;

/** The colour of series `index`. */
export function seriesColor(index: number): string {
  return palette[index % palette.length]!;
}

/** "title (unit)". */
export function axisText(axis: Axis): string {
  return axis.unit ? `${axis.title} (${axis.unit})` : axis.title;
}

/** Throws InputError naming the chart where lengths disagree or nothing is there to draw. */
export function checkChart(chart: Chart): void {
  const fail = (expected: string, found: string | number) => {
    throw new InputError(`chart "${chart.title}": expected ${expected}, found ${found}`);
  };
  const same = (what: string, length: number, expected: number) => {
    if (length !== expected) fail(`${expected} ${what}`, length);
  };
  if (!chart.title.trim()) fail("a title", "none");
  if (!chart.caption.trim()) fail("a caption", "none");
  switch (chart.kind) {
    case "bar":
      if (!chart.series.length) fail("at least one series", "none");
      for (const one of chart.series) {
        same(`values in series "${one.name}"`, one.values.length, chart.categories.length);
        for (const end of [one.low, one.high]) if (end) same("ends of error bars", end.length, one.values.length);
      }
      break;
    case "line":
      if (!chart.series.length) fail("at least one series", "none");
      for (const one of chart.series) {
        same(`y values in series "${one.name}"`, one.y.length, one.x.length);
        for (const end of [one.low, one.high]) if (end) same("ends of the interval", end.length, one.x.length);
      }
      break;
    case "scatter":
      if (!chart.series.length) fail("at least one series", "none");
      for (const one of chart.series) {
        same(`y values in series "${one.name}"`, one.y.length, one.x.length);
        if (one.labels) same("labels", one.labels.length, one.x.length);
        if (one.pictures) same("pictures", one.pictures.length, one.x.length);
      }
      break;
    case "histogram":
      if (!chart.series.some((one) => one.values.length)) fail("at least one value", "none");
      break;
    case "box":
      if (!chart.groups.length) fail("at least one group", "none");
      for (const group of chart.groups) if (!group.values.length) fail(`values in group "${group.name}"`, "none");
      break;
    case "heatmap":
      same("rows", chart.values.length, chart.rows.length);
      for (const row of chart.values) same("columns", row.length, chart.columns.length);
      break;
    case "parallel":
      if (chart.dimensions.length < 2) fail("at least two dimensions", chart.dimensions.length);
      for (const one of chart.dimensions) {
        same(`values of "${one.title}"`, one.values.length, chart.dimensions[0]!.values.length);
      }
      if (chart.labels) same("labels", chart.labels.length, chart.dimensions[0]!.values.length);
  }
}

/** Bins shared by all series of a histogram. */
export interface Bins {
  /** Left edges and, at the end, the last right edge. */
  readonly edges: readonly number[];
  /** `counts[series][bin]`. */
  readonly counts: readonly (readonly number[])[];
}

/** Counts a histogram's values; a value on the last edge belongs to the last bin. Values that are no numbers are left out. */
export function histogramBins(chart: HistogramChart): Bins {
  const all = chart.series.flatMap((one) => one.values.filter(Number.isFinite));
  let low = Infinity, high = -Infinity;
  for (const value of all) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (!all.length) [low, high] = [0, 1];
  const whole = all.every(Number.isInteger);
  let count = chart.bins ?? 30;
  if (chart.bins === undefined && whole && high - low < 60) {
    [low, high, count] = [low - 0.5, high + 0.5, high - low + 1];
  } else if (high === low) [low, high, count] = [low - 0.5, high + 0.5, 1];
  const width = (high - low) / count;
  const edges = Array.from({ length: count + 1 }, (_, i) => i === count ? high : low + i * width);
  const counts = chart.series.map((one) => {
    const bins = new Array<number>(count).fill(0);
    for (const value of one.values) {
      if (Number.isFinite(value)) bins[Math.min(count - 1, Math.floor((value - low) / width))]!++;
    }
    return bins;
  });
  return { edges, counts };
}

/** The quantile of unsorted values by linear interpolation (type 7 of Hyndman and Fan 1996, R's and NumPy's default). */
export function quantile(values: readonly number[], p: number): number {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (!sorted.length) return NaN;
  const at = p * (sorted.length - 1);
  const below = sorted[Math.floor(at)]!;
  const above = sorted[Math.ceil(at)]!;
  return below + (above - below) * (at - Math.floor(at));
}
