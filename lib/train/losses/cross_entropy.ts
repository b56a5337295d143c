/** Cross-entropy of classes, with class ids or distributions as targets. */

import {
  add,
  cast,
  div,
  equal,
  logSoftmax,
  max,
  mul,
  neg,
  not,
  reduceMean,
  reduceSum,
  unsqueeze,
  type Value,
} from "../../onnx/mod.ts";
import { TrainError } from "../errors.ts";
import { acceptIntegers } from "./accepted.ts";
import { type LossOptions, reduceLoss } from "./reduction.ts";

/** Settings of `crossEntropy`. */
export interface CrossEntropyOptions extends LossOptions {
  /** Part of the target that is spread evenly over all classes (Szegedy et al. 2016, section 7); 0 … 1, default 0. */
  readonly labelSmoothing?: number;
  /** Elements with this class id count for nothing, in the mean's divisor neither. Default: none. */
  readonly ignoreIndex?: number;
  /** The dimension of the classes. Default: 1. */
  readonly axis?: number;
}

/**
 * −Σ t · log softmax(logits) over the classes. `targets` are class ids (integers, logits' shape without the class axis) or
 * distributions (floats, logits' shape). The loss has one element for each target before it is reduced.
 * Throws TrainError when shapes, types or settings do not go together. Class ids out of range are refused when a batch is
 * fed. As PyTorch's `cross_entropy`.
 */
export function crossEntropy(
  logits: Value,
  targets: Value,
  { reduction, labelSmoothing = 0, ignoreIndex, axis = 1 }: CrossEntropyOptions = {},
): Value {
  const { graph } = logits;
  const at = axis < 0 ? axis + logits.rank : axis;
  const classes = logits.shape[at];
  if (typeof classes !== "number") {
    throw new TrainError(`crossEntropy: expected a fixed number of classes on axis ${axis} of ${logits}`);
  }
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
    throw new TrainError(`crossEntropy: expected labelSmoothing in 0 … 1, found ${labelSmoothing}`);
  }
  const logProbabilities = logSoftmax(logits, { axis: at });
  const ids = targets.dtype === "int64" || targets.dtype === "int32";
  if (targets.rank !== logits.rank - (ids ? 1 : 0) || (!ids && targets.dtype !== logits.dtype)) {
    throw new TrainError(
      `crossEntropy: expected class ids (int32 or int64) of ${logits.rank - 1} dimensions or ${logits.dtype} ` +
        `distributions of ${logits.rank}, found ${targets.dtype} ${targets}`,
    );
  }
  const spread = () => mul(reduceMean(logProbabilities, { axes: at }), labelSmoothing);
  if (!ids) {
    if (ignoreIndex !== undefined) throw new TrainError("crossEntropy: expected class ids for ignoreIndex");
    const exact = reduceSum(mul(targets, logProbabilities), { axes: at });
    const gained = labelSmoothing === 0 ? exact : add(mul(exact, 1 - labelSmoothing), spread());
    return reduceLoss(neg(gained), reduction);
  }
  acceptIntegers(targets, { low: 0, high: classes - 1, except: ignoreIndex });
  const shape = logits.shape.map((_, i) => i === at ? classes : 1);
  const everyId = graph.constant(Array.from({ length: classes }, (_, i) => i), { dtype: targets.dtype, shape });
  const chosen = cast(equal(unsqueeze(targets, [at]), everyId), logits.dtype);
  const exact = reduceSum(mul(chosen, logProbabilities), { axes: at });
  let losses = neg(labelSmoothing === 0 ? exact : add(mul(exact, 1 - labelSmoothing), spread()));
  if (ignoreIndex === undefined) return reduceLoss(losses, reduction);
  const ignored = graph.constant(ignoreIndex, { dtype: targets.dtype, shape: [] });
  const counts = cast(not(equal(targets, ignored)), logits.dtype);
  losses = mul(losses, counts);
  return reduction === undefined || reduction === "mean"
    ? div(reduceSum(losses), max([reduceSum(counts), 1]))
    : reduceLoss(losses, reduction);
}
