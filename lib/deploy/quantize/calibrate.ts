/** Ranges of activations: the float32 graph runs on pictures, and each value that will be quantized is looked at. */

import {
  abs,
  copyGraph,
  Graph,
  reduceMax,
  reduceMean,
  reduceMin,
  removeDead,
  type Tensor,
  toModel,
} from "../../onnx/mod.ts";
import { InputError, openSession, type ProgressListener, type Session, WorkError } from "../../runtime/mod.ts";
import { entropyRange, Histogram, percentileRange } from "./histogram.ts";
import type { Range } from "./numbers.ts";
import { layersOf, planQuantization, rangeOf } from "./plan.ts";
import { prepareForQuantization } from "./prepare.ts";

/** How a range is chosen from what was seen: all of it, most of it, or the nearest distribution. */
export const CALIBRATION_METHODS = ["minMax", "percentile", "entropy"] as const;

/** See `CALIBRATION_METHODS`. */
export type CalibrationMethod = typeof CALIBRATION_METHODS[number];

/** One batch of calibration: a tensor for each input of the graph. */
export type CalibrationBatch = Readonly<Record<string, Tensor>>;

/** Batches that can be gone through twice. */
export type CalibrationBatches =
  | readonly CalibrationBatch[]
  | (() => AsyncIterable<CalibrationBatch> | Iterable<CalibrationBatch>);

