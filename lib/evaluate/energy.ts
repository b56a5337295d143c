/** An estimate of a run's energy from its operations and the bytes that move. */

/**
 * Picojoules in a 45 nm process (Horowitz 2014, "Computing's energy problem", as Han et al. 2015, "Learning both weights and
 * connections", table 1, give them): a multiplication and an addition of 32-bit floats, a byte from DRAM, a byte from a cache.
 */
export const PICOJOULES = { multiplyAdd: 3.7 + 0.9, dramByte: 640 / 4, cacheByte: 5 / 4 } as const;

/** Millijoules of one run as if all weights came from DRAM and all activations from the cache. A proxy: it ranks, it does not measure. */
export function energyProxy(
  { macs, weights, activations }: {
    readonly macs: number;
    /** Bytes. */
    readonly weights: number;
    /** Bytes that operators read of each other and write. */
    readonly activations: number;
  },
): number {
  const { multiplyAdd, dramByte, cacheByte } = PICOJOULES;
  return (macs * multiplyAdd + weights * dramByte + activations * cacheByte) * 1e-9;
}
