/** Parallel coordinates: every dimension scaled to 0 … 1, with the marks of its axis. Plotly's small bundle and Vega-Lite have none. */

import { type Axis, axisText, palette, type ParallelChart } from "./chart.ts";

/** One axis. */
export interface ParallelAxis {
  readonly name: string;
  /** Where marks stand, and what they say; from below. */
  readonly ticks: readonly { readonly at: number; readonly text: string }[];
}

/** One line. */
export interface ParallelLine {
  /** By axis; null where the item has no number. */
  readonly at: readonly (number | null)[];
  /** The value that colours it. */
  readonly color: number;
  /** Its name, and its value on every axis. */
  readonly texts: readonly string[];
}

/** What is drawn. */
export interface ParallelDrawing {
  readonly axes: readonly ParallelAxis[];
  /** Those with the largest colour value last, so that they lie above. */
  readonly lines: readonly ParallelLine[];
  /** The colour scale. */
  readonly color: Axis & { readonly range: readonly [low: number, high: number] };
}

/** From the smallest value to the largest; all three keep apart from white and from near-black. */
export const parallelColors = [palette[0], palette[3], palette[1]] as const;

/** Marks on an axis closer than this share of it would be written over each other. */
const CLOSEST = 0.055;

/** Scales the chart. A dimension of equal values runs through the middle. */
export function parallelDrawing({ dimensions, colorBy, labels }: ParallelChart): ParallelDrawing {
  const by = dimensions.find(({ title }) => title === colorBy) ?? dimensions.at(-1)!;
  const scaled = dimensions.map((dimension) => ({ ...scaleOf(dimension), dimension }));
  const items = by.values.map((_, item) => item).filter((item) => Number.isFinite(by.values[item]))
    .sort((a, b) => by.values[a]! - by.values[b]!);
  return {
    axes: scaled.map(({ dimension, ticks }) => ({ name: axisText(dimension), ticks })),
    lines: items.map((item) => ({
      at: scaled.map(({ dimension, place }) => {
        const at = place(dimension.values[item]!);
        return Number.isFinite(at) ? at : null;
      }),
      color: by.values[item]!,
      texts: scaled.map(({ dimension, text }) =>
        [...(labels ? [labels[item]!] : []), `${axisText(dimension)}: ${text(dimension.values[item]!)}`].join("\n")
      ),
    })),
    color: { ...by, range: by.range ?? extent(by.values) },
  };
}

function scaleOf({ values, names, log, range }: ParallelChart["dimensions"][number]) {
  const along = log ? Math.log10 : (value: number) => value;
  const [low, high] = (range ?? (names ? [0, names.length - 1] : extent(values))).map(along) as [number, number];
  const place = (value: number) => high === low ? 0.5 : (along(value) - low) / (high - low);
  const text = (value: number) => names ? names[value] ?? "" : numberText(value);
  const back = (at: number) => log ? 10 ** (low + at * (high - low)) : low + at * (high - low);
  const different = [...new Set(values.filter((value) => Number.isFinite(place(value))))].sort((a, b) => a - b);
  // few values are marked themselves; of many the ends, and between them powers of ten or even steps
  const marked = names
    ? names.map((_, i) => i)
    : different.length <= 8
    ? different
    : log
    ? [back(0), ...powersOfTen(low, high), back(1)]
    : [0, 0.25, 0.5, 0.75, 1].map(back);
  const ends = [marked[0]!, marked.at(-1)!];
  const ticks = [...ends, ...marked.slice(1, -1)].reduce<{ at: number; text: string }[]>((kept, value) => {
    const at = place(value);
    return kept.some((other) => Math.abs(other.at - at) < CLOSEST) ? kept : [...kept, { at, text: text(value) }];
  }, []);
  return { place, text, ticks: ticks.sort((a, b) => a.at - b.at) };
}

/** 10^n with low < n < high. */
function powersOfTen(low: number, high: number): number[] {
  const first = Math.floor(low) + 1;
  return Array.from({ length: Math.max(0, Math.ceil(high) - first) }, (_, i) => 10 ** (first + i));
}

function extent(values: readonly number[]): [low: number, high: number] {
  const finite = values.filter(Number.isFinite);
  return finite.length === 0 ? [0, 1] : [Math.min(...finite), Math.max(...finite)];
}

/** Three significant digits: "0.15", "5e-5". */
function numberText(value: number): string {
  const rounded = Number(value.toPrecision(3));
  const size = Math.abs(rounded);
  return size !== 0 && (size < 1e-3 || size >= 1e6) ? rounded.toExponential() : String(rounded);
}