/** Settings of `calibrate`. */
export interface CalibrateOptions {
  /** Default: "percentile". */
  readonly method?: CalibrationMethod;
  /** Of "percentile": how much of the values, in %, a range holds. Default: 99.999. */
  readonly percentile?: number;
  /** Of "percentile": −t … t from the absolute values (then cut to what was seen), or as much left out on either side. Default: true. */
  readonly symmetric?: boolean;
  /** Bins of the histograms. Default: 2048; onnxruntime.quantization takes 128 for entropy, which leaves it no choice. */
  readonly bins?: number;
  /** Of "entropy": steps of the quantized distribution. Default: 128. */
  readonly levels?: number;
  /** Fewer pictures are refused. Default: 16. */
  readonly leastPictures?: number;
  readonly threads?: number | undefined;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What calibration found. */
export interface Calibration {
  readonly method: CalibrationMethod;
  /** Rows of the batches. */
  readonly pictures: number;
  /** By the value's name in the prepared graph. */
  readonly ranges: ReadonlyMap<string, Range>;
  /** Of what layers read: the mean of each channel. */
  readonly means: ReadonlyMap<string, Float64Array>;
}

/** Settings of the calibration that have defaults. */
type Chosen = Required<Pick<CalibrateOptions, "method" | "percentile" | "symmetric" | "bins" | "levels">>;

/**
 * Finds the range of every activation that `quantizeStatic` may quantize. The batches are gone through twice, except for minMax: first
 * for the extremes, then for histograms between them, so that memory holds the activations of one batch and the result does not
 * depend on the order. Throws InputError for missing, too few or all-black pictures, and for batches that do not fit the graph;
 * WorkError where an activation is not finite.
 */
export async function calibrate(
  source: Graph,
  batches: CalibrationBatches,
  options: CalibrateOptions = {},
): Promise<Calibration> {
  const { method = "percentile", percentile = 99.999, symmetric = true, bins = 2048, levels = 128 } = options;
  const chosen = { method, percentile, symmetric, bins, levels };
  if (!CALIBRATION_METHODS.includes(method)) {
    throw new InputError(`calibrate: expected a method of ${CALIBRATION_METHODS.join(", ")}, found "${method}"`);
  }
  if (!(percentile > 50 && percentile <= 100)) {
    throw new InputError(`calibrate: expected a percentile above 50, at most 100, found ${percentile}`);
  }
  const graph = await prepareForQuantization(source);
  const names = rangedValues(graph);
  const extremes = await findExtremes(graph, names, batches, options);
  expectPictures(graph, extremes, options.leastPictures ?? 16);
  const ranges = method === "minMax"
    ? extremes.ranges
    : await chooseRanges(graph, names, batches, extremes, chosen, options);
  return { method, pictures: extremes.pictures, ranges: withMoved(graph, ranges), means: extremes.means };
}

/** Names of the values that are looked at: all that may be quantized, whichever layers stay in float, but for moved elements. */
function rangedValues(graph: Graph): string[] {
  const { nodes, attached, sources } = planQuantization(graph);
  const names = new Set<string>();
  for (const node of [...nodes, ...attached.keys()]) {
    for (const value of [...node.inputs, ...node.outputs]) {
      if (!value?.type || value.dtype !== "float32" || value.tensor) continue;
      if (sources.get(value)?.includes(value) ?? true) names.add(value.name);
    }
  }
  if (names.size > 0) return [...names];
  throw new InputError(
    `calibrate: expected a convolution or matrix product with float32 weights in graph "${graph.name}", found none`,
  );
}

/** With the ranges of values that hold elements of others: those of what they share a scale with. */
function withMoved(graph: Graph, ranges: ReadonlyMap<string, Range>): Map<string, Range> {
  const all = new Map(ranges);
  for (const [value, sources] of planQuantization(graph).sources) {
    if (!all.has(value.name)) all.set(value.name, rangeOf(sources, ranges));
  }
  return all;
}

interface Extremes {
  readonly pictures: number;
  readonly ranges: ReadonlyMap<string, Range>;
  /** The smallest absolute value. */
  readonly nearest: ReadonlyMap<string, number>;
  readonly means: ReadonlyMap<string, Float64Array>;
}

async function findExtremes(
  graph: Graph,
  names: readonly string[],
  batches: CalibrationBatches,
  options: CalibrateOptions,
): Promise<Extremes> {
  const read = new Set(layersOf(graph).map(({ node }) => node.input(0).name));
  const probe = without(graph);
  for (const name of new Set([...names, ...read])) {
    const value = probe.value(name);
    // Channels are dimension 1 of maps, the last one of rows.
    const channels = value.rank > 2 ? 1 : value.rank - 1;
    const axes = value.shape.map((_, i) => i).filter((i) => i !== channels);
    if (read.has(name)) probe.output(axes.length > 0 ? reduceMean(value, { axes }) : value, `mean ${name}`);
    if (!names.includes(name)) continue;
    probe.output(reduceMin(value), `min ${name}`);
    probe.output(reduceMax(value), `max ${name}`);
    probe.output(reduceMin(abs(value)), `near ${name}`);
  }
  const ranges = new Map<string, Range>(), nearest = new Map<string, number>(), sums = new Map<string, Float64Array>();
  const pictures = await runOver(probe, batches, "calibrate, extremes", options, (found, rows) => {
    const first = (name: string) => (found[name]!.data as Float32Array)[0]!;
    for (const name of names) {
      const low = first(`min ${name}`), high = first(`max ${name}`), known = ranges.get(name);
      if (!Number.isFinite(low) || !Number.isFinite(high)) {
        throw new WorkError(`calibrate: expected finite numbers in "${name}", found ${low} … ${high}`);
      }
      ranges.set(name, { low: Math.min(low, known?.low ?? low), high: Math.max(high, known?.high ?? high) });
      nearest.set(name, Math.min(first(`near ${name}`), nearest.get(name) ?? Infinity));
    }
    for (const name of read) {
      const mean = found[`mean ${name}`]!.data as Float32Array;
      const sum = sums.get(name) ?? new Float64Array(mean.length);
      for (let c = 0; c < mean.length; c++) sum[c]! += mean[c]! * rows;
      sums.set(name, sum);
    }
  });
  const means = new Map([...sums].map(([name, sum]) => [name, sum.map((each) => each / pictures)]));
  return { pictures, ranges, nearest, means };
}

function expectPictures(graph: Graph, { pictures, ranges }: Extremes, least: number): void {
  if (pictures < least) {
    throw new InputError(`calibrate: expected at least ${least} pictures, found ${pictures || "none"}`);
  }
  for (const { name } of graph.inputs) {
    const range = ranges.get(name);
    if (!range || range.low !== range.high) continue;
    const what = range.low === 0 ? "black" : `the same everywhere (${range.low})`;
    throw new InputError(`calibrate: expected pictures with something in them, found ${pictures} that are all ${what}`);
  }
}

async function chooseRanges(
  graph: Graph,
  names: readonly string[],
  batches: CalibrationBatches,
  { ranges, nearest }: Extremes,
  { method, percentile, symmetric, bins, levels }: Chosen,
  options: CalibrateOptions,
): Promise<Map<string, Range>> {
  const absolute = method === "percentile" && symmetric;
  const histograms = new Map(names.map((name) => {
    const { low, high } = ranges.get(name)!, most = Math.max(-low, high);
    return [name, new Histogram({ low: absolute ? nearest.get(name)! : -most, high: most }, bins)];
  }));
  const probe = without(graph);
  for (const name of names) probe.output(probe.value(name), `seen ${name}`);
  await runOver(probe, batches, "calibrate, histograms", options, (found) => {
    for (const [name, histogram] of histograms) {
      histogram.add(found[`seen ${name}`]!.data as Float32Array, { absolute });
    }
  });
  return new Map(
    [...histograms].map(([name, histogram]) => {
      const extremes = ranges.get(name)!;
      return [
        name,
        method === "percentile"
          ? percentileRange(histogram, extremes, { percentile, symmetric })
          : entropyRange(histogram, extremes, levels),
      ];
    }),
  );
}

/** A copy without outputs. */
function without(graph: Graph): Graph {
  const copy = copyGraph(graph);
  for (const output of [...copy.outputs]) copy.removeOutput(output);
  return copy;
}

/** Runs a graph on all batches; returns how many pictures there were. */
async function runOver(
  probe: Graph,
  batches: CalibrationBatches,
  label: string,
  { threads, onProgress = () => {}, signal }: CalibrateOptions,
  take: (found: Readonly<Record<string, Tensor>>, rows: number) => void,
): Promise<number> {
  removeDead(probe, { parameters: true });
  // Not "all": the layouts of that level round otherwise on other processors.
  await using session: Session = await openSession(toModel(probe), { threads, optimization: "extended", name: label });
  let pictures = 0;
  for await (const batch of typeof batches === "function" ? batches() : batches) {
    signal?.throwIfAborted();
    const rows = Object.values(batch)[0]?.shape[0] ?? 0;
    if (rows === 0) continue;
    take(await session.run(batch), rows);
    pictures += rows;
    onProgress({ label, done: pictures, unit: "pictures" });
  }
  if (pictures > 0) return pictures;
  throw new InputError(`calibrate: expected batches of pictures, found none`);
}
