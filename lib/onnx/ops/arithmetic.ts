/** Elementwise arithmetic, with NumPy broadcasting for two and more operands. */

import { defineOperator } from "../registry.ts";
import type { Value } from "../value.ts";
import {
  apply,
  broadcasting,
  broadcastInputs,
  defineUnary,
  FLOATS,
  type Named,
  NUMBERS,
  type Operand,
} from "./operand.ts";

for (const opType of ["Add", "Sub", "Mul", "Div"]) {
  defineOperator(opType, { inputs: ["a", "b"], since: 7, infer: broadcasting(NUMBERS) });
}
defineOperator("Mod", {
  inputs: ["a", "b"],
  attributes: { fmod: ["int", 0] },
  since: 10,
  infer(node) {
    const types = broadcasting(NUMBERS)(node);
    if (FLOATS.includes(types[0]!.dtype) && node.int("fmod") === 0) {
      throw node.fail(`expected fmod 1 for ${types[0]!.dtype}, found 0`);
    }
    return types;
  },
});
defineOperator("Pow", {
  inputs: ["a", "b"],
  since: 7,
  infer: (node) => [{ dtype: node.dtypeOf(0, [...FLOATS, "int32", "int64"]), shape: broadcastInputs(node) }],
});
for (const opType of ["Min", "Max"]) {
  defineOperator(opType, { inputs: ["x", "x*"], since: 8, infer: broadcasting(NUMBERS) });
}
for (const opType of ["Sum", "Mean"]) {
  defineOperator(opType, { inputs: ["x", "x*"], since: 8, infer: broadcasting(FLOATS) });
}
defineUnary(["Neg", "Abs", "Sign"], NUMBERS);
defineUnary(["Sqrt", "Reciprocal", "Exp", "Log", "Floor", "Ceil", "Round"], FLOATS);
defineUnary(["Erf"], NUMBERS);
defineUnary(["Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh"], FLOATS);
defineOperator("Clip", {
  inputs: ["x", "min?", "max?"],
  since: 11,
  infer(node) {
    for (const index of [1, 2]) {
      const bound = node.inputs[index];
      if (bound && bound.shape.length > 0 && String(bound.shape) !== "1") {
        throw node.fail(`expected ${node.describe(index)} to be a scalar`);
      }
    }
    node.dtypeOf(0, NUMBERS);
    return [{ dtype: node.sameDType(0, 1, 2), shape: node.input(0).shape }];
  },
});

/** a + b. */
export const add = (a: Operand, b: Operand, options?: Named): Value => apply("Add", [a, b], {}, options);
/** a − b. */
export const sub = (a: Operand, b: Operand, options?: Named): Value => apply("Sub", [a, b], {}, options);
/** a · b, element by element. */
export const mul = (a: Operand, b: Operand, options?: Named): Value => apply("Mul", [a, b], {}, options);
/** a / b; for integers truncated towards zero. */
export const div = (a: Operand, b: Operand, options?: Named): Value => apply("Div", [a, b], {}, options);
/** a to the power b; b may have another type. */
export const pow = (a: Operand, b: Operand, options?: Named): Value => apply("Pow", [a, b], {}, options);
/** Remainder: with the divisor's sign, or with the dividend's (`fmod`, as floats need it). */
export const mod = (a: Operand, b: Operand, options: Named & { fmod?: boolean } = {}): Value =>
  apply("Mod", [a, b], { fmod: options.fmod }, options);

/** −x. */
export const neg = (x: Value, options?: Named): Value => apply("Neg", [x], {}, options);
/** |x|. */
export const abs = (x: Value, options?: Named): Value => apply("Abs", [x], {}, options);
/** −1, 0 or 1. */
export const sign = (x: Value, options?: Named): Value => apply("Sign", [x], {}, options);
/** √x. */
export const sqrt = (x: Value, options?: Named): Value => apply("Sqrt", [x], {}, options);
/** 1 / x. */
export const reciprocal = (x: Value, options?: Named): Value => apply("Reciprocal", [x], {}, options);
/** e^x. */
export const exp = (x: Value, options?: Named): Value => apply("Exp", [x], {}, options);
/** Natural logarithm. */
export const log = (x: Value, options?: Named): Value => apply("Log", [x], {}, options);
/** The Gauss error function. */
export const erf = (x: Value, options?: Named): Value => apply("Erf", [x], {}, options);
/** Sine of radians. */
export const sin = (x: Value, options?: Named): Value => apply("Sin", [x], {}, options);
/** Cosine of radians. */
export const cos = (x: Value, options?: Named): Value => apply("Cos", [x], {}, options);
/** Arc tangent, in radians. */
export const atan = (x: Value, options?: Named): Value => apply("Atan", [x], {}, options);
/** The largest integer not above x. */
export const floor = (x: Value, options?: Named): Value => apply("Floor", [x], {}, options);
/** The smallest integer not below x. */
export const ceil = (x: Value, options?: Named): Value => apply("Ceil", [x], {}, options);
/** The nearest integer, halves to the even one. */
export const round = (x: Value, options?: Named): Value => apply("Round", [x], {}, options);

/** The smallest of the operands, element by element. */
export const min = (inputs: readonly Operand[], options?: Named): Value => apply("Min", inputs, {}, options);
/** The largest of the operands, element by element. */
export const max = (inputs: readonly Operand[], options?: Named): Value => apply("Max", inputs, {}, options);
/** The sum of any number of operands. */
export const sum = (inputs: readonly Operand[], options?: Named): Value => apply("Sum", inputs, {}, options);
/** The mean of any number of operands. */
export const mean = (inputs: readonly Operand[], options?: Named): Value => apply("Mean", inputs, {}, options);

/** x held within [low, high]; a bound left out is open. */
export const clip = (x: Value, low?: Operand, high?: Operand, options?: Named): Value =>
  apply("Clip", [x, low, high], {}, options);
