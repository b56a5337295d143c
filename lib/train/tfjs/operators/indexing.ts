/** Elements by their places. */

import type { Tensor } from "@tensorflow/tfjs";
import { withoutGradient } from "../gradient.ts";
import { defineTensorFlow, type OperatorContext } from "../operator.ts";

defineTensorFlow({
  Slice(context) {
    const { tf, node } = context;
    let x = context.input(0);
    const starts = context.numbers(1)!, ends = context.numbers(2)!, steps = context.numbers(4);
    const axes = context.numbers(3) ?? starts.map((_, i) => i);
    axes.forEach((given, i) => {
      const axis = node.axis(given, x.rank), size = x.shape[axis]!, step = steps?.[i] ?? 1;
      const from = (at: number) => at < 0 ? at + size : at;
      const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
      const start = Math.min(high, Math.max(step > 0 ? 0 : 0, from(starts[i]!)));
      const end = Math.min(high, Math.max(low, from(ends[i]!)));
      const count = Math.max(0, Math.ceil((end - start) / step));
      if (step === 1) {
        const begin = x.shape.map((_, at) => at === axis ? start : 0);
        x = tf.slice(x, begin, x.shape.map((length, at) => at === axis ? count : length));
      } else {
        // tf.stridedSlice has no gradient.
        const places = Array.from({ length: count }, (_, at) => start + at * step);
        x = tf.gather(x, tf.tensor1d(places, "int32"), axis);
      }
    });
    return x;
  },
  Gather(context) {
    const x = context.input(0), axis = context.axis();
    return context.tf.gather(x, wrapped(context, context.input(1), x.shape[axis]!), axis);
  },
  GatherElements(context) {
    const { tf } = context, x = context.input(0);
    return tf.gather(tf.reshape(x, [-1]), elementPlaces(context, x.shape, context.axis()));
  },
  ScatterElements(context) {
    const { tf, node } = context, x = context.input(0);
    const places = tf.reshape(elementPlaces(context, x.shape, context.axis()), [-1]) as ReturnType<typeof tf.tensor1d>;
    const added = (updates: Tensor) =>
      tf.reshape(tf.unsortedSegmentSum(tf.reshape(updates, [-1]), places, x.size), x.shape);
    const sum = added(context.input(2));
    const reduction = node.string("reduction", "none");
    if (reduction === "add") return tf.add(x, sum);
    if (reduction !== "none") throw context.lacks(`reduction ${reduction}`);
    const updates = context.input(2);
    const replaced = withoutGradient(
      tf,
      [updates],
      () => tf.cast(tf.greater(added(tf.onesLike(updates)), 0), x.dtype),
    );
    return tf.add(tf.mul(x, tf.sub(tf.onesLike(replaced), replaced)), sum);
  },
  OneHot(context) {
    const { tf, node } = context, indices = tf.cast(context.input(0), "int32"), depth = context.numbers(1)![0]!;
    const hot = tf.cast(
      tf.oneHot(wrapped(context, indices, depth) as ReturnType<typeof tf.tensor1d>, depth),
      "float32",
    );
    const [off, on] = context.numbers(2) as [number, number];
    const result = tf.cast(off === 0 && on === 1 ? hot : tf.add(tf.mul(hot, on - off), off), context.input(2).dtype);
    const axis = node.axis(node.int("axis", -1), result.rank);
    if (axis === result.rank - 1) return result;
    const order = Array.from({ length: indices.rank }, (_, i) => i);
    order.splice(axis, 0, result.rank - 1);
    return tf.transpose(result, order);
  },
  Trilu(context) {
    const { tf, node } = context, x = context.input(0), offset = context.numbers(1)?.[0] ?? 0;
    const [rows, columns] = x.shape.slice(-2) as [number, number];
    const upper = node.int("upper", 1) === 1;
    const kept = Array.from({ length: rows * columns }, (_, i) => {
      const distance = i % columns - Math.floor(i / columns);
      return (upper ? distance >= offset : distance <= offset) ? 1 : 0;
    });
    const mask = tf.broadcastTo(tf.tensor2d(kept, [rows, columns], "int32"), x.shape);
    return tf.where(tf.cast(mask, "bool"), x, tf.zerosLike(x));
  },
});

/** Indices with those below 0 counted from the end. */
function wrapped({ tf }: OperatorContext, indices: Tensor, size: number): Tensor {
  const places = tf.cast(indices, "int32");
  const negative = tf.logicalAnd(tf.less(places, 0), tf.greaterEqual(places, -size));
  return tf.add(places, tf.mul(tf.cast(negative, "int32"), tf.scalar(size, "int32")));
}

/** For each element of the second input the flat place in x that it names on one axis, in its own place on the others. */
function elementPlaces(context: OperatorContext, shape: readonly number[], axis: number): Tensor {
  const { tf } = context;
  const indices = wrapped(context, context.input(1), shape[axis]!);
  const stride = (at: number) => shape.slice(at + 1).reduce((a, b) => a * b, 1);
  return shape.reduce<Tensor>((places, _, at) => {
    if (at === axis) return places;
    const own = tf.mul(tf.range(0, indices.shape[at]!, 1, "int32"), tf.scalar(stride(at), "int32"));
    return tf.add(places, tf.reshape(own, shape.map((_, i) => i === at ? -1 : 1)));
  }, tf.mul(indices, tf.scalar(stride(axis), "int32")));
}
