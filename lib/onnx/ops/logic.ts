/** Comparison, logic, tests for non-finite numbers, and selection. */

import { defineOperator } from "../registry.ts";
import type { Value } from "../value.ts";
import { apply, broadcasting, broadcastInputs, FLOATS, type Named, NUMBERS, type Operand } from "./operand.ts";

for (const opType of ["Greater", "Less", "GreaterOrEqual", "LessOrEqual"]) {
  defineOperator(opType, {
    inputs: ["a", "b"],
    since: opType.endsWith("OrEqual") ? 12 : 9,
    infer: broadcasting(NUMBERS, "bool"),
  });
}
defineOperator("Equal", { inputs: ["a", "b"], since: 11, infer: broadcasting([...NUMBERS, "bool"], "bool") });
for (const opType of ["And", "Or", "Xor"]) {
  defineOperator(opType, { inputs: ["a", "b"], since: 7, infer: broadcasting(["bool"]) });
}
defineOperator("Not", {
  inputs: ["x"],
  infer: (node) => [{ dtype: node.dtypeOf(0, ["bool"]), shape: node.input(0).shape }],
});
defineOperator("IsNaN", {
  inputs: ["x"],
  since: 9,
  infer(node) {
    node.dtypeOf(0, FLOATS);
    return [{ dtype: "bool", shape: node.input(0).shape }];
  },
});
defineOperator("IsInf", {
  inputs: ["x"],
  attributes: { detect_negative: ["int", 1], detect_positive: ["int", 1] },
  since: 10,
  infer(node) {
    node.dtypeOf(0, ["float32", "float64"]);
    return [{ dtype: "bool", shape: node.input(0).shape }];
  },
});
defineOperator("Where", {
  inputs: ["condition", "a", "b"],
  since: 9,
  infer(node) {
    node.dtypeOf(0, ["bool"]);
    return [{ dtype: node.sameDType(1, 2), shape: broadcastInputs(node) }];
  },
});

/** a > b. */
export const greater = (a: Operand, b: Operand, options?: Named): Value => apply("Greater", [a, b], {}, options);
/** a < b. */
export const less = (a: Operand, b: Operand, options?: Named): Value => apply("Less", [a, b], {}, options);
/** a ≥ b. */
export const greaterOrEqual = (a: Operand, b: Operand, options?: Named): Value =>
  apply("GreaterOrEqual", [a, b], {}, options);
/** a ≤ b. */
export const lessOrEqual = (a: Operand, b: Operand, options?: Named): Value =>
  apply("LessOrEqual", [a, b], {}, options);
/** a = b. */
export const equal = (a: Operand, b: Operand, options?: Named): Value => apply("Equal", [a, b], {}, options);
/** Both, on booleans. */
export const and = (a: Value, b: Value, options?: Named): Value => apply("And", [a, b], {}, options);
/** Either or both, on booleans. */
export const or = (a: Value, b: Value, options?: Named): Value => apply("Or", [a, b], {}, options);
/** Exactly one, on booleans. */
export const xor = (a: Value, b: Value, options?: Named): Value => apply("Xor", [a, b], {}, options);
/** The opposite, of booleans. */
export const not = (x: Value, options?: Named): Value => apply("Not", [x], {}, options);
/** Whether an element is not a number. */
export const isNaN = (x: Value, options?: Named): Value => apply("IsNaN", [x], {}, options);
/** Whether an element is infinite. */
export const isInf = (x: Value, options?: Named): Value => apply("IsInf", [x], {}, options);
/** a where the condition holds, else b; a number takes the other's type. Throws OnnxError when both are numbers. */
export function where(condition: Value, a: Operand, b: Operand, options?: Named): Value {
  const like = typeof a === "object" ? a : typeof b === "object" ? b : undefined;
  const { graph } = condition;
  const dtype = like?.dtype ?? "float32";
  const value = (operand: Operand) => typeof operand === "number" ? graph.constant(operand, { dtype }) : operand;
  return apply("Where", [condition, value(a), value(b)], {}, options);
}
