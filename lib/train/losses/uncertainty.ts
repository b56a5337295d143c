/** One loss from those of several tasks, weighted by what the tasks themselves tell of their noise. */

import { add, exp, mul, neg, reduceSum, slice, squeeze, type Value } from "../../onnx/mod.ts";
import { TrainError } from "../errors.ts";

/**
 * Σ exp(−sᵢ) · Lᵢ + sᵢ over scalar losses Lᵢ, with s [tasks] learned (Kendall, Gal and Cipolla 2018, "Multi-task learning using
 * uncertainty to weigh losses", equation 7 with sᵢ = log σᵢ², twice as large). For fixed losses it is least where sᵢ = log Lᵢ: a task
 * whose loss stays large counts less. Where all s are 0 it is the plain sum. Throws TrainError unless there is one s for each loss.
 */
export function uncertaintyWeighted(losses: readonly Value[], logVariances: Value): Value {
  if (losses.length === 0 || String(logVariances.shape) !== String([losses.length])) {
    throw new TrainError(
      `uncertaintyWeighted: expected a log-variance for each of ${losses.length} losses, found ${logVariances}`,
    );
  }
  const weighted = losses.map((loss, i) => {
    const own = squeeze(slice(logVariances, [i], [i + 1], { axes: [0] }), [0]);
    return mul(loss, exp(neg(own)));
  });
  return add(weighted.reduce((sum, each) => add(sum, each)), reduceSum(logVariances));
}
