/** Shapes and the order of elements. */

import type { Tensor } from "@tensorflow/tfjs";
import { broadcastShapes, permutation } from "../../../onnx/mod.ts";
import { toTensorFlow } from "../convert.ts";
import { defineTensorFlow, type OperatorContext } from "../operator.ts";
import { parts } from "../shapes.ts";

defineTensorFlow({
  Shape(context) {
    const { shape, rank } = context.input(0);
    const place = (name: string, fallback: number) => {
      const at = context.node.int(name, fallback);
      return Math.min(rank, Math.max(0, at < 0 ? at + rank : at));
    };
    return context.tf.tensor1d(shape.slice(place("start", 0), place("end", rank)), "int32");
  },
  Size: (context) => context.tf.scalar(context.input(0).size, "int32"),
  Constant({ tf, node }) {
    const attribute = node.attribute("value");
    if (attribute?.kind === "tensor") return toTensorFlow(tf, attribute.value);
    if (node.has("value_float")) return tf.scalar(node.float("value_float"), "float32");
    if (node.has("value_int")) return tf.scalar(node.int("value_int"), "int32");
    if (node.has("value_floats")) return tf.tensor1d([...node.floats("value_floats")], "float32");
    return tf.tensor1d([...node.ints("value_ints")], "int32");
  },
  ConstantOfShape(context) {
    const attribute = context.node.attribute("value");
    const value = attribute?.kind === "tensor" ? toTensorFlow(context.tf, attribute.value) : context.tf.scalar(0);
    return context.tf.mul(
      context.tf.ones(context.numbers(0)!, value.dtype as "float32"),
      context.tf.reshape(value, []),
    );
  },
  Range(context) {
    const [start, limit, delta] = [0, 1, 2].map((i) => context.numbers(i)![0]!);
    const empty = (limit! - start!) * delta! <= 0; // tf.range turns around instead
    return context.tf.range(start!, empty ? start! : limit!, delta, context.input(0).dtype as "float32");
  },
  Reshape(context) {
    const x = context.input(0), wanted = context.numbers(1)!;
    const keep = context.node.int("allowzero", 0) === 0;
    return context.tf.reshape(x, wanted.map((size, i) => size === 0 && keep ? x.shape[i]! : size));
  },
  Flatten(context) {
    const x = context.input(0), axis = context.node.int("axis");
    const head = x.shape.slice(0, axis < 0 ? axis + x.rank : axis).reduce((a, b) => a * b, 1);
    return context.tf.reshape(x, [head, x.size / head]);
  },
  Transpose: (context) => context.tf.transpose(context.input(0), [...permutation(context.node)]),
  Squeeze(context) {
    const x = context.input(0);
    const axes = context.numbers(1)?.map((axis) => context.node.axis(axis, x.rank));
    return context.tf.reshape(x, x.shape.filter((size, i) => axes ? !axes.includes(i) : size !== 1));
  },
  Unsqueeze(context) {
    const x = context.input(0), axes = context.numbers(1)!, rank = x.rank + axes.length;
    const added = new Set(axes.map((axis) => axis < 0 ? axis + rank : axis));
    const sizes = x.shape.values();
    return context.tf.reshape(x, Array.from({ length: rank }, (_, i) => added.has(i) ? 1 : sizes.next().value!));
  },
  Expand(context) {
    const x = context.input(0);
    const shape = broadcastShapes(x.shape, context.numbers(1)!) as number[] | undefined;
    if (!shape) {
      throw context.node.fail(`expected a shape that [${x.shape}] broadcasts to, found [${context.numbers(1)}]`);
    }
    return context.tf.broadcastTo(x, shape);
  },
  Tile: (context) => context.tf.tile(context.input(0), context.numbers(1)!),
  Concat: (context) => context.tf.concat(context.inputs.map((_, i) => context.input(i)), context.axis()),
  Split(context) {
    const x = context.input(0), axis = context.axis(), count = context.node.outputCount;
    const part = Math.ceil(x.shape[axis]! / count);
    const sizes = context.numbers(1) ??
      Array.from({ length: count }, (_, i) => Math.max(0, Math.min(part, x.shape[axis]! - i * part)));
    return parts(context.tf, x, sizes, axis);
  },
  Pad: pad,
  DepthToSpace(context) {
    const { tf, node } = context, x = context.input(0), block = node.int("blocksize");
    const [n, c, h, w] = x.shape as [number, number, number, number];
    const depth = c / (block * block);
    const [shape, order] = node.string("mode") === "CRD"
      ? [[n, depth, block, block, h, w], [0, 1, 4, 2, 5, 3]]
      : [[n, block, block, depth, h, w], [0, 3, 4, 1, 5, 2]];
    return tf.reshape(tf.transpose(tf.reshape(x, shape), order), [n, depth, h * block, w * block]);
  },
  SpaceToDepth(context) {
    const { tf, node } = context, x = context.input(0), block = node.int("blocksize");
    const [n, c, h, w] = x.shape as [number, number, number, number];
    const parts = tf.reshape(x, [n, c, h / block, block, w / block, block]);
    return tf.reshape(tf.transpose(parts, [0, 3, 5, 1, 2, 4]), [n, c * block * block, h / block, w / block]);
  },
});

function pad(context: OperatorContext): Tensor {
  const { tf, node } = context, x = context.input(0);
  const axes = context.numbers(3)?.map((axis) => node.axis(axis, x.rank)) ?? x.shape.map((_, i) => i);
  const given = context.numbers(1)!;
  const pads = x.shape.map((): [number, number] => [0, 0]);
  axes.forEach((axis, i) => pads[axis] = [given[i]!, given[i + axes.length]!]);
  // A negative pad takes away.
  const begin = pads.map(([before]) => Math.max(0, -before));
  const size = x.shape.map((length, i) => length - begin[i]! - Math.max(0, -pads[i]![1]));
  const cut = pads.flat().some((each) => each < 0) ? tf.slice(x, begin, size) : x;
  const grown = pads.map(([before, after]): [number, number] => [Math.max(0, before), Math.max(0, after)]);
  const mode = node.string("mode");
  if (mode === "constant") return tf.pad(cut, grown, context.numbers(2)?.[0] ?? 0);
  // Places instead of tf.mirrorPad, which has no gradient.
  return grown.reduce((result, [before, after], axis) => {
    if (before + after === 0) return result;
    const length = result.shape[axis]!, last = Math.max(1, length - 1);
    const places = Array.from({ length: before + length + after }, (_, i) => {
      const at = i - before;
      if (mode === "edge") return Math.min(length - 1, Math.max(0, at));
      if (mode === "wrap") return ((at % length) + length) % length;
      const folded = ((at % (2 * last)) + 2 * last) % (2 * last);
      return folded < length ? folded : 2 * last - folded;
    });
    return tf.gather(result, tf.tensor1d(places, "int32"), axis);
  }, cut);
}
