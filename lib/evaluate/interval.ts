/** Confidence intervals of shares. */

/** The normal distribution's 97.5 % point: two-sided 95 %. */
const z95 = 1.959963984540054;

/**
 * Wilson's score interval of a share of successes (Wilson 1927; Newcombe 1998, method 3): honest also for small n and
 * shares near 0 and 1. Throws RangeError unless 0 ≤ successes ≤ n and n ≥ 1.
 */
export function wilsonInterval(successes: number, n: number, z = z95): [low: number, high: number] {
  if (!(n >= 1) || !(successes >= 0) || successes > n) {
    throw new RangeError(`wilsonInterval: expected 0 ≤ successes ≤ n and n ≥ 1, found ${successes} of ${n}`);
  }
  const p = successes / n, zz = z * z;
  const centre = (p + zz / (2 * n)) / (1 + zz / n);
  const half = z / (1 + zz / n) * Math.sqrt(p * (1 - p) / n + zz / (4 * n * n));
  return [successes === 0 ? 0 : Math.max(0, centre - half), successes === n ? 1 : Math.min(1, centre + half)];
}
