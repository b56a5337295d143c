/** Cross-entropy of independent yes-or-no answers, also focal. */

import { add, mul, pow, sigmoid, softplus, sub, type Value } from "../../onnx/mod.ts";
import { type LossOptions, reduceLoss } from "./reduction.ts";

/** Settings of `binaryCrossEntropyWithLogits`. */
export interface BinaryOptions extends LossOptions {
  /** Focal loss: what is already right counts (1 − p)^gamma. Default: 0, plain cross-entropy; usual: 2. */
  readonly gamma?: number;
  /** Weight of the positive answers, 1 − alpha of the negative ones. Default: none; usual with gamma 2: 0.25. */
  readonly alpha?: number;
}

/**
 * −t · log σ(x) − (1 − t) · log(1 − σ(x)) = softplus(x) − x · t, which neither overflows nor cancels; targets 0 … 1 in the
 * logits' shape. With gamma (Lin et al. 2017, "Focal Loss for Dense Object Detection", eq. 5) each is weighted by
 * (1 − p_t)^gamma, p_t the probability of the right answer.
 */
export function binaryCrossEntropyWithLogits(
  logits: Value,
  targets: Value,
  { reduction, gamma = 0, alpha }: BinaryOptions = {},
): Value {
  let losses = sub(softplus(logits), mul(logits, targets));
  if (gamma !== 0) {
    const p = sigmoid(logits);
    const wrong = sub(add(p, targets), mul(mul(p, targets), 2)); // 1 − p_t = p + t − 2pt
    losses = mul(losses, pow(wrong, gamma));
  }
  if (alpha !== undefined) losses = mul(losses, add(mul(targets, 2 * alpha - 1), 1 - alpha));
  return reduceLoss(losses, reduction);
}
