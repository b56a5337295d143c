/** Learning from another model's answers. */

import { logSoftmax, mul, reduceSum, softmax, sub, type Value } from "../../onnx/mod.ts";
import { stopGradient } from "../../autodiff/mod.ts";
import { TrainError } from "../errors.ts";
import { type LossOptions, reduceLoss } from "./reduction.ts";

/** Settings of `klDivergence`. */
export interface DivergenceOptions extends LossOptions {
  /** Softens both distributions. Default: 1. */
  readonly temperature?: number;
  /** The dimension of the classes. Default: 1. */
  readonly axis?: number;
}

/**
 * T² · KL(softmax(teacher / T) ‖ softmax(student / T)), one for each example before it is reduced; T² keeps the gradients'
 * size independent of T (Hinton et al. 2015, "Distilling the Knowledge", section 2). No gradient reaches the teacher.
 * Throws TrainError unless T is above 0.
 */
export function klDivergence(
  student: Value,
  teacher: Value,
  { reduction, temperature = 1, axis = 1 }: DivergenceOptions = {},
): Value {
  if (!(temperature > 0)) throw new TrainError(`klDivergence: expected a temperature above 0, found ${temperature}`);
  const at = axis < 0 ? axis + student.rank : axis;
  const soften = (logits: Value) => temperature === 1 ? logits : mul(logits, 1 / temperature);
  const fixed = soften(stopGradient(teacher));
  const terms = mul(
    softmax(fixed, { axis: at }),
    sub(logSoftmax(fixed, { axis: at }), logSoftmax(soften(student), { axis: at })),
  );
  const losses = mul(reduceSum(terms, { axes: at }), temperature ** 2);
  return reduceLoss(losses, reduction);
}
