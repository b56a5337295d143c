/** Bootstrap intervals: for statistics that have no formula. */

import { Random } from "../runtime/mod.ts";
import { EvaluateError } from "./errors.ts";
import { quantile } from "./quantile.ts";

export interface BootstrapOptions {
  readonly seed: number | string;
  /** Resamples; default 2,000. */
  readonly resamples?: number;
  /** Share that the interval covers; default 0.95. */
  readonly level?: number;
  /**
   * Pictures that belong together, as one key a picture (near-duplicate groups): whole groups are drawn then, for pictures
   * of a group tell less than so many independent ones.
   */
  readonly groups?: readonly unknown[];
}

/**
 * The percentile interval of a statistic of n pictures (Efron 1981): pictures are drawn with replacement, the statistic is
 * taken of their indices, and the interval's ends are quantiles of its values, linear between neighbours as NumPy's. The
 * same seed gives the same interval. Throws EvaluateError without pictures or when a value is not a number.
 */
export function bootstrapInterval(
  n: number,
  statistic: (pictures: Int32Array) => number,
  { seed, resamples = 2000, level = 0.95, groups }: BootstrapOptions,
): [low: number, high: number] {
  if (!Number.isInteger(n) || n < 1) throw new EvaluateError(`bootstrapInterval: expected pictures, found ${n}`);
  if (groups && groups.length !== n) {
    throw new EvaluateError(`bootstrapInterval: expected ${n} groups, one a picture, found ${groups.length}`);
  }
  const random = Random.seeded("bootstrap", seed);
  const members = groups && [...Map.groupBy(groups.keys(), (picture) => groups[picture]).values()];
  const values = Float64Array.from({ length: resamples }, () => {
    const drawn = members
      ? Int32Array.from(members.flatMap(() => members[random.int(members.length)]!))
      : Int32Array.from({ length: n }, () => random.int(n));
    const value = statistic(drawn);
    if (Number.isNaN(value)) throw new EvaluateError("bootstrapInterval: expected a number, found NaN");
    return value;
  }).sort();
  return [quantile(values, (1 - level) / 2), quantile(values, (1 + level) / 2)];
}
