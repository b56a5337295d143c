/** Picking and placing elements by index. */

import { type Dim, formatShape, mayEqual, type Shape } from "../dims.ts";
import type { Node } from "../node.ts";
import { defineOperator, type ValueType } from "../registry.ts";
import type { Value } from "../value.ts";
import { apply, INDICES, type Named, type Operand } from "./operand.ts";

defineOperator("Slice", {
  inputs: ["x", "starts", "ends", "axes?", "steps?"],
  since: 10,
  infer(node) {
    const { dtype, shape } = node.input(0);
    for (const index of [1, 2, 3, 4]) if (node.inputs[index]) node.dtypeOf(index, INDICES);
    const starts = node.inputs[1]?.elements, ends = node.inputs[2]?.elements;
    const axes = node.inputs[3] ? node.knownInts(3) : Array.from({ length: starts?.length ?? 0 }, (_, i) => i);
    const steps = node.inputs[4] ? node.knownInts(4) : new Array<number>(starts?.length ?? 0).fill(1);
    if (!axes) return [{ dtype, shape: shape.map((_, i) => node.unknownDim(0, i)) }];
    const places = axes.map((axis) => node.axis(axis, shape.length));
    const result = [...shape];
    if (!starts || !ends || !steps) {
      const touched = node.inputs[3] ? places : shape.map((_, i) => i);
      for (const axis of touched) result[axis] = node.unknownDim(0, axis);
      return [{ dtype, shape: result }];
    }
    if ([ends, axes, steps].some((list) => list.length !== starts.length)) {
      throw node.fail(`expected as many ends, axes and steps as starts, ${starts.length}`);
    }
    places.forEach((axis, i) => {
      if (steps[i] === 0) throw node.fail(`expected steps other than 0, found ${formatShape(steps)}`);
      result[axis] = sliced(shape[axis]!, starts[i]!, ends[i]!, steps[i]!) ?? node.unknownDim(0, axis);
    });
    return [{ dtype, shape: result }];
  },
});
defineOperator("Gather", {
  inputs: ["x", "indices"],
  attributes: { axis: ["int", 0] },
  since: 1,
  infer(node) {
    const { dtype, shape } = node.input(0);
    node.dtypeOf(1, INDICES);
    const axis = node.axis(node.int("axis"), shape.length);
    const limit = shape[axis]!;
    const wrong = node.knownInts(1)?.find((i) => typeof limit === "number" && (i < -limit || i >= limit));
    if (wrong !== undefined) throw node.fail(`expected indices within ${limit} of ${node.describe(0)}, found ${wrong}`);
    return [{ dtype, shape: [...shape.slice(0, axis), ...node.input(1).shape, ...shape.slice(axis + 1)] }];
  },
});
defineOperator("GatherElements", {
  inputs: ["x", "indices"],
  attributes: { axis: ["int", 0] },
  since: 11,
  infer(node) {
    const { dtype, rank } = node.input(0);
    node.dtypeOf(1, INDICES);
    node.axis(node.int("axis"), rank);
    if (node.input(1).rank !== rank) {
      throw node.fail(`expected ${node.describe(1)} to have as many dimensions as ${node.describe(0)}`);
    }
    return [{ dtype, shape: node.input(1).shape }];
  },
});
defineOperator("GatherND", {
  inputs: ["x", "indices"],
  attributes: { batch_dims: ["int", 0] },
  since: 11,
  infer(node) {
    const { dtype, shape } = node.input(0);
    const indices = node.input(1).shape;
    node.dtypeOf(1, ["int64"]);
    const depth = indices.at(-1), batch = node.int("batch_dims");
    if (typeof depth !== "number" || batch < 0 || batch + depth > shape.length || batch >= indices.length) {
      throw node.fail(`expected ${node.describe(1)} to index at most the dimensions of ${node.describe(0)}`);
    }
    return [{ dtype, shape: [...indices.slice(0, -1), ...shape.slice(batch + depth)] }];
  },
});
defineOperator("ScatterElements", {
  inputs: ["x", "indices", "updates"],
  attributes: { axis: ["int", 0], reduction: ["string", "none"] },
  since: 11,
  infer(node) {
    const x = node.input(0);
    node.dtypeOf(1, INDICES);
    node.axis(node.int("axis"), x.rank);
    expectReduction(node);
    const indices = node.input(1).shape, updates = node.input(2).shape;
    const fits = indices.length === x.rank && updates.length === x.rank &&
      indices.every((dim, i) => mayEqual(dim, updates[i]!));
    if (!fits) {
      throw node.fail(
        `expected ${node.describe(1)} and ${node.describe(2)} to have one shape, of the rank of the data`,
      );
    }
    return [{ dtype: node.sameDType(0, 2), shape: x.shape }];
  },
});
defineOperator("ScatterND", {
  inputs: ["x", "indices", "updates"],
  attributes: { reduction: ["string", "none"] },
  since: 11,
  infer(node) {
    const { shape } = node.input(0);
    const indices = node.input(1).shape;
    node.dtypeOf(1, ["int64"]);
    expectReduction(node);
    const depth = indices.at(-1);
    if (typeof depth !== "number" || depth > shape.length) {
      throw node.fail(`expected ${node.describe(1)} to index at most the dimensions of ${node.describe(0)}`);
    }
    const wanted: Shape = [...indices.slice(0, -1), ...shape.slice(depth)];
    const updates = node.input(2).shape;
    if (updates.length !== wanted.length || updates.some((dim, i) => !mayEqual(dim, wanted[i]!))) {
      throw node.fail(`expected ${node.describe(2)} to be ${formatShape(wanted)}`);
    }
    return [{ dtype: node.sameDType(0, 2), shape }];
  },
});
defineOperator("OneHot", {
  inputs: ["indices", "depth", "values"],
  attributes: { axis: ["int", -1] },
  since: 11,
  infer(node) {
    const { shape } = node.input(0);
    const axis = node.axis(node.int("axis"), shape.length + 1);
    const depth = node.inputs[1]?.elements?.[0] ?? node.unknownDim(0, axis);
    if (node.input(2).rank !== 1 || !mayEqual(node.input(2).shape[0]!, 2)) {
      throw node.fail(`expected ${node.describe(2)} to be [2], off and on`);
    }
    return [{ dtype: node.input(2).dtype, shape: [...shape.slice(0, axis), depth, ...shape.slice(axis)] }];
  },
});
defineOperator("Trilu", {
  inputs: ["x", "k?"],
  attributes: { upper: ["int", 1] },
  since: 14,
  infer(node): ValueType[] {
    const { dtype, shape } = node.input(0);
    if (shape.length < 2) throw node.fail(`expected ${node.describe(0)} to have at least 2 dimensions`);
    return [{ dtype, shape }];
  },
});
defineOperator("NonZero", {
  inputs: ["x"],
  since: 9,
  infer: (node) => [{ dtype: "int64", shape: [node.input(0).rank, node.unknownDim(0, 1)] }],
});
defineOperator("NonMaxSuppression", {
  inputs: ["boxes", "scores", "max_output_boxes_per_class?", "iou_threshold?", "score_threshold?"],
  attributes: { center_point_box: ["int", 0] },
  since: 11,
  infer(node) {
    const [batch, spatial, four] = node.expectRank(0, 3), scores = node.expectRank(1, 3);
    if (!mayEqual(four!, 4) || !mayEqual(batch!, scores[0]!) || !mayEqual(spatial!, scores[2]!)) {
      throw node.fail(`expected ${node.describe(0)} [N, boxes, 4] and ${node.describe(1)} [N, classes, boxes]`);
    }
    return [{ dtype: "int64", shape: [node.unknownDim(0, 0), 3] }];
  },
});

