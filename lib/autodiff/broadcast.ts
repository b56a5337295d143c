/** Broadcasting backwards: gradients summed to a smaller shape, expanded to a larger one, shapes and counts as values. */

import {
  cast,
  concat,
  expand,
  formatShape,
  gather,
  isStatic,
  reduceProd,
  reduceSum,
  reshape,
  type Shape,
  shape as shapeOf,
  squeeze,
  type Value,
} from "../onnx/mod.ts";
import { AutodiffError } from "./errors.ts";
import { constantNumber, times } from "./simplify.ts";

/**
 * Sums `gradient`, which broadcasts to the shape of `from`, to the shape `target`, which broadcasts to `from`'s.
 * The result broadcasts to `target`. Along an axis where the gradient has size 1 it stands for `from`'s size of equal
 * elements, so that it is multiplied by that size instead.
 * Throws AutodiffError when symbols leave open whether an axis was broadcast.
 */
export function sumTo(gradient: Value, from: Value, target: Shape): Value {
  const whole = from.shape, own = gradient.shape;
  const sum: number[] = [], drop: number[] = [], repeated: number[] = [];
  whole.forEach((dim, axis) => {
    const at = axis - (whole.length - target.length), ownAt = axis - (whole.length - own.length);
    const wanted = at < 0 ? 1 : target[at]!;
    if (wanted !== 1 && wanted !== dim && typeof dim === "string") {
      throw new AutodiffError(
        `gradient: expected a size of ${dim} or 1 on axis ${at} to undo broadcasting to ${from}, found ${
          formatShape(target)
        }`,
      );
    }
    if (at < 0 && ownAt >= 0) drop.push(ownAt);
    if (wanted !== 1 || dim === 1) return;
    if (ownAt < 0 || own[ownAt] === 1) repeated.push(axis);
    else sum.push(ownAt);
  });
  let result = repeated.length > 0 ? times(gradient, countOf(from, repeated)) : gradient;
  if (sum.length === 0 && drop.length === 0) return result;
  if (drop.every((axis) => sum.includes(axis)) && sum.every((axis) => drop.includes(axis))) {
    return reduceSum(result, { axes: sum });
  }
  if (sum.length > 0) result = reduceSum(result, { axes: sum, keepdims: true });
  return drop.length > 0 ? squeeze(result, drop) : result;
}

/** `gradient` in the full shape of `like`; itself when it has that already. */
export function expandTo(gradient: Value, like: Value): Value {
  const { shape } = gradient, wanted = like.shape;
  if (sameShape(shape, wanted)) return gradient;
  // A size that only differs by its symbol is taken as the same: inference may name one size twice.
  const differs = wanted.some((dim, i) => {
    const own = shape[i - (wanted.length - shape.length)] ?? 1;
    return own === 1 && dim !== 1;
  });
  if (!differs && shape.length === wanted.length) return gradient;
  if (!differs) return reshapeTo(gradient, like);
  return expand(gradient, shapeValue(like));
}

/** A gradient in the shape of `like`, which has as many elements; itself when it has that shape already. */
export function reshapeTo(gradient: Value, like: Value): Value {
  if (sameShape(gradient.shape, like.shape)) return gradient;
  const source = beforeReshape(gradient);
  return sameShape(source.shape, like.shape) ? source : reshape(source, shapeForReshape(like));
}

/**
 * What a gradient was before it was reshaped to a known shape, for reading in yet another shape. For gradients only: what a
 * forward value was before may have been freed by then.
 */
export function beforeReshape(gradient: Value): Value {
  let source = gradient;
  while (source.producer?.opType === "Reshape" && source.producer.input(1).kind === "constant") {
    source = source.producer.input(0);
  }
  return source;
}

/** The shape of a value as an int64 tensor: a constant where it is static, else a Shape node. */
export function shapeValue(value: Value): Value {
  return isStatic(value.shape) ? value.graph.ints(value.shape) : shapeOf(value);
}

/**
 * A shape made of sizes of `like` and of numbers, as an int64 tensor for Reshape or Expand: `dims` holds numbers, or
 * `{ axis }` for like's size on that axis.
 */
export function composeShape(like: Value, dims: readonly (number | { readonly axis: number })[]): Value {
  const { graph } = like;
  const known = dims.map((dim) => typeof dim === "number" ? dim : like.shape[dim.axis]!);
  if (isStatic(known)) return graph.ints(known);
  const parts: Value[] = [];
  let numbers: number[] = [];
  const flush = () => {
    if (numbers.length > 0) parts.push(graph.ints(numbers));
    numbers = [];
  };
  known.forEach((dim, i) => {
    const source = dims[i]!;
    if (typeof dim === "number") return numbers.push(dim);
    flush();
    if (typeof source === "object") parts.push(shapeOf(like, { start: source.axis, end: source.axis + 1 }));
    return undefined;
  });
  flush();
  return parts.length === 1 ? parts[0]! : concat(parts, 0);
}

/** The product of a value's sizes on some axes: a number where they are static, else a scalar of the value's own type. */
export function countOf(value: Value, axes: readonly number[]): number | Value {
  const { graph, shape } = value;
  let count = 1;
  const open: number[] = [];
  for (const axis of axes) {
    const dim = shape[axis]!;
    if (typeof dim === "number") count *= dim;
    else open.push(axis);
  }
  if (open.length === 0) return count;
  const sizes = gather(shapeOf(value), graph.ints(open), { axis: 0 });
  const open64 = open.length === 1 ? squeeze(sizes, [0]) : reduceProd(sizes);
  return times(cast(open64, value.dtype), count);
}

/** Zeros in the shape and type of a value, stored as one element. */
export function zerosLike(value: Value): Value {
  return filledLike(value, 0);
}

/** One number in the full shape and type of a value, stored as one element. */
export function filledLike(value: Value, content: number): Value {
  const one = value.graph.constant(content, { dtype: value.dtype, shape: [] });
  return value.rank === 0 ? one : expandTo(one, value);
}

/** A shape for Reshape: static, or with one −1 for a single symbol, else a Shape node. */
function shapeForReshape(like: Value): Value {
  const { graph, shape } = like;
  const open = shape.filter((dim) => typeof dim === "string").length;
  if (open === 1 && !shape.includes(0)) {
    return graph.ints(shape.map((dim) => typeof dim === "number" ? dim : -1));
  }
  return shapeValue(like);
}

/** Whether two shapes are the same, symbols included. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

/** Whether a gradient is one number for all elements, known before anything runs. */
export function isUniform(gradient: Value): boolean {
  return constantNumber(gradient) !== undefined;
}
