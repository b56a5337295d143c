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
 * classifiers on the same pictures the samples are not independent; see `newcombePairedInterval`. Throws RangeError as `wilsonInterval`.
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

/** The four counts of two classifiers on the same pictures. */
export interface PairedCounts {
  /** Pictures that both, only the first, only the second, neither gets right. */
  readonly both: number;
  readonly onlyFirst: number;
  readonly onlySecond: number;
  readonly neither: number;
}

/**
 * The interval of the difference p₁ − p₂ between two shares of the same pictures: Newcombe's hybrid of their Wilson intervals
 * with the correlation of the pairs, corrected for continuity (Newcombe 1998, "Improved confidence intervals for the difference
 * between binomial proportions based on paired data", method 10). Throws RangeError for counts that are no whole numbers from 0,
 * and without a picture.
 */
export function newcombePairedInterval(
  { both, onlyFirst, onlySecond, neither }: PairedCounts,
  z = z95,
): [low: number, high: number] {
  const counts = [both, onlyFirst, onlySecond, neither];
  const n = counts.reduce((sum, count) => sum + count, 0);
  if (n === 0 || !counts.every((count) => Number.isInteger(count) && count >= 0)) {
    throw new RangeError(`newcombePairedInterval: expected counts of pictures, found ${counts.join(", ")}`);
  }
  const first = both + onlyFirst, second = both + onlySecond;
  const p1 = first / n, p2 = second / n;
  const [l1, u1] = wilsonInterval(first, n, z), [l2, u2] = wilsonInterval(second, n, z);
  const product = both * neither - onlyFirst * onlySecond;
  const corrected = product > 0 ? Math.max(0, product - n / 2) : product;
  const scale = Math.sqrt(first * (n - first) * second * (n - second));
  const phi = scale === 0 ? 0 : corrected / scale;
  const half = (a: number, b: number) => Math.sqrt(Math.max(0, a * a - 2 * phi * a * b + b * b));
  return [p1 - p2 - half(p1 - l1, u2 - p2), p1 - p2 + half(u1 - p1, p2 - l2)];
}
