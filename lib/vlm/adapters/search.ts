/** The choice of settings by validation pictures. */

import type { Tensor } from "../../runtime/mod.ts";
import type { Settings, Trial } from "./adapter.ts";

/** Share of rows whose label has the largest score (of equal ones the first class), and the mean cross-entropy. */
export function judge(
  { shape, data }: Pick<Tensor<"float32">, "shape" | "data">,
  labels: Int32Array,
): Omit<Trial, "settings"> {
  const classes = shape[1]!;
  let right = 0, loss = 0;
  for (let row = 0; row < labels.length; row++) {
    const from = row * classes;
    let top = 0;
    for (let c = 1; c < classes; c++) if (data[from + c]! > data[from + top]!) top = c;
    const largest = data[from + top]!;
    let sum = 0;
    for (let c = 0; c < classes; c++) sum += Math.exp(data[from + c]! - largest);
    if (top === labels[row]) right++;
    loss += largest + Math.log(sum) - data[from + labels[row]!]!;
  }
  return { top1: right / labels.length, loss: loss / labels.length };
}

/** base + weight · extra, element by element, into `into`. */
export function mix(base: Float32Array, extra: Float32Array, weight: number, into: Float32Array): Float32Array {
  for (let i = 0; i < base.length; i++) into[i] = base[i]! + weight * extra[i]!;
  return into;
}

/** Tries base + weight · extra for all weights. */
export function tryWeights(
  base: Tensor<"float32">,
  extra: Tensor<"float32">,
  labels: Int32Array,
  weights: readonly number[],
  settingsOf: (weight: number) => Settings,
): Trial[] {
  const data = new Float32Array(base.data.length);
  return weights.map((weight) => ({
    settings: settingsOf(weight),
    ...judge({ shape: base.shape, data: mix(base.data, extra.data, weight, data) }, labels),
  }));
}

/** The trial with the highest top-1; of equal ones that with the least loss, then the first. */
export function bestTrial(trials: readonly Trial[]): Trial {
  return trials.reduce((best, trial) =>
    trial.top1 > best.top1 || (trial.top1 === best.top1 && trial.loss < best.loss) ? trial : best
  );
}
