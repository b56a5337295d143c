/** The budgets of successive halving. */

/** A round of halving. */
export interface Rung {
  /** How many trials are in it. */
  readonly trials: number;
  /** The budget of each, whole epochs from the first on. */
  readonly epochs: number;
}

/**
 * The rounds of successive halving (Jamieson and Talwalkar 2016, figure 3, with the factor eta of Li et al. 2018, "Hyperband",
 * algorithm 1, lines 3 to 10): in round i of 0 … s, ⌊n · eta^−i⌋ of n trials train for R · eta^(i − s) epochs, R the largest
 * budget, and the best ⌊n · eta^−(i + 1)⌋ go on; so that all rounds cost about the same. s is the largest number for which no
 * budget is below the smallest and every round has a trial. Budgets are rounded to whole epochs.
 */
export function halvingRungs(
  { trials, eta, smallestEpochs, largestEpochs }: {
    readonly trials: number;
    readonly eta: number;
    readonly smallestEpochs: number;
    readonly largestEpochs: number;
  },
): Rung[] {
  let rounds = 0;
  while (eta ** (rounds + 1) <= trials && smallestEpochs * eta ** (rounds + 1) <= largestEpochs) rounds++;
  return Array.from({ length: rounds + 1 }, (_, i) => ({
    trials: Math.floor(trials / eta ** i),
    epochs: Math.round(largestEpochs / eta ** (rounds - i)),
  }));
}
