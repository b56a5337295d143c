/** Values that TensorFlow.js is not to differentiate. */

import type { Tensor } from "@tensorflow/tfjs";
import type { TensorFlow } from "./backend.ts";

/**
 * What `compute` gives, with a gradient of 0 for each of the inputs. TensorFlow.js refuses the gradient of a function with a
 * comparison, a logical or another operator without a gradient on the way, where 0 is meant.
 */
export function withoutGradient(
  tf: TensorFlow,
  inputs: readonly (Tensor | undefined)[],
  compute: () => Tensor,
): Tensor {
  const given = inputs.filter((input) => input !== undefined);
  if (given.length === 0) return compute();
  // Truth values too: what they were compared from is a weight's.
  return tf.customGrad(() => ({ value: compute(), gradFunc: () => given.map(({ shape }) => tf.zeros(shape)) }))(
    ...given,
  );
}
