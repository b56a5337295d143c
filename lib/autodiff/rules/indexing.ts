/**
 * Gradients of picking and putting by index. Indices that occur twice must add up. ONNX Runtime's ScatterND with reduction
 * "add" runs its updates on several threads and loses some of them when indices repeat (measured with 1.30.0: wrong
 * sums with 2 threads on 4,096 indices into 1,000 rows), so that sums are made by ScatterElements, which is right and
 * about as fast as a product with a one-hot matrix on small tables and far faster on large ones.
 */

import {
  add,
  cast,
  concat,
  constantOfShape,
  elementCount,
  expand,
  gatherElements,
  gatherND,
  isStatic,
  mod,
  mul,
  range,
  reduceSum,
  reshape,
  scatterElements,
  scatterND,
  type Shape,
  squeeze,
  unsqueeze,
  type Value,
} from "../../onnx/mod.ts";
import { Part } from "../accumulate.ts";
import { composeShape, shapeValue, zerosLike } from "../broadcast.ts";
import { defineRule, type RuleContext } from "../rule.ts";

/**
 * y = whole slices of x along an axis: dx = g added up at the indices. One known index is a part of zeros.
 */
defineRule("Gather", (ctx) => {
  const { node } = ctx;
  const x = node.input(0), indices = node.input(1);
  const axis = node.axis(node.int("axis"), x.rank);
  const size = x.shape[axis]!;
  const known = node.knownInts(1);
  if (known?.length === 1 && typeof size === "number") {
    const at = known[0]! < 0 ? known[0]! + size : known[0]!;
    const g = indices.rank === 1 ? ctx.gradient : reshape(ctx.gradient, sizesAround(x, axis, 1));
    return [new Part(g, axis, at, size - at - 1)];
  }
  // One index axis in place of the indices' own axes; the indices repeat over x's other axes.
  const g = indices.rank === 1 ? ctx.gradient : reshape(ctx.gradient, sizesAround(x, axis, -1));
  const column = reshape(ctx.input(1), x.shape.map((_, i) => i === axis ? -1 : 1));
  const places = x.rank === 1 ? column : expand(column, shapeValue(g));
  return [scatterElements(zerosLike(x), places, g, { axis, reduction: "add" })];
});

/** y = single elements of x along an axis: dx = g added up at the indices. */
defineRule("GatherElements", (ctx) => {
  const x = ctx.node.input(0);
  const axis = ctx.node.axis(ctx.node.int("axis"), x.rank);
  return [scatterElements(zerosLike(x), ctx.input(1), ctx.gradient, { axis, reduction: "add" })];
});

/** y = slices of x by index tuples: dx = g added up at the tuples, counted as rows of x with the indexed axes joined. */
defineRule("GatherND", (ctx) => {
  const { node } = ctx;
  const tuples = node.input(1);
  return [addRows(ctx, node.input(0), tuples, ctx.input(1), ctx.gradient, node.int("batch_dims"))];
});

/**
 * y = x with elements replaced by (or added to) updates: the updates' gradients are picked from g; x's are g, with zeros
 * where elements were replaced.
 */
defineRule("ScatterElements", (ctx) => {
  const { node } = ctx;
  const axis = node.axis(node.int("axis"), node.input(0).rank);
  const replaces = reductionOf(ctx) === "none";
  return [
    !ctx.needs[0]
      ? undefined
      : !replaces
      ? ctx.compactGradient
      : scatterElements(ctx.gradient, ctx.input(1), zerosLike(node.input(2)), { axis }),
    undefined,
    ctx.needs[2] ? gatherElements(ctx.gradient, ctx.input(1), { axis }) : undefined,
  ];
});

/** y = x with slices replaced by (or added to) updates, by index tuples: as for single elements. */
defineRule("ScatterND", (ctx) => {
  const { node } = ctx;
  const replaces = reductionOf(ctx) === "none";
  return [
    !ctx.needs[0]
      ? undefined
      : !replaces
      ? ctx.compactGradient
      : scatterND(ctx.gradient, ctx.input(1), zerosLike(node.input(2))),
    undefined,
    ctx.needs[2] ? gatherND(ctx.gradient, ctx.input(1)) : undefined,
  ];
});

