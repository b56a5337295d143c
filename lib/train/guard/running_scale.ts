/** How large a value may be, by the values before it: median and median absolute deviation, which a few wild ones do not move. */

/** MAD times this is the standard deviation of a normal distribution (Rousseeuw and Croux 1993, section 1). */
const NORMAL = 1.4826;

/** The expectation that a window of values gives. */
export interface SpikeLimit {
  readonly median: number;
  /** A value above is a spike; Infinity where the values say nothing. */
  readonly limit: number;
}

/** Settings of `spikeLimit`. */
export interface SpikeLimitOptions {
  /** How many deviations above the median. */
  readonly deviations: number;
  /** The least deviation, as a share of the median. */
  readonly floor: number;
}

/** So many times the largest of positive values is a spike however far they spread, as they do while a loss falls by powers. */
const LEAP = 10;

/**
 * Positive values are taken by their logarithm: losses and gradient norms spread by factors, and the limit is
 * median · exp(deviations · σ) with σ = max(1.4826 · MAD of the logarithms, floor), or ten times the largest of them where that
 * is less. With a value of 0 or less among them it is median + deviations · max(1.4826 · MAD, floor · |median|).
 */
export function spikeLimit(values: readonly number[], { deviations, floor }: SpikeLimitOptions): SpikeLimit {
  if (values.length === 0) return { median: NaN, limit: Infinity };
  if (values.every((value) => value > 0)) {
    const logarithms = values.map(Math.log), middle = median(logarithms);
    const deviation = Math.max(robustDeviation(logarithms, middle), floor);
    const limit = Math.min(Math.exp(middle + deviations * deviation), LEAP * Math.max(...values));
    return { median: Math.exp(middle), limit };
  }
  const middle = median(values);
  const deviation = Math.max(robustDeviation(values, middle), floor * Math.abs(middle));
  return { median: middle, limit: deviation > 0 ? middle + deviations * deviation : Infinity };
}

/** The standard deviation of a normal distribution with this median absolute deviation from the middle. */
export function robustDeviation(values: readonly number[], middle: number): number {
  return NORMAL * median(values.map((value) => Math.abs(value - middle)));
}

/** The middle value, or the mean of the two in the middle, of at least one. */
export function median(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort(), half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}