function expectReduction(node: Node): void {
  const reduction = node.string("reduction");
  if (!["none", "add", "mul", "min", "max"].includes(reduction)) {
    throw node.fail(`expected reduction none, add or mul, found ${reduction}`);
  }
}

/** The length of a slice, or undefined when it depends on what is not known. */
function sliced(size: Dim, start: Dim, end: Dim, step: number): Dim | undefined {
  if (typeof size === "string" && typeof start === "number" && typeof end === "number") {
    return step === 1 && start === 0 && end >= 2 ** 31 - 1 ? size : undefined;
  }
  if (start === 0 && step === 1 && end === size) return size;
  if (typeof size === "string" || typeof start === "string" || typeof end === "string") return undefined;
  const at = (index: number, low: number, high: number) =>
    Math.min(high, Math.max(low, index < 0 ? index + size : index));
  return step > 0
    ? Math.max(0, Math.ceil((at(end, 0, size) - at(start, 0, size)) / step))
    : Math.max(0, Math.ceil((at(end, -1, size - 1) - at(start, 0, size - 1)) / step));
}

/** The largest int64 that stands for "to the end" in a slice. */
const TO_END = Number.MAX_SAFE_INTEGER;

/** x[starts : ends : steps] along axes; by default all leading axes and steps of 1. `undefined` as end: to the end. */
export function slice(
  x: Value,
  starts: readonly number[],
  ends: readonly (number | undefined)[],
  options: Named & { axes?: readonly number[]; steps?: readonly number[] } = {},
): Value {
  const { graph } = x;
  const { axes, steps } = options;
  const list = (numbers?: readonly number[]) => numbers && graph.ints(numbers);
  const last = ends.map((end, i) => end ?? ((steps?.[i] ?? 1) < 0 ? -TO_END : TO_END));
  return apply("Slice", [x, graph.ints(starts), graph.ints(last), list(axes), list(steps)], {}, options);
}

