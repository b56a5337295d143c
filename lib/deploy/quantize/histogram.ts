/** Histograms of activations, and the ranges that percentile and entropy calibration choose from them. */

import { InputError } from "../../runtime/mod.ts";
import type { Range } from "./numbers.ts";

/**
 * Counts in bins of equal width from `low` to `high`; what lies outside is not counted. Edges and places are those of NumPy for
 * float32 (`numpy.histogram`), so that ranges equal those of onnxruntime.quantization.
 */
export class Histogram {
  readonly counts: Float64Array;
  /** One more than bins. */
  readonly edges: Float32Array;

  constructor({ low, high }: Range, bins: number) {
    if (!Number.isInteger(bins) || bins < 2) throw new InputError(`histogram: expected bins from 2, found ${bins}`);
    // NumPy widens a range without a width.
    const [from, to] = low === high ? [low - 0.5, high + 0.5] : [low, high];
    const first = Math.fround(from), last = Math.fround(to);
    const step = Math.fround(Math.fround(last - first) / bins);
    this.counts = new Float64Array(bins);
    this.edges = Float32Array.from({ length: bins + 1 }, (_, i) => Math.fround(i * step) + first);
    this.edges[bins] = last;
  }

  /** Counts elements, of absolute values with `absolute`. */
  add(elements: Float32Array, { absolute = false }: { readonly absolute?: boolean } = {}): void {
    const { counts, edges } = this, bins = counts.length;
    const first = edges[0]!, last = edges[bins]!, factor = bins / (last - first);
    for (let i = 0; i < elements.length; i++) {
      const x = absolute ? Math.abs(elements[i]!) : elements[i]!;
      if (!(x >= first && x <= last)) continue;
      // The edges decide: the place that is computed may be beside the right one.
      let bin = Math.min(bins - 1, (x - first) * factor | 0);
      if (x < edges[bin]!) bin--;
      else if (bin < bins - 1 && x >= edges[bin + 1]!) bin++;
      counts[bin]!++;
    }
  }
}

/**
 * The range that holds `percentile` % of what was counted, cut to the extremes. Of a histogram of absolute values (`symmetric`) it is
 * −t … t, else as much is left out on either side (onnxruntime.quantization, `compute_percentile`).
 */
export function percentileRange(
  { counts, edges }: Histogram,
  extremes: Range,
  { percentile, symmetric }: { readonly percentile: number; readonly symmetric: boolean },
): Range {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const firstFrom = (share: number) => {
    let reached = 0, bin = 0;
    for (; bin < counts.length; bin++) {
      reached += counts[bin]! / total;
      if (reached >= share) break;
    }
    return edges[bin]!;
  };
  const cut = (100 - percentile) / 200;
  const high = firstFrom(symmetric ? percentile / 100 : 1 - cut);
  const low = symmetric ? -high : firstFrom(cut);
  return { low: Math.max(low, extremes.low), high: Math.min(high, extremes.high) };
}

/**
 * The range −t … t, cut to the extremes, whose distribution in `levels` steps is nearest to that of the values by Kullback and
 * Leibler's divergence; what lies beyond t counts as t (Migacz 2017, "8-bit inference with TensorRT"; onnxruntime.quantization,
 * `get_entropy_threshold`, whose rounding to whole counts and smoothing are kept). The histogram is symmetric about 0. With as many
 * bins as levels there is one candidate: the whole range.
 */
export function entropyRange({ counts, edges }: Histogram, extremes: Range, levels: number): Range {
  const bins = counts.length, middle = Math.floor(bins / 2), half = Math.floor(levels / 2);
  if (half > middle) {
    throw new InputError(`entropy: expected at least as many bins as levels, found ${bins} bins, ${levels} levels`);
  }
  const before = new Float64Array(bins + 1); // sums of the counts before each bin
  for (let i = 0; i < bins; i++) before[i + 1] = before[i]! + counts[i]!;
  let best = { divergence: Infinity, start: middle - half, end: Math.min(middle + half + 1, bins) };
  for (let i = half; i <= middle; i++) {
    const start = middle - i, end = Math.min(middle + i + 1, bins), size = end - start;
    const inside = counts.subarray(start, end), reference = inside.slice();
    reference[0]! += before[start]!;
    reference[size - 1]! += before[bins]! - before[end]!;
    const candidate = new Float64Array(size), merged = Math.floor(size / levels);
    for (let level = 0; level < levels; level++) {
      const from = level * merged, to = from + merged;
      let count = before[start + to]! - before[start + from]!, filled = 0;
      if (level === levels - 1) count += before[end]! - before[start + levels * merged]!;
      for (let k = from; k < to; k++) if (reference[k] !== 0) filled++;
      if (filled > 0) candidate.fill(Math.trunc(count / filled), from, to);
    }
    const divergence = kullbackLeibler(smooth(reference), smooth(candidate));
    if (divergence < best.divergence) best = { divergence, start, end };
  }
  return { low: Math.max(edges[best.start]!, extremes.low), high: Math.min(edges[best.end]!, extremes.high) };
}

/** Every 0 becomes a small number, taken from what is not 0; undefined where all is 0. */
function smooth(counts: Float64Array): Float32Array | undefined {
  let zeros = 0;
  for (let i = 0; i < counts.length; i++) if (counts[i] === 0) zeros++;
  if (zeros === counts.length) return undefined;
  const taken = 0.0001 * zeros / (counts.length - zeros), smoothed = new Float32Array(counts.length);
  for (let i = 0; i < counts.length; i++) smoothed[i] = counts[i] === 0 ? 0.0001 : counts[i]! - taken;
  return smoothed;
}

function kullbackLeibler(p: Float32Array | undefined, q: Float32Array | undefined): number {
  if (!p || !q) return Infinity;
  let sumP = 0, sumQ = 0, divergence = 0;
  for (let i = 0; i < p.length; i++) {
    sumP += p[i]!;
    sumQ += q[i]!;
  }
  for (let i = 0; i < p.length; i++) divergence += p[i]! * Math.log(p[i]! * sumQ / (q[i]! * sumP));
  return divergence / sumP;
}