function reductionOf(ctx: RuleContext): string {
  const reduction = ctx.node.string("reduction");
  if (reduction === "none" || reduction === "add") return reduction;
  throw ctx.fail(
    `expected reduction none or add, found ${reduction}; compose it from a gather, an operator and a scatter`,
  );
}

/** A shape for Reshape: x's sizes with the axis replaced by one size. */
function sizesAround(x: Value, axis: number, size: number): Value {
  return composeShape(x, x.shape.map((_, i) => i === axis ? size : { axis: i }));
}

/** Adds rows of g into zeros in the shape of x, at index tuples over x's axes from `batch` on. */
function addRows(ctx: RuleContext, x: Value, tuples: Value, indices: Value, g: Value, batch: number): Value {
  const { graph } = ctx;
  const depth = tuples.shape.at(-1)!;
  if (typeof depth !== "number") throw ctx.fail(`expected index tuples of a known length, found ${tuples}`);
  if (!isStatic(x.shape) || !isStatic(tuples.shape)) return addOpenRows(x, depth, indices, g, batch);
  const indexed = x.shape.slice(0, batch + depth), rest = x.shape.slice(batch + depth);
  const strides = stridesOf(indexed);
  const sizes = graph.ints(indexed.slice(batch)), steps = graph.ints(strides.slice(batch));
  const typed = indices.dtype === "int64" ? indices : cast(indices, "int64");
  // An index counts from the end when it is negative: the remainder has the divisor's sign.
  let rows = reduceSum(mul(mod(typed, sizes), steps), { axes: [-1] });
  const leading: Shape = tuples.shape.slice(0, -1);
  for (let axis = 0; axis < batch; axis++) {
    const offsets = Array.from({ length: x.shape[axis] as number }, (_, i) => i * strides[axis]!);
    rows = add(
      rows,
      graph.constant(offsets, { dtype: "int64", shape: leading.map((_, i) => i === axis ? offsets.length : 1) }),
    );
  }
  const count = elementCount(leading as readonly number[]), width = elementCount(rest);
  const places = expand(unsqueeze(reshape(rows, [count]), [1]), [count, width]);
  const zeros = expand(graph.constant(0, { dtype: x.dtype, shape: [1, 1] }), [elementCount(indexed), width]);
  const sums = scatterElements(zeros, places, reshape(g, [count, width]), { axis: 0, reduction: "add" });
  return reshape(sums, x.shape);
}

/** The same where sizes are known only when the graph runs. */
function addOpenRows(x: Value, depth: number, indices: Value, g: Value, batch: number): Value {
  const { graph } = x;
  const sizeOf = (value: Value, axis: number) => composeShape(value, [{ axis }]);
  const product = (value: Value, from: number, to: number) => {
    let result = graph.ints([1]);
    for (let axis = from; axis < to; axis++) {
      result = axis === from ? sizeOf(value, axis) : mul(result, sizeOf(value, axis));
    }
    return result;
  };
  const end = batch + depth, tuples = indices.rank - 1;
  const strides = Array.from({ length: end }, (_, axis) => product(x, axis + 1, end));
  const sizes = composeShape(x, Array.from({ length: depth }, (_, i) => ({ axis: batch + i })));
  const typed = indices.dtype === "int64" ? indices : cast(indices, "int64");
  let rows = reduceSum(mul(mod(typed, sizes), concat(strides.slice(batch), 0)), { axes: [-1] });
  for (let axis = 0; axis < batch; axis++) {
    const places = range(0, squeeze(sizeOf(x, axis), [0]), 1);
    rows = add(
      rows,
      reshape(mul(places, strides[axis]!), Array.from({ length: tuples }, (_, i) => i === axis ? -1 : 1)),
    );
  }
  const table = concat([product(indices, 0, tuples), product(x, end, x.rank)], 0);
  const column = reshape(rows, concat([product(indices, 0, tuples), graph.ints([1])], 0));
  const zeros = constantOfShape(concat([product(x, 0, end), product(x, end, x.rank)], 0), { dtype: x.dtype });
  const sums = scatterElements(zeros, expand(column, table), reshape(g, table), { axis: 0, reduction: "add" });
  return reshape(sums, shapeValue(x));
}

function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = strides[i + 1]! * shape[i + 1]!;
  return strides;
}
