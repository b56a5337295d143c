/**
 * Data propagation: the elements of small shape-like tensors, followed through the operators with which exporters compute
 * shapes (Shape → Gather → Concat → Reshape and the like), so that the shapes behind them stay static.
 */

import { type DType, elementCount } from "../runtime/mod.ts";
import { addDims, type Dim, divDims, isStatic, mulDims, product, subDims } from "./dims.ts";
import type { Node } from "./node.ts";
import type { ValueType } from "./registry.ts";

type Elements = readonly Dim[];

/** Longer tensors are not followed. */
const LONGEST = 1024;

/** The elements of a node's first output, or undefined when they are not known or the tensor is not shape-like. */
export function propagateElements(node: Node, type: ValueType): Elements | undefined {
  if (node.domain !== "" || type.shape.length > 2 || !isStatic(type.shape)) return undefined;
  const length = elementCount(type.shape);
  if (length > LONGEST || type.dtype === "string") return undefined;
  const flat = type.shape.length < 2 && node.inputs.every((input) => !input || input.rank < 2);
  const rule = (flat ? RULES : MATRIX_RULES)[node.opType];
  const elements = rule?.(node, length, type.dtype);
  return elements?.length === length ? elements : undefined;
}

const known = (node: Node, index: number): Elements | undefined => node.inputs[index]?.elements;

/** Applies a function to the elements of all inputs, broadcasting those of one element. */
function elementwise(apply: (...operands: Dim[]) => Dim | undefined) {
  return (node: Node, length: number): Elements | undefined => {
    const inputs = node.inputs.map((_, i) => known(node, i));
    const result: Dim[] = [];
    for (let i = 0; i < length; i++) {
      const operands: Dim[] = [];
      for (const input of inputs) {
        const element = input?.length === 1 ? input[0] : input?.[i];
        if (element === undefined) return undefined;
        operands.push(element);
      }
      const element = apply(...operands);
      if (element === undefined) return undefined;
      result.push(element);
    }
    return result;
  };
}

/** For operators with no symbolic form: only numbers go through. */
function numeric(apply: (...operands: number[]) => number | undefined) {
  return elementwise((...operands) =>
    operands.every((operand) => typeof operand === "number") ? apply(...operands) : undefined
  );
}

const same = (node: Node): Elements | undefined => known(node, 0);

const RULES: Readonly<Record<string, (node: Node, length: number, dtype: DType) => Elements | undefined>> = {
  Identity: same,
  Reshape: same,
  Squeeze: same,
  Unsqueeze: same,
  Flatten: same,
  Cast: (node, _length, dtype) => known(node, 0)?.map((element) => cast(element, dtype)),
  Add: elementwise(addDims),
  Sub: elementwise(subDims),
  Mul: elementwise(mulDims),
  Div: (node, length, dtype) =>
    elementwise((a, b) => {
      if (b === 0) return undefined;
      if (/^u?int/.test(dtype)) {
        return typeof a === "number" && typeof b === "number" ? Math.trunc(a / b) : divDims(a, b);
      }
      return typeof a === "number" && typeof b === "number" ? a / b : undefined;
    })(node, length),
  Neg: numeric((a) => -a),
  Abs: numeric(Math.abs),
  Floor: numeric(Math.floor),
  Ceil: numeric(Math.ceil),
  Sqrt: numeric(Math.sqrt),
  Min: numeric(Math.min),
  Max: numeric(Math.max),
  Mod: (node, length) =>
    numeric((a, b) => b === 0 ? undefined : node.int("fmod") ? a % b : ((a % b) + b) % b)(node, length),
  Not: numeric((a) => Number(!a)),
  And: numeric((a, b) => Number(a && b)),
  Or: numeric((a, b) => Number(a || b)),
  Greater: numeric((a, b) => Number(a > b)),
  GreaterOrEqual: numeric((a, b) => Number(a >= b)),
  Less: numeric((a, b) => Number(a < b)),
  LessOrEqual: numeric((a, b) => Number(a <= b)),
  // A symbol stands for a size, which is never negative: it is not equal to −1, the mark that exporters compare with.
  Equal: elementwise((a, b) => {
    if (a === b) return 1;
    if (typeof a === "number" && typeof b === "number") return 0;
    return (typeof a === "number" && a < 0) || (typeof b === "number" && b < 0) ? 0 : undefined;
  }),
  Where: elementwise((condition, a, b) => condition === 1 ? a : condition === 0 ? b : a === b ? a : undefined),
  Concat(node) {
    const result: Dim[] = [];
    for (let i = 0; i < node.inputs.length; i++) {
      const part = known(node, i);
      if (!part) return undefined;
      result.push(...part);
    }
    return result;
  },
  Gather(node) {
    const data = known(node, 0), indices = node.knownInts(1);
    const picked = indices?.map((index) => data?.[index < 0 ? index + data.length : index]);
    return picked?.every((element) => element !== undefined) ? picked : undefined;
  },
  Slice(node) {
    const data = known(node, 0), start = node.knownInts(1)?.[0], end = node.knownInts(2)?.[0];
    const step = node.inputs[4] ? node.knownInts(4)?.[0] : 1;
    if (!data || start === undefined || end === undefined || !step) return undefined;
    return slicedPlaces(data.length, start, end, step).map((place) => data[place]!);
  },
  Expand: (node, length) => {
    const data = known(node, 0);
    return data?.length === 1 ? new Array<Dim>(length).fill(data[0]!) : data;
  },
  Tile: (node, length) => {
    const data = known(node, 0);
    return data && data.length > 0 ? Array.from({ length }, (_, i) => data[i % data.length]!) : undefined;
  },
  ReduceProd(node) {
    const data = known(node, 0);
    return data ? [product(data)] : undefined;
  },
  ReduceSum(node) {
    const data = known(node, 0);
    return data ? [data.reduce(addDims, 0)] : undefined;
  },
  ReduceMax(node) {
    const data = node.knownInts(0);
    return data && data.length > 0 ? [Math.max(...data)] : undefined;
  },
  ReduceMin(node) {
    const data = node.knownInts(0);
    return data && data.length > 0 ? [Math.min(...data)] : undefined;
  },
};

