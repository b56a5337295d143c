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
  /** Of how many pictures the figure is; undefined: of so many that chance explains nothing. */
  readonly pictures?: number | undefined;
}

/**
 * The lowest (mode "min": highest) figure that is no collapse: best − max((1 − share) · |best|, deviations · usual, least, chance).
 * The usual fall is the third quartile of those between neighbours in `values`, a rise being a fall of 0: of figures with nothing
 * but noise that is about its standard deviation, of rising ones 0, and one collapse does not make falls usual. Together with
 * `deviations` it counts for at most nine tenths of the best, so that a fall to nothing is found whatever came before; what chance explains of
 * few pictures counts in full.
 */
export function fallLimit(
  values: readonly number[],
  best: number,
  { mode, share, deviations, least, pictures }: FallLimitOptions,
): number {
  const sign = mode === "max" ? 1 : -1;
  const falls = values.slice(1).map((value, i) => Math.max(0, sign * (values[i]! - value))).sort((a, b) => a - b);
  const usual = falls[Math.floor(0.75 * (falls.length - 1))] ?? 0;
  const size = Math.abs(best);
  const chance = pictures === undefined ? 0 : chanceFall(best, { mode, deviations, pictures });
  return best - sign * Math.max((1 - share) * size, Math.min(deviations * usual, 0.9 * size), least, chance);
}

/**
 * How far a figure of n pictures falls by chance. Of shares of right pictures: as far as `deviations` is the statistic of the score
 * test of two shares p and q, (p − q) / √(2 m (1 − m) / n) with their mean m = (p + q) / 2 (Agresti 2013, "Categorical Data
 * Analysis", section 3.2), solved for q. A loss is the mean of n values that spread as far as they are large, as exponential ones.
 */
function chanceFall(
  best: number,
  { mode, deviations, pictures }: { mode: "max" | "min"; deviations: number; pictures: number },
): number {
  if (mode === "min") return deviations * Math.sqrt(2 / pictures) * Math.abs(best);
  if (best < 0 || best > 1) return 0; // no share
  const c = deviations ** 2 / (2 * pictures), tilt = c * (2 * best - 1);
  return (tilt + Math.sqrt(tilt ** 2 + 4 * (1 + c) * c * best * (1 - best))) / (1 + c);
}