/** Picks whole slices of x along an axis (default 0) by indices of any shape. */
export const gather = (x: Value, indices: Value, options: Named & { axis?: number } = {}): Value =>
  apply("Gather", [x, indices], { axis: options.axis }, options);
/** Picks single elements along an axis (default 0); the result has the shape of the indices. */
export const gatherElements = (x: Value, indices: Value, options: Named & { axis?: number } = {}): Value =>
  apply("GatherElements", [x, indices], { axis: options.axis }, options);
/** Picks slices by index tuples, the last dimension of the indices. */
export const gatherND = (x: Value, indices: Value, options: Named & { batchDims?: number } = {}): Value =>
  apply("GatherND", [x, indices], { batch_dims: options.batchDims }, options);

/** How `scatter…` puts an update on what is there. */
export type ScatterReduction = "none" | "add" | "mul";

/** x with single elements along an axis (default 0) replaced by updates, or combined with them. */
export const scatterElements = (
  x: Value,
  indices: Value,
  updates: Value,
  options: Named & { axis?: number; reduction?: ScatterReduction } = {},
): Value =>
  apply("ScatterElements", [x, indices, updates], { axis: options.axis, reduction: options.reduction }, options);
/** x with slices replaced by updates, or combined with them, by index tuples. */
export const scatterND = (
  x: Value,
  indices: Value,
  updates: Value,
  options: Named & { reduction?: ScatterReduction } = {},
): Value => apply("ScatterND", [x, indices, updates], { reduction: options.reduction }, options);

/** Vectors of length `depth` along a new axis (default: the last) with `on` (1) at the index and `off` (0) elsewhere. */
export function oneHot(
  indices: Value,
  depth: number,
  options: Named & { axis?: number; values?: Value; off?: number; on?: number } = {},
): Value {
  const { graph } = indices;
  const values = options.values ?? graph.constant([options.off ?? 0, options.on ?? 1]);
  return apply("OneHot", [indices, graph.ints(depth), values], { axis: options.axis }, options);
}

/** The upper (default) or lower triangle of the last two dimensions from diagonal k, zeros elsewhere. */
export const trilu = (x: Value, options: Named & { upper?: boolean; k?: number } = {}): Value => {
  const k: Operand | undefined = options.k === undefined ? undefined : x.graph.ints(options.k);
  return apply("Trilu", [x, k], { upper: options.upper }, options);
};
