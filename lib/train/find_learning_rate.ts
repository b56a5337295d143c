/** Which learning rate to train with: the range test of rising rates. */

import type { Batch } from "./batch.ts";
import type { Step } from "./compile_step.ts";
import { TrainError } from "./errors.ts";

/** Settings of `findLearningRate`. */
export interface FindLearningRateOptions {
  /** Its state afterwards is what it was before. */
  readonly step: Step;
  /** Different batches, as a training takes them; with accumulation each in parts. Ends the test when there are no more. */
  readonly batches:
    | Iterable<Batch | readonly Batch[]>
    | AsyncIterable<Batch | readonly Batch[]>;
  /** The first and the last rate. Default: 1e-7 and 10. */
  readonly lowest?: number;
  readonly highest?: number;
  /** Steps from the first rate to the last. Default: 200. */
  readonly steps?: number;
  /** Of the moving average of the losses, 0: none. Default: 0.9, about the last ten steps. */
  readonly smoothing?: number;
  /** The loss has diverged when its average is so many times the lowest before. Default: 4. */
  readonly divergence?: number;
  /** Ends the test; what was found so far is returned. */
  readonly signal?: AbortSignal;
  readonly onStep?: (event: { step: number; rate: number; loss: number }) => void;
}

/** What the range test found; a value a step in each list. */
export interface LearningRateCurve {
  readonly rates: readonly number[];
  readonly losses: readonly number[];
  /** Moving average of the losses, corrected for its start (Kingma and Ba 2015, section 3). */
  readonly smoothed: readonly number[];
  /** The rate at which the loss diverged, or was not finite; undefined when it did not. */
  readonly diverged?: number;
  /** A tenth of that. */
  readonly tenth?: number;
  /** The rate at which the average falls fastest by the rate's logarithm, before its lowest; undefined when it never falls. */
  readonly steepest?: number;
}

/**
 * The range test (Smith 2017, "Cyclical Learning Rates", section 3.3; rising exponentially as is usual since fast.ai): trains with
 * a rate that rises from step to step until the loss diverges, then puts the step back as it was. For a loss of curvature L, SGD
 * without momentum diverges above 2 / L. Throws TrainError for rates or counts that cannot be, and without a batch.
 */
export async function findLearningRate(
  { step, batches, signal, onStep, ...options }: FindLearningRateOptions,
): Promise<LearningRateCurve> {
  const { lowest = 1e-7, highest = 10, steps = 200, smoothing = 0.9, divergence = 4 } = options;
  check({ lowest, highest, steps, smoothing, divergence });
  const state = await step.state();
  const rates: number[] = [], losses: number[] = [], smoothed: number[] = [];
  let average = 0, best = Infinity, diverged: number | undefined;
  try {
    for await (const batch of batches) {
      if (signal?.aborted) break;
      const at = rates.length, rate = lowest * (highest / lowest) ** (at / (steps - 1));
      const { loss, finite } = await step.run(batch, { learningRate: rate });
      if (!finite) {
        diverged = rate;
        break;
      }
      average = smoothing * average + (1 - smoothing) * loss;
      const value = average / (1 - smoothing ** (at + 1));
      rates.push(rate);
      losses.push(loss);
      smoothed.push(value);
      onStep?.({ step: at, rate, loss });
      if (value > divergence * best) {
        diverged = rate;
        break;
      }
      best = Math.min(best, value);
      if (rates.length === steps) break;
    }
  } finally {
    await step.load(state);
  }
  if (rates.length === 0 && diverged === undefined && !signal?.aborted) {
    throw new TrainError("findLearningRate: expected batches, found none");
  }
  const steepest = steepestRate(rates, smoothed);
  return {
    ...{ rates, losses, smoothed },
    ...(diverged === undefined ? {} : { diverged, tenth: diverged / 10 }),
    ...(steepest === undefined ? {} : { steepest }),
  };
}

/**
 * Where the curve falls fastest between its start and its lowest point; by central differences, for the steps are even in the
 * rate's logarithm. The first steps are left out: their average is of too few losses.
 */
function steepestRate(rates: readonly number[], smoothed: readonly number[]): number | undefined {
  let lowest = 0;
  for (const [i, value] of smoothed.entries()) if (value < smoothed[lowest]!) lowest = i;
  let slope = 0, found: number | undefined;
  for (let i = Math.min(10, Math.ceil(lowest / 4)) + 1; i < lowest; i++) {
    const here = smoothed[i + 1]! - smoothed[i - 1]!;
    if (here < slope) [slope, found] = [here, rates[i]];
  }
  return found;
}

function check(
  { lowest, highest, steps, smoothing, divergence }: Required<
    Pick<FindLearningRateOptions, "lowest" | "highest" | "steps" | "smoothing" | "divergence">
  >,
): void {
  const expect = (fine: boolean, what: string, found: number) => {
    if (!fine) throw new TrainError(`findLearningRate: expected ${what}, found ${found}`);
  };
  expect(lowest > 0 && Number.isFinite(lowest), "a lowest rate above 0", lowest);
  expect(highest > lowest && Number.isFinite(highest), `a highest rate above the lowest, ${lowest}`, highest);
  expect(Number.isInteger(steps) && steps >= 2, "a whole number of steps from 2", steps);
  expect(smoothing >= 0 && smoothing < 1, "a smoothing of 0 … 1, less than 1", smoothing);
  expect(divergence > 1, "a divergence above 1", divergence);
}
