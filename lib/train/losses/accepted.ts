/** Which integers a graph input accepts: declared where the graph is written, checked in every batch that is fed. */

import type { Tensor, Value } from "../../onnx/mod.ts";
import { TrainError } from "../errors.ts";

/** Whole numbers from `low` to `high`, and one more where there is an `except`. */
export interface AcceptedIntegers {
  readonly low: number;
  readonly high: number;
  readonly except?: number | undefined;
}

const accepted = new WeakMap<Value, AcceptedIntegers>();

/**
 * Declares what a value of class ids may hold. Checked on the caller's batch where the value is a graph input: inside a
 * graph an id out of range gives a wrong loss in silence.
 */
export function acceptIntegers(value: Value, range: AcceptedIntegers): void {
  const known = accepted.get(value);
  const low = Math.max(range.low, known?.low ?? range.low), high = Math.min(range.high, known?.high ?? range.high);
  accepted.set(value, { low, high, except: range.except ?? known?.except });
}

/** What was declared for a value. */
export function acceptedIntegers(value: Value): AcceptedIntegers | undefined {
  return accepted.get(value);
}

/** Throws TrainError naming the input, the range, and the first element outside it with its place. */
export function checkIntegers(name: string, { data }: Tensor, { low, high, except }: AcceptedIntegers): void {
  for (let i = 0; i < data.length; i++) {
    const found = Number(data[i]);
    if ((found >= low && found <= high) || found === except) continue;
    const besides = except === undefined ? "" : ` or ${except}`;
    throw new TrainError(
      `batch: input "${name}": expected whole numbers in ${low} … ${high}${besides}, found ${found} at place ${i}`,
    );
  }
}
