/** Shapes of TensorFlow.js tensors: broadcasting made explicit, axes moved. */

import type { Tensor } from "@tensorflow/tfjs";
import { broadcastShapes } from "../../onnx/mod.ts";
import type { OperatorContext } from "./operator.ts";
import type { TensorFlow } from "./backend.ts";

/**
 * The tensors in their common shape. Several of TensorFlow.js's gradients (minimum, maximum, where, matMul) do not undo
 * broadcasting; broadcastTo's own does.
 */
export function broadcastTogether({ tf, node }: OperatorContext, tensors: readonly Tensor[]): Tensor[] {
  const shape = broadcastShapes(...tensors.map((each) => each.shape)) as number[] | undefined;
  if (!shape) {
    throw node.fail(`expected shapes that broadcast, found ${tensors.map(({ shape }) => `[${shape}]`).join(", ")}`);
  }
  return tensors.map((each) => broadcast(tf, each, shape));
}

/** A tensor in a larger shape. */
export function broadcast(tf: TensorFlow, x: Tensor, shape: readonly number[]): Tensor {
  if (String(x.shape) === String(shape)) return x;
  if (x.dtype !== "bool") return tf.broadcastTo(x, [...shape]);
  return tf.cast(tf.broadcastTo(tf.cast(x, "int32"), [...shape]), "bool");
}

/** Parts along an axis. A single part is x itself: tf.split has no gradient for it. */
export function parts<T extends Tensor>(tf: TensorFlow, x: T, sizes: readonly number[], axis: number): T[] {
  return sizes.length === 1 ? [x] : tf.split(x, [...sizes], axis);
}

/** `compute` on the tensor with one axis moved to the end, and moved back. */
export function onLastAxis(tf: TensorFlow, x: Tensor, axis: number, compute: (x: Tensor) => Tensor): Tensor {
  if (axis === x.rank - 1) return compute(x);
  const order = x.shape.map((_, i) => i);
  [order[axis], order[x.rank - 1]] = [x.rank - 1, axis];
  return tf.transpose(compute(tf.transpose(x, order)), order);
}

/** A vector of channels in the shape [1, C, 1 …] of a tensor of some rank. */
export function alongChannels(tf: TensorFlow, vector: Tensor, rank: number): Tensor {
  return tf.reshape(vector, Array.from({ length: rank }, (_, i) => i === 1 ? -1 : 1));
}
