/** Shape changes that keep the elements: reshaping, transposing, joining, splitting, repeating, padding. */

import {
  addDims,
  broadcastShapes,
  type Dim,
  divideExactly,
  formatShape,
  isStatic,
  mayEqual,
  mulDims,
  product,
  type Shape,
} from "../dims.ts";
import type { Node } from "../node.ts";
import { defineOperator } from "../registry.ts";
import type { Value } from "../value.ts";
import { apply, INDICES, type Named, type Operand } from "./operand.ts";

defineOperator("Reshape", {
  inputs: ["x", "shape"],
  attributes: { allowzero: ["int", 0] },
  since: 14,
  infer: (node) => [{ dtype: node.input(0).dtype, shape: reshaped(node) }],
});
defineOperator("Flatten", {
  inputs: ["x"],
  attributes: { axis: ["int", 1] },
  infer(node) {
    const { dtype, shape } = node.input(0);
    const axis = node.int("axis");
    const at = axis === shape.length ? axis : node.axis(axis, shape.length);
    return [{ dtype, shape: [product(shape.slice(0, at)), product(shape.slice(at))] }];
  },
});
defineOperator("Transpose", {
  inputs: ["x"],
  attributes: { perm: "ints" },
  infer(node) {
    const { dtype, shape } = node.input(0);
    const order = permutation(node);
    return [{ dtype, shape: order.map((axis) => shape[axis]!) }];
  },
});
defineOperator("Squeeze", {
  inputs: ["x", "axes?"],
  since: 13,
  infer(node) {
    const { dtype, shape } = node.input(0);
    if (node.inputs[1] && !node.knownInts(1)) {
      throw node.fail(`expected axes that are known, found ${node.describe(1)}`);
    }
    const axes = node.knownInts(1)?.map((axis) => node.axis(axis, shape.length));
    for (const axis of axes ?? []) {
      if (!mayEqual(shape[axis]!, 1)) {
        throw node.fail(`expected dimension ${axis} of ${node.describe(0)} to be 1, found ${shape[axis]}`);
      }
    }
    return [{ dtype, shape: shape.filter((dim, i) => axes ? !axes.includes(i) : dim !== 1) }];
  },
});
defineOperator("Unsqueeze", {
  inputs: ["x", "axes"],
  since: 13,
  infer(node) {
    const { dtype, shape } = node.input(0);
    const axes = node.knownInts(1);
    if (!axes) throw node.fail(`expected axes that are known, found ${node.describe(1)}`);
    const rank = shape.length + axes.length;
    const places = axes.map((axis) => node.axis(axis, rank));
    if (new Set(places).size < places.length) throw node.fail(`expected different axes, found ${formatShape(axes)}`);
    const rest = [...shape];
    return [{ dtype, shape: Array.from({ length: rank }, (_, i) => places.includes(i) ? 1 : rest.shift()!) }];
  },
});
defineOperator("Expand", {
  inputs: ["x", "shape"],
  since: 8,
  infer(node) {
    const { dtype, shape } = node.input(0);
    node.dtypeOf(1, ["int64"]);
    const target = targetShape(node, 1);
    const result = broadcastShapes(shape, target);
    if (!result) throw node.fail(`expected ${node.describe(0)} to broadcast to ${formatShape(target)}`);
    return [{ dtype, shape: result }];
  },
});
defineOperator("Tile", {
  inputs: ["x", "repeats"],
  since: 6,
  infer(node) {
    const { dtype, shape } = node.input(0);
    const repeats = targetShape(node, 1);
    if (repeats.length !== shape.length) {
      throw node.fail(`expected a repeat for each dimension of ${node.describe(0)}, found ${formatShape(repeats)}`);
    }
    return [{ dtype, shape: shape.map((dim, i) => mulDims(dim, repeats[i]!)) }];
  },
});
defineOperator("Concat", {
  inputs: ["x", "x*"],
  attributes: { axis: "int!" },
  since: 4,
  infer(node) {
    const first = node.input(0);
    const axis = node.axis(node.int("axis"), first.rank);
    const dtype = node.sameDType(...node.inputs.map((_, i) => i));
    const result = [...first.shape];
    for (let i = 1; i < node.inputs.length; i++) {
      const { shape } = node.input(i);
      const fits = shape.length === result.length &&
        shape.every((dim, at) => at === axis || mayEqual(dim, result[at]!));
      if (!fits) {
        throw node.fail(`expected ${node.describe(i)} to fit ${node.describe(0)} in every dimension but ${axis}`);
      }
      shape.forEach((dim, at) => {
        if (at === axis) result[at] = addDims(result[at]!, dim);
        else if (typeof dim === "number") result[at] = dim; // a number says more than a symbol
      });
    }
    return [{ dtype, shape: result }];
  },
});
defineOperator("Split", {
  inputs: ["x", "sizes?"],
  outputs: ["y*"],
  attributes: { axis: ["int", 0] },
  since: 13,
  infer(node) {
    const { dtype, shape } = node.input(0);
    const axis = node.axis(node.int("axis"), shape.length);
    const size = shape[axis]!, count = node.outputCount;
    let sizes: readonly Dim[];
    if (node.inputs[1]) {
      sizes = node.inputs[1].elements ?? Array.from({ length: count }, (_, i) => node.unknownDim(i, axis));
    } else {
      const part = divideExactly(size, count);
      if (part === undefined && typeof size === "number") {
        throw node.fail(`expected dimension ${axis} of ${node.describe(0)} to be a multiple of ${count}`);
      }
      sizes = new Array<Dim>(count).fill(part ?? node.unknownDim(0, axis));
    }
    const total = sizes.reduce(addDims, 0);
    if (sizes.length !== count || !mayEqual(total, size)) {
      throw node.fail(
        `expected ${count} sizes that sum to dimension ${axis} of ${node.describe(0)}, found ${formatShape(sizes)}`,
      );
    }
    return sizes.map((part) => ({ dtype, shape: shape.map((dim, i) => i === axis ? part : dim) }));
  },
});
defineOperator("Pad", {
  inputs: ["x", "pads", "value?", "axes?"],
  attributes: { mode: ["string", "constant"] },
  since: 13,
  infer(node) {
    const { dtype, shape } = node.input(0);
    if (!["constant", "reflect", "edge", "wrap"].includes(node.string("mode"))) {
      throw node.fail(`expected mode constant, reflect or edge, found ${node.string("mode")}`);
    }
    node.dtypeOf(1, ["int64"]);
    const axes = node.knownInts(3)?.map((axis) => node.axis(axis, shape.length)) ?? shape.map((_, i) => i);
    const pads = node.inputs[1]?.elements;
    if (!pads || (node.inputs[3] && !node.knownInts(3))) {
      return [{ dtype, shape: shape.map((_, i) => node.unknownDim(0, i)) }];
    }
    if (pads.length !== 2 * axes.length) {
      throw node.fail(`expected ${2 * axes.length} pads for ${node.describe(0)}, found ${formatShape(pads)}`);
    }
    const result = [...shape];
    axes.forEach((axis, i) => {
      result[axis] = addDims(result[axis]!, addDims(pads[i]!, pads[i + axes.length]!));
    });
    return [{ dtype, shape: result }];
  },
});
defineOperator("DepthToSpace", {
  inputs: ["x"],
  attributes: { blocksize: "int!", mode: ["string", "DCR"] },
  since: 11,
  infer(node) {
    const [n, c, h, w] = node.expectRank(0, 4);
    const block = node.int("blocksize");
    const channels = block > 0 ? divideExactly(c!, block * block) : undefined;
    if (channels === undefined && typeof c === "number") {
      throw node.fail(`expected ${node.describe(0)} to have a multiple of ${block * block} channels`);
    }
    const shape = [n!, channels ?? node.unknownDim(0, 1), mulDims(h!, block), mulDims(w!, block)];
    return [{ dtype: node.input(0).dtype, shape }];
  },
});
defineOperator("SpaceToDepth", {
  inputs: ["x"],
  attributes: { blocksize: "int!" },
  infer(node) {
    const [n, c, h, w] = node.expectRank(0, 4);
    const block = node.int("blocksize");
    const parts = [h!, w!].map((dim, i) => {
      const part = block > 0 ? divideExactly(dim, block) : undefined;
      if (part === undefined && typeof dim === "number") {
        throw node.fail(`expected the maps of ${node.describe(0)} to be multiples of ${block}`);
      }
      return part ?? node.unknownDim(0, i + 2);
    });
    return [{ dtype: node.input(0).dtype, shape: [n!, mulDims(c!, block * block), ...parts] }];
  },
});

