/** Quantiles of sorted numbers. */

/** The q-quantile, linear between neighbours as NumPy's, of at least one number in rising order. */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  const place = q * (sorted.length - 1), below = Math.floor(place);
  const low = sorted[below]!, high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (high - low) * (place - below);
}
