/** Quantisation to 8 bits and back, and products of quantised tensors. */

import { mayEqual } from "../dims.ts";
import type { Node } from "../node.ts";
import { defineOperator } from "../registry.ts";
import type { Value } from "../value.ts";
import { matMulShape } from "./linear.ts";
import { apply, type Named } from "./operand.ts";

defineOperator("QuantizeLinear", {
  inputs: ["x", "scale", "zero_point?"],
  attributes: { axis: ["int", 1] },
  since: 13,
  infer(node) {
    node.dtypeOf(0, ["float32", "int32", "float16"]);
    expectScale(node);
    const dtype = node.inputs[2] ? node.dtypeOf(2, ["uint8", "int8", "uint16", "int16"]) : "uint8";
    return [{ dtype, shape: node.input(0).shape }];
  },
});
defineOperator("DequantizeLinear", {
  inputs: ["x", "scale", "zero_point?"],
  attributes: { axis: ["int", 1] },
  since: 13,
  infer(node) {
    node.dtypeOf(0, ["uint8", "int8", "int32", "uint16", "int16"]);
    expectScale(node);
    node.sameDType(0, 2);
    return [{ dtype: node.input(1).dtype, shape: node.input(0).shape }];
  },
});
defineOperator("DynamicQuantizeLinear", {
  inputs: ["x"],
  outputs: ["y", "scale", "zero_point"],
  since: 11,
  infer(node) {
    node.dtypeOf(0, ["float32"]);
    return [
      { dtype: "uint8", shape: node.input(0).shape },
      { dtype: "float32", shape: [] },
      { dtype: "uint8", shape: [] },
    ];
  },
});
defineOperator("MatMulInteger", {
  inputs: ["a", "b", "a_zero_point?", "b_zero_point?"],
  since: 10,
  infer: (node) => [{ dtype: "int32", shape: matMulShape(node, 0, 1) }],
});
defineOperator("QLinearMatMul", {
  inputs: ["a", "a_scale", "a_zero_point", "b", "b_scale", "b_zero_point", "y_scale", "y_zero_point"],
  since: 10,
  infer: (node) => [{ dtype: node.input(7).dtype, shape: matMulShape(node, 0, 3) }],
});

function expectScale(node: Node): void {
  const x = node.input(0), scale = node.input(1);
  if (scale.rank === 0 || String(scale.shape) === "1") return;
  const axis = node.axis(node.int("axis"), x.rank);
  if (scale.rank !== 1 || !mayEqual(scale.shape[0]!, x.shape[axis]!)) {
    throw node.fail(`expected ${node.describe(1)} to be a scalar or [${x.shape[axis]}], dimension ${axis} of the data`);
  }
}

/** clip(round(x / scale) + zeroPoint); the zero point's type (default uint8) decides the result's. */
export const quantizeLinear = (
  x: Value,
  scale: Value,
  zeroPoint?: Value,
  options: Named & { axis?: number } = {},
): Value => apply("QuantizeLinear", [x, scale, zeroPoint], { axis: options.axis }, options);

/** (x − zeroPoint) · scale. */
export const dequantizeLinear = (
  x: Value,
  scale: Value,
  zeroPoint?: Value,
  options: Named & { axis?: number } = {},
): Value => apply("DequantizeLinear", [x, scale, zeroPoint], { axis: options.axis }, options);
