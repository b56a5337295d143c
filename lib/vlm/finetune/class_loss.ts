/** How well pictures are told from each other by their classes' texts. */

import { matMul, mul, type Operand, transpose, type Value } from "../../onnx/mod.ts";
import { crossEntropy, unitRows } from "../../train/mod.ts";

/**
 * Cross-entropy of the cosines of `images` [N, D] with `texts` [C, D] times the scale, over the classes (Zhou et al. 2022,
 * eq. 1): the loss, a scalar, and the logits [N, C]. `labels` [N] are rows of `texts`; C is a number.
 */
export function classLoss(images: Value, texts: Value, labels: Value, scale: Operand): { loss: Value; logits: Value } {
  const logits = mul(matMul(unitRows(images), transpose(unitRows(texts), [1, 0])), scale);
  return { loss: crossEntropy(logits, labels), logits };
}
