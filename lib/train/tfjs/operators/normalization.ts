/** Normalisations and dropout. */

import type { Tensor } from "@tensorflow/tfjs";
import type { TensorFlow } from "../backend.ts";
import { defineTensorFlow, type OperatorContext } from "../operator.ts";
import { alongChannels } from "../shapes.ts";

defineTensorFlow({
  BatchNormalization(context) {
    const { tf, node } = context, x = context.input(0);
    const [scale, bias, mean, variance] = [1, 2, 3, 4].map((i) => context.input(i)) as [Tensor, Tensor, Tensor, Tensor];
    const epsilon = node.float("epsilon");
    if (node.int("training_mode", 0) === 0) return perChannel(context, mean, variance, scale, bias, epsilon);
    const axes = x.shape.map((_, i) => i).filter((axis) => axis !== 1);
    const batch = moments(tf, x, axes);
    const momentum = node.float("momentum");
    const blended = (old: Tensor, fresh: Tensor) =>
      tf.add(tf.mul(old, momentum), tf.mul(tf.reshape(fresh, [-1]), 1 - momentum));
    const y = normalised(
      context,
      batch.centred,
      batch.variance,
      alongChannels(tf, scale, x.rank),
      alongChannels(tf, bias, x.rank),
    );
    return [y, blended(mean, batch.mean), blended(variance, batch.variance)];
  },
  InstanceNormalization(context) {
    const { tf } = context, x = context.input(0);
    const { centred, variance } = moments(tf, x, x.shape.map((_, i) => i).slice(2));
    const [scale, bias] = [1, 2].map((i) => alongChannels(tf, context.input(i), x.rank));
    return normalised(context, centred, variance, scale!, bias!);
  },
  LayerNormalization(context) {
    const { tf } = context, x = context.input(0), axis = context.axis();
    const { mean, centred, variance } = moments(tf, x, x.shape.map((_, i) => i).slice(axis));
    const y = normalised(context, centred, variance, context.input(1), context.inputs[2]);
    return [y, mean, tf.rsqrt(tf.add(variance, context.node.float("epsilon")))];
  },
  GroupNormalization(context) {
    const { tf, node } = context, x = context.input(0), groups = node.int("num_groups");
    const split = tf.reshape(x, [x.shape[0]!, groups, -1]);
    const { centred, variance } = moments(tf, split, [2]);
    const plain = tf.reshape(tf.div(centred, tf.sqrt(tf.add(variance, node.float("epsilon")))), x.shape);
    const [scale, bias] = [1, 2].map((i) => alongChannels(tf, context.input(i), x.rank));
    return tf.add(tf.mul(plain, scale!), bias!);
  },
  LpNormalization(context) {
    const { tf, node } = context, x = context.input(0), axis = context.axis();
    const length = node.int("p") === 1 ? tf.sum(tf.abs(x), axis, true) : tf.sqrt(tf.sum(tf.square(x), axis, true));
    return tf.div(x, length);
  },
  /** As it is outside training; the step itself feeds the masks of training. */
  Dropout(context) {
    if (context.numbers(2)?.[0]) throw context.lacks("training_mode true");
    const x = context.input(0);
    return [x, context.tf.cast(context.tf.onesLike(x), "bool")];
  },
});

function perChannel(
  context: OperatorContext,
  mean: Tensor,
  variance: Tensor,
  scale: Tensor,
  bias: Tensor,
  epsilon: number,
) {
  const { tf } = context, x = context.input(0);
  const factor = tf.div(scale, tf.sqrt(tf.add(variance, epsilon)));
  const along = (vector: Tensor) => alongChannels(tf, vector, x.rank);
  return tf.add(tf.mul(tf.sub(x, along(mean)), along(factor)), along(bias));
}

/** The mean, what is left of x, and the population variance; the axes stay as 1. */
function moments(tf: TensorFlow, x: Tensor, axes: number[]) {
  const mean = tf.mean(x, axes, true), centred = tf.sub(x, mean);
  return { mean, centred, variance: tf.mean(tf.square(centred), axes, true) };
}

function normalised(
  { tf, node }: OperatorContext,
  centred: Tensor,
  variance: Tensor,
  scale: Tensor,
  bias?: Tensor,
): Tensor {
  const plain = tf.div(centred, tf.sqrt(tf.add(variance, node.float("epsilon"))));
  return bias ? tf.add(tf.mul(plain, scale), bias) : tf.mul(plain, scale);
}
