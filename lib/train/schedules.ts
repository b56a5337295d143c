/** Learning rate schedules: pure functions of the step, counted from 0. */

import { TrainError } from "./errors.ts";

/** The learning rate at a step. After its last step a schedule keeps its last rate. */
export type Schedule = (step: number) => number;

/** The same rate always. */
export function constantRate(rate: number): Schedule {
  return () => rate;
}

/** A straight line from one rate at step 0 to another at step `steps`. */
export function linearRate({ from, to, steps }: { from: number; to: number; steps: number }): Schedule {
  expectSteps("linearRate", steps);
  return (step) => from * (1 - part(step, steps)) + to * part(step, steps);
}

/** Half a cosine from the peak at step 0 to the floor (default 0) at step `steps` (Loshchilov and Hutter 2017, SGDR, eq. 5). */
export function cosineRate({ peak, steps, floor = 0 }: { peak: number; steps: number; floor?: number }): Schedule {
  expectSteps("cosineRate", steps);
  return (step) => between(peak, floor, part(step, steps));
}

/** Multiplies the rate by `factor` (default 0.1) at each of the steps in `at`, or after every so many steps. */
export function stepRate(
  { rate, factor = 0.1, at }: { rate: number; factor?: number; at: readonly number[] | number },
): Schedule {
  if (typeof at === "number") {
    expectSteps("stepRate", at);
    return (step) => rate * factor ** Math.floor(step / at);
  }
  return (step) => rate * factor ** at.filter((milestone) => step >= milestone).length;
}

/** Settings of `oneCycle`. */
export interface OneCycleOptions {
  readonly peak: number;
  /** Steps of the whole cycle; the last one is `steps` − 1. */
  readonly steps: number;
  /** Part of the steps in which the rate rises. Default: 0.3. */
  readonly rise?: number;
  /** The first rate is the peak over this. Default: 25. */
  readonly startDivisor?: number;
  /** The last rate is the first over this. Default: 1e4. */
  readonly endDivisor?: number;
}

/** Up to the peak and down to almost nothing, both along cosines (Smith and Topin 2018; defaults and steps as PyTorch's OneCycleLR). */
export function oneCycle(
  { peak, steps, rise = 0.3, startDivisor = 25, endDivisor = 1e4 }: OneCycleOptions,
): Schedule {
  expectSteps("oneCycle", steps);
  if (!(rise > 0 && rise < 1)) throw new TrainError(`oneCycle: expected a rise between 0 and 1, found ${rise}`);
  const top = rise * steps - 1, last = steps - 1;
  const first = peak / startDivisor;
  return (step) => {
    if (step <= top) return between(first, peak, step / top);
    return between(peak, first / endDivisor, Math.min(1, (step - top) / Math.max(last - top, 1e-9)));
  };
}

/**
 * Rises in a straight line from `from` (default 0) times the schedule's first rate, reached by the schedule's own first step after
 * `steps` steps (Goyal et al. 2017, section 2.2): `warmUp(cosineRate({ peak: 0.1, steps: 900 }), { steps: 100 })`.
 */
export function warmUp(schedule: Schedule, { steps, from = 0 }: { steps: number; from?: number }): Schedule {
  if (!(Number.isInteger(steps) && steps >= 0)) {
    throw new TrainError(`warmUp: expected a whole number of steps from 0, found ${steps}`);
  }
  return (step) => step >= steps ? schedule(step - steps) : schedule(0) * (from + (1 - from) * (step / steps));
}

function part(step: number, steps: number): number {
  return Math.min(1, Math.max(0, step / steps));
}

/** From one rate to another along half a cosine. */
function between(from: number, to: number, part: number): number {
  return to + (from - to) * (1 + Math.cos(Math.PI * part)) / 2;
}

function expectSteps(place: string, steps: number): void {
  if (!(Number.isInteger(steps) && steps >= 1)) {
    throw new TrainError(`${place}: expected a whole number of steps from 1, found ${steps}`);
  }
}
