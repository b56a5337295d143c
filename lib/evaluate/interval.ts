/** Confidence intervals of shares and of the difference between two. */

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

/**
 * The interval of the difference p₁ − p₂ between the shares of two independent samples: Newcombe's hybrid of their Wilson
 * intervals (Newcombe 1998, "Interval estimation for the difference between independent proportions", method 10). For two
 * classifiers on the same pictures the samples are not independent; see `mcNemar`. Throws RangeError as `wilsonInterval`.
 */
export function newcombeInterval(
  first: { readonly correct: number; readonly n: number },
  second: { readonly correct: number; readonly n: number },
  z = z95,
): [low: number, high: number] {
  const [l1, u1] = wilsonInterval(first.correct, first.n, z), [l2, u2] = wilsonInterval(second.correct, second.n, z);
  const p1 = first.correct / first.n, p2 = second.correct / second.n;
  return [p1 - p2 - Math.hypot(p1 - l1, u2 - p2), p1 - p2 + Math.hypot(u1 - p1, p2 - l2)];
}