/** Tables of pads are [n, 2] on their way through Reshape, Slice and Transpose (PyTorch's exporter). */
const MATRIX_RULES: typeof RULES = {
  Identity: same,
  Reshape: same,
  Squeeze: same,
  Unsqueeze: same,
  Flatten: same,
  Cast: RULES["Cast"]!,
  Transpose(node) {
    const data = known(node, 0), shape = node.input(0).shape;
    if (!data || shape.length !== 2 || !isStatic(shape)) return undefined;
    const [rows, columns] = shape as readonly [number, number];
    if (node.ints("perm", [1, 0])[0] === 0) return data;
    return Array.from({ length: rows * columns }, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)]!);
  },
  Slice(node) {
    const data = known(node, 0), shape = node.input(0).shape;
    const [starts, ends] = [node.knownInts(1), node.knownInts(2)];
    const axes = node.inputs[3] ? node.knownInts(3) : [0], steps = node.inputs[4] ? node.knownInts(4) : [1];
    if (!data || shape.length !== 2 || !isStatic(shape) || starts?.length !== 1 || !ends || !axes || !steps) {
      return undefined;
    }
    const [rows, columns] = shape as readonly [number, number];
    const axis = node.axis(axes[0]!, 2);
    const picked = slicedPlaces(axis === 0 ? rows : columns, starts[0]!, ends[0]!, steps[0]!);
    const all = (size: number) => Array.from({ length: size }, (_, i) => i);
    const across = axis === 0 ? all(columns) : picked;
    return (axis === 0 ? picked : all(rows)).flatMap((row) => across.map((column) => data[row * columns + column]!));
  },
};

/** The places that a slice of one dimension takes. */
function slicedPlaces(size: number, start: number, end: number, step: number): number[] {
  const clamp = (index: number, low: number, high: number) =>
    Math.min(high, Math.max(low, index < 0 ? index + size : index));
  const result: number[] = [];
  if (step > 0) { for (let i = clamp(start, 0, size); i < clamp(end, 0, size); i += step) result.push(i); }
  else for (let i = clamp(start, 0, size - 1); i > clamp(end, -1, size - 1); i += step) result.push(i);
  return result;
}

function cast(element: Dim, dtype: DType): Dim {
  if (typeof element === "string") return element;
  if (dtype === "bool") return Number(element !== 0);
  return /^u?int/.test(dtype) ? Math.trunc(element) : element;
}