/** The order of a Transpose's axes, the default (all reversed) filled in. */
export function permutation(node: Node): readonly number[] {
  const { rank } = node.input(0);
  const order = node.ints("perm", Array.from({ length: rank }, (_, i) => rank - 1 - i));
  const sorted = [...order].sort((a, b) => a - b);
  if (order.length !== rank || sorted.some((axis, i) => axis !== i)) {
    throw node.fail(`expected perm to be an order of the axes of ${node.describe(0)}, found ${formatShape(order)}`);
  }
  return order;
}

/** A shape given as a tensor: its elements where known, else symbols in the number that its own shape tells. */
export function targetShape(node: Node, index: number): Shape {
  const value = node.input(index);
  node.dtypeOf(index, INDICES);
  const [length] = node.expectRank(index, 1);
  if (value.elements) return value.elements;
  if (typeof length === "string") throw node.fail(`expected ${node.describe(index)} to have a known length`);
  return Array.from({ length: length! }, (_, i) => node.unknownDim(0, i));
}

function reshaped(node: Node): Shape {
  const { shape } = node.input(0);
  node.dtypeOf(1, ["int64"]);
  const target = targetShape(node, 1);
  const keepsZero = node.int("allowzero") === 1;
  const problem = () => node.fail(`expected ${node.describe(0)} to have as many elements as ${formatShape(target)}`);
  const result = target.map((dim, i): Dim => {
    if (dim !== 0 || keepsZero) return dim;
    if (i >= shape.length) throw problem();
    return shape[i]!;
  });
  const open = result.indexOf(-1);
  if (open >= 0) {
    if (result.indexOf(-1, open + 1) >= 0) throw node.fail(`expected at most one −1 in ${formatShape(target)}`);
    const total = product(shape), rest = product(result.filter((_, i) => i !== open));
    const missing = divideExactly(total, rest);
    if (missing === undefined && typeof total === "number" && typeof rest === "number") throw problem();
    result[open] = missing ?? node.unknownDim(0, open);
  } else if (isStatic(shape) && isStatic(result) && product(shape) !== product(result)) throw problem();
  return result;
}

