/** Shapes as values, ranges and fills, casts, and the identity. */

import { addDims, divDims, product, subDims } from "../dims.ts";
import { type DType, type Tensor, tensor } from "../../runtime/mod.ts";
import { tensorType } from "../constant.ts";
import type { Node } from "../node.ts";
import { defineOperator } from "../registry.ts";
import type { Value } from "../value.ts";
import { dataTypeOf, dtypeOf } from "../data_type.ts";
import { apply, type Named, type Operand } from "./operand.ts";
import { targetShape } from "./layout.ts";

defineOperator("Identity", { inputs: ["x"], infer: (node) => [{ ...node.input(0).type! }] });
defineOperator("Shape", {
  inputs: ["x"],
  attributes: { start: ["int", 0], end: "int" },
  since: 15,
  infer(node) {
    const { shape } = node.input(0);
    const clamp = (at: number) => Math.min(shape.length, Math.max(0, at < 0 ? at + shape.length : at));
    const elements = shape.slice(clamp(node.int("start")), clamp(node.int("end", shape.length)));
    return [{ dtype: "int64", shape: [elements.length], elements }];
  },
});
defineOperator("Size", {
  inputs: ["x"],
  infer: (node) => [{ dtype: "int64", shape: [], elements: [product(node.input(0).shape)] }],
});
defineOperator("Constant", {
  inputs: [],
  attributes: {
    value: "tensor",
    value_float: "float",
    value_floats: "floats",
    value_int: "int",
    value_ints: "ints",
    value_string: "string",
    value_strings: "strings",
  },
  infer: (node) => [tensorType(constantValue(node))],
});
defineOperator("ConstantOfShape", {
  inputs: ["shape"],
  attributes: { value: "tensor" },
  since: 9,
  infer(node) {
    const shape = targetShape(node, 0);
    const value = node.attribute("value");
    if (value && (value.kind !== "tensor" || value.value.data.length !== 1)) {
      throw node.fail(`expected a value of one element`);
    }
    const fill = value?.kind === "tensor" ? value.value : tensor("float32", [1], [0]);
    const short = shape.length === 1 && typeof shape[0] === "number" && shape[0] <= 1024 && fill.dtype !== "string";
    const elements = short ? new Array<number>(Number(shape[0])).fill(Number(fill.data[0])) : undefined;
    return [{ dtype: fill.dtype, shape, elements }];
  },
});
defineOperator("Range", {
  inputs: ["start", "limit", "delta"],
  since: 11,
  infer(node) {
    const dtype = (node.dtypeOf(0, ["float32", "float64", "int16", "int32", "int64"]), node.sameDType(0, 1, 2));
    const [start, limit, delta] = [0, 1, 2].map((i) => node.inputs[i]?.elements?.[0]);
    if (start === undefined || limit === undefined || delta === undefined || delta === 0) {
      return [{ dtype, shape: [node.unknownDim(0, 0)] }];
    }
    if (typeof start === "number" && typeof limit === "number" && typeof delta === "number") {
      const count = Math.max(0, Math.ceil((limit - start) / delta));
      const elements = count <= 1024 ? Array.from({ length: count }, (_, i) => start + i * delta) : undefined;
      return [{ dtype, shape: [count], elements }];
    }
    const length = divDims(addDims(subDims(limit, start), subDims(delta, 1)), delta);
    return [{ dtype, shape: [length] }];
  },
});
defineOperator("Cast", {
  inputs: ["x"],
  attributes: { to: "int!", saturate: ["int", 1] },
  since: 9,
  infer(node) {
    const dtype = dtypeOf(node.int("to"));
    if (!dtype) throw node.fail(`expected an element type that is known, found ${node.int("to")}`);
    return [{ dtype, shape: node.input(0).shape }];
  },
});
defineOperator("CastLike", {
  inputs: ["x", "like"],
  since: 15,
  infer: (node) => [{ dtype: node.input(1).dtype, shape: node.input(0).shape }],
});
defineOperator("EyeLike", {
  inputs: ["x"],
  attributes: { dtype: "int", k: ["int", 0] },
  since: 9,
  infer(node) {
    const dtype = node.has("dtype") ? dtypeOf(node.int("dtype")) : node.input(0).dtype;
    if (!dtype) throw node.fail(`expected an element type that is known, found ${node.int("dtype")}`);
    return [{ dtype, shape: node.expectRank(0, 2) }];
  },
});

/** The tensor that a Constant node holds. Throws OnnxError unless exactly one attribute is there. */
export function constantValue(node: Node): Tensor {
  const [attribute, ...others] = node.attributes.values();
  if (!attribute || others.length > 0) throw node.fail(`expected one attribute, found ${node.attributes.size}`);
  switch (attribute.kind) {
    case "tensor":
      return attribute.value;
    case "float":
      return tensor("float32", [], [attribute.value]);
    case "int":
      return tensor("int64", [], [attribute.value]);
    case "string":
      return tensor("string", [], [attribute.value]);
    case "floats":
      return tensor("float32", [attribute.value.length], attribute.value);
    case "ints":
      return tensor("int64", [attribute.value.length], attribute.value);
    case "strings":
      return tensor("string", [attribute.value.length], [...attribute.value]);
    default:
      throw node.fail(`expected a tensor, numbers or strings, found ${attribute.kind}`);
  }
}

/** x itself under another name. */
export const identity = (x: Value, options?: Named): Value => apply("Identity", [x], {}, options);
/** The sizes of x, int64; `start` and `end` choose dimensions. */
export const shape = (x: Value, options: Named & { start?: number; end?: number } = {}): Value =>
  apply("Shape", [x], { start: options.start, end: options.end }, options);
/** The number of elements of x, an int64 scalar. */
export const size = (x: Value, options?: Named): Value => apply("Size", [x], {}, options);

/** A tensor of the shape given, filled with one number (default 0) of a type (default float32). */
export function constantOfShape(
  target: Value,
  options: Named & { value?: number; dtype?: DType } = {},
): Value {
  const value = tensor(options.dtype ?? "float32", [1], [options.value ?? 0]);
  return apply("ConstantOfShape", [target], { value }, options);
}

/** start, start + delta, … below limit; scalars of one type. At least one operand must be a value. */
export const range = (start: Operand, limit: Operand, delta: Operand, options?: Named): Value =>
  apply("Range", [start, limit, delta], {}, options);

/** x with elements of another type (floats to integers towards zero). */
export const cast = (x: Value, dtype: DType, options?: Named): Value =>
  apply("Cast", [x], { to: dataTypeOf(dtype) }, options);
