/** How far the monitored figure may fall below its best before that is a collapse and no noise. */

/** Settings of `fallLimit`. */
export interface FallLimitOptions {
  readonly mode: "max" | "min";
  /** A figure below this share of the best has fallen; of a figure that should be low: one above the best by as much. */
  readonly share: number;
  /** In terms of noise: a fall counts only when it is so many times the usual fall from one validation to the next. */
  readonly deviations: number;
  /** A smaller fall never counts, in the figure's own unit. */
  readonly least: number;
}

/**
 * The lowest (mode "min": highest) figure that is no collapse: best − max((1 − share) · |best|, deviations · usual, least).
 * The usual fall is the third quartile of those between neighbours in `values`, a rise being a fall of 0: of figures with nothing
 * but noise that is about its standard deviation, of rising ones 0, and one collapse does not make falls usual. Together with
 * `deviations` it counts for at most nine tenths of the best, so that a fall to nothing is found whatever came before.
 */
export function fallLimit(
  values: readonly number[],
  best: number,
  { mode, share, deviations, least }: FallLimitOptions,
): number {
  const sign = mode === "max" ? 1 : -1;
  const falls = values.slice(1).map((value, i) => Math.max(0, sign * (values[i]! - value))).sort((a, b) => a - b);
  const usual = falls[Math.floor(0.75 * (falls.length - 1))] ?? 0;
  const size = Math.abs(best);
  return best - sign * Math.max((1 - share) * size, Math.min(deviations * usual, 0.9 * size), least);
}