const asShape = (x: Value, shape: Value | readonly number[]): Value => "graph" in shape ? shape : x.graph.ints(shape);

/** x in another shape; 0 keeps a size, one −1 is worked out. */
export const reshape = (x: Value, shape: Value | readonly number[], options?: Named): Value =>
  apply("Reshape", [x, asShape(x, shape)], {}, options);
/** Two dimensions: those before the axis (default 1) and the others. */
export const flatten = (x: Value, options: Named & { axis?: number } = {}): Value =>
  apply("Flatten", [x], { axis: options.axis }, options);
/** The axes in another order; by default reversed. */
export const transpose = (x: Value, perm?: readonly number[], options?: Named): Value =>
  apply("Transpose", [x], { perm }, options);
/** Takes axes of size 1 away; by default all of them. */
export const squeeze = (x: Value, axes?: readonly number[], options?: Named): Value =>
  apply("Squeeze", [x, axes && x.graph.ints(axes)], {}, options);
/** Puts in axes of size 1, counted in the result. */
export const unsqueeze = (x: Value, axes: readonly number[], options?: Named): Value =>
  apply("Unsqueeze", [x, x.graph.ints(axes)], {}, options);
/** Broadcasts x and the shape with each other. */
export const expand = (x: Value, shape: Value | readonly number[], options?: Named): Value =>
  apply("Expand", [x, asShape(x, shape)], {}, options);
/** Repeats x along each axis. */
export const tile = (x: Value, repeats: Value | readonly number[], options?: Named): Value =>
  apply("Tile", [x, asShape(x, repeats)], {}, options);
/** Joins along an axis. */
export const concat = (inputs: readonly Value[], axis: number, options?: Named): Value =>
  apply("Concat", inputs, { axis }, options);

/** Splits along an axis (default 0): into so many equal parts, or into parts of the sizes given. */
export function split(
  x: Value,
  parts: number | readonly number[],
  options: Named & { axis?: number } = {},
): Value[] {
  const sizes = typeof parts === "number" ? undefined : x.graph.ints(parts);
  const outputs = typeof parts === "number" ? parts : parts.length;
  return x.graph.node("Split", [x, sizes], { axis: options.axis }, { name: options.name, outputs });
}

/** Adds `pads` (all beginnings, then all ends) around x: a constant (default 0), mirrored, or the edge repeated. */
export const pad = (
  x: Value,
  pads: Value | readonly number[],
  options: Named & { mode?: "constant" | "reflect" | "edge"; value?: Operand } = {},
): Value => apply("Pad", [x, asShape(x, pads), options.value], { mode: options.mode }, options);

/** Moves channels into space: [N, C · b², H, W] → [N, C, H · b, W · b]. */
export const depthToSpace = (x: Value, blocksize: number, options: Named & { mode?: "DCR" | "CRD" } = {}): Value =>
  apply("DepthToSpace", [x], { blocksize, mode: options.mode }, options);
/** Moves space into channels: [N, C, H · b, W · b] → [N, C · b², H, W]. */
export const spaceToDepth = (x: Value, blocksize: number, options?: Named): Value =>
  apply("SpaceToDepth", [x], { blocksize }, options);
