/** How a loss an element becomes the loss of a batch. */

import { reduceMean, reduceSum, type Value } from "../../onnx/mod.ts";

/** The mean of all elements, their sum, or every one by itself. */
export type Reduction = "mean" | "sum" | "none";

/** What every loss takes. */
export interface LossOptions {
  /** Default: "mean". */
  readonly reduction?: Reduction;
}

/** A scalar, or the losses as they are with "none". */
export function reduceLoss(losses: Value, reduction: Reduction = "mean"): Value {
  return reduction === "mean" ? reduceMean(losses) : reduction === "sum" ? reduceSum(losses) : losses;
}
