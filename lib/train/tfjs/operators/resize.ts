/** Resizing, one axis after another, by places and weights worked out beforehand (ONNX, "Resize"). */

import type { Tensor } from "@tensorflow/tfjs";
import { defineTensorFlow, type OperatorContext } from "../operator.ts";

defineTensorFlow({
  Resize(context) {
    const { node } = context, x = context.input(0), mode = node.string("mode");
    if (mode === "cubic") throw context.lacks("mode cubic");
    const scales = context.inputs[2] && context.inputs[2].size > 0 ? context.numbers(2)! : undefined;
    const sizes = scales ? x.shape.map((size, i) => Math.floor(size * scales[i]!)) : context.numbers(3)!;
    return sizes.reduce((result, size, axis) => {
      const from = x.shape[axis]!, factor = scales?.[axis] ?? size / from;
      if (size === from && factor === 1) return result;
      const places = Array.from({ length: size }, (_, i) => source(context, i, from, size, factor));
      return mode === "nearest" ? nearest(context, result, axis, places) : linear(context, result, axis, places);
    }, x);
  },
});

/** Where an output place lies in the input. */
function source(context: OperatorContext, place: number, from: number, to: number, factor: number): number {
  const mode = context.node.string("coordinate_transformation_mode");
  if (mode === "asymmetric") return place / factor;
  if (mode === "align_corners") return to === 1 ? 0 : place * (from - 1) / (to - 1);
  if (mode === "half_pixel" || mode === "pytorch_half_pixel") {
    return mode === "pytorch_half_pixel" && to === 1 ? 0 : (place + 0.5) / factor - 0.5;
  }
  throw context.lacks(`coordinate_transformation_mode ${mode}`);
}

function nearest(context: OperatorContext, x: Tensor, axis: number, places: readonly number[]): Tensor {
  const round: Readonly<Record<string, (place: number) => number>> = {
    "floor": Math.floor,
    "ceil": Math.ceil,
    "round_prefer_floor": (place) => Math.ceil(place - 0.5),
    "round_prefer_ceil": (place) => Math.floor(place + 0.5),
  };
  const chosen = places.map((place) => within(round[context.node.string("nearest_mode")]!(place), x.shape[axis]!));
  return context.tf.gather(x, context.tf.tensor1d(chosen, "int32"), axis);
}

function linear({ tf }: OperatorContext, x: Tensor, axis: number, places: readonly number[]): Tensor {
  const size = x.shape[axis]!;
  const at = (rounded: readonly number[]) =>
    tf.gather(x, tf.tensor1d(rounded.map((place) => within(place, size)), "int32"), axis);
  const weights = tf.reshape(
    tf.tensor1d(places.map((place) => place - Math.floor(place))),
    x.shape.map((_, i) => i === axis ? -1 : 1),
  );
  const low = at(places.map(Math.floor)), high = at(places.map((place) => Math.floor(place) + 1));
  return tf.add(tf.mul(low, tf.sub(1, weights)), tf.mul(high, weights));
}

function within(place: number, size: number): number {
  return Math.min(size - 1, Math.max(0, place));
}
