/** Values that TensorFlow.js is not to differentiate. */

import type { Tensor } from "@tensorflow/tfjs";
import type { TensorFlow } from "./backend.ts";

/**
 * What `compute` gives, with a gradient of 0 for each of the floating-point inputs. TensorFlow.js refuses the gradient of a
 * function with a comparison or another operator without a gradient on the way, where 0 is meant.
 */
export function withoutGradient(
  tf: TensorFlow,
  inputs: readonly (Tensor | undefined)[],
  compute: () => Tensor,
): Tensor {
  const floats = inputs.filter((input) => input?.dtype === "float32") as Tensor[];
  if (floats.length === 0) return compute();
  return tf.customGrad(() => ({ value: compute(), gradFunc: () => floats.map((input) => tf.zerosLike(input)) }))(
    ...floats,
  );
}
