/** Distances between numbers. */

import { abs, div, min, mul, sub, type Value } from "../../onnx/mod.ts";
import { TrainError } from "../errors.ts";
import { type LossOptions, reduceLoss } from "./reduction.ts";

/** (x − t)². */
export function meanSquaredError(predictions: Value, targets: Value, { reduction }: LossOptions = {}): Value {
  const difference = sub(predictions, targets);
  return reduceLoss(mul(difference, difference), reduction);
}

/**
 * d² / 2β for d = |x − t| below β (default 1), else d − β / 2 (Girshick 2015, "Fast R-CNN", eq. 3; β as in PyTorch).
 * Throws TrainError unless β is above 0.
 */
export function smoothL1(
  predictions: Value,
  targets: Value,
  { reduction, beta = 1 }: LossOptions & { beta?: number } = {},
): Value {
  if (!(beta > 0)) throw new TrainError(`smoothL1: expected a beta above 0, found ${beta}`);
  const distance = abs(sub(predictions, targets));
  const near = min([distance, beta]);
  // near · (d − near / 2) / β is both pieces at once.
  return reduceLoss(div(mul(near, sub(distance, mul(near, 0.5))), beta), reduction);
}
