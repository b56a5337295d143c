/** Activations: elementwise non-linearities, and softmax along an axis. */

import { broadcastShapes } from "../dims.ts";
import { defineOperator } from "../registry.ts";
import type { Value } from "../value.ts";
import { apply, defineUnary, FLOATS, type Named, sameAsInput } from "./operand.ts";

defineUnary(["Relu"], [...FLOATS, "int8", "int16", "int32", "int64"]);
defineUnary(["Sigmoid", "Tanh", "Softplus", "Softsign", "HardSwish"], FLOATS);
defineUnary(["LeakyRelu"], FLOATS, { alpha: ["float", 0.01] });
defineUnary(["Elu"], FLOATS, { alpha: ["float", 1] });
defineUnary(["Celu"], FLOATS, { alpha: ["float", 1] });
defineUnary(["ThresholdedRelu"], FLOATS, { alpha: ["float", 1] });
defineUnary(["Selu"], FLOATS, {
  alpha: ["float", 1.67326319217681884765625],
  gamma: ["float", 1.05070102214813232421875],
});
defineUnary(["HardSigmoid"], FLOATS, { alpha: ["float", 0.2], beta: ["float", 0.5] });
defineOperator("Gelu", {
  inputs: ["x"],
  attributes: { approximate: ["string", "none"] },
  since: 20,
  infer(node) {
    const approximate = node.string("approximate");
    if (approximate !== "none" && approximate !== "tanh") {
      throw node.fail(`expected approximate to be none or tanh, found ${approximate}`);
    }
    return sameAsInput(FLOATS)(node);
  },
});
defineOperator("Mish", { inputs: ["x"], since: 18, infer: sameAsInput(FLOATS) });
defineOperator("PRelu", {
  inputs: ["x", "slope"],
  since: 7,
  infer(node) {
    const { shape } = node.input(0);
    const result = broadcastShapes(shape, node.input(1).shape);
    if (!result || result.length !== shape.length) {
      throw node.fail(`expected ${node.describe(1)} to broadcast to ${node.describe(0)}`);
    }
    return [{ dtype: node.sameDType(0, 1), shape }];
  },
});
for (const opType of ["Softmax", "LogSoftmax", "Hardmax"]) {
  defineOperator(opType, {
    inputs: ["x"],
    attributes: { axis: ["int", -1] },
    since: 13,
    infer(node) {
      node.axis(node.int("axis"), node.input(0).rank);
      return sameAsInput(FLOATS)(node);
    },
  });
}

/** max(x, 0). */
export const relu = (x: Value, options?: Named): Value => apply("Relu", [x], {}, options);
/** x for x ≥ 0, else alpha · x (default 0.01). */
export const leakyRelu = (x: Value, options: Named & { alpha?: number } = {}): Value =>
  apply("LeakyRelu", [x], { alpha: options.alpha }, options);
/** x for x ≥ 0, else slope · x; slope broadcasts to x. */
export const pRelu = (x: Value, slope: Value, options?: Named): Value => apply("PRelu", [x, slope], {}, options);
/** 1 / (1 + e^−x). */
export const sigmoid = (x: Value, options?: Named): Value => apply("Sigmoid", [x], {}, options);
/** max(0, min(1, alpha · x + beta)); by default 0.2 and 0.5 (PyTorch's is 1/6 and 0.5). */
export const hardSigmoid = (x: Value, options: Named & { alpha?: number; beta?: number } = {}): Value =>
  apply("HardSigmoid", [x], { alpha: options.alpha, beta: options.beta }, options);
/** x · max(0, min(1, x/6 + 1/2)) (Howard et al. 2019, MobileNetV3, section 5.2). */
export const hardSwish = (x: Value, options?: Named): Value => apply("HardSwish", [x], {}, options);
/** Hyperbolic tangent. */
export const tanh = (x: Value, options?: Named): Value => apply("Tanh", [x], {}, options);
/** log(1 + e^x). */
export const softplus = (x: Value, options?: Named): Value => apply("Softplus", [x], {}, options);
/** x / (1 + |x|). */
export const softsign = (x: Value, options?: Named): Value => apply("Softsign", [x], {}, options);
/** x for x ≥ 0, else alpha · (e^x − 1) (Clevert et al. 2015). */
export const elu = (x: Value, options: Named & { alpha?: number } = {}): Value =>
  apply("Elu", [x], { alpha: options.alpha }, options);
/** Scaled ELU (Klambauer et al. 2017). */
export const selu = (x: Value, options?: Named): Value => apply("Selu", [x], {}, options);
/** x · Φ(x) (Hendrycks and Gimpel 2016); `tanh` chooses their approximation. Written as other operators below opset 20. */
export const gelu = (x: Value, options: Named & { approximate?: "none" | "tanh" } = {}): Value =>
  apply("Gelu", [x], { approximate: options.approximate }, options);
/** x · tanh(softplus(x)) (Misra 2019). Written as other operators below opset 18. */
export const mish = (x: Value, options?: Named): Value => apply("Mish", [x], {}, options);
/** x · sigmoid(x), also called swish; two nodes. */
export const silu = (x: Value, options?: Named): Value => apply("Mul", [x, sigmoid(x)], {}, options);
/** e^x over its sum along the axis (default: the last). */
export const softmax = (x: Value, options: Named & { axis?: number } = {}): Value =>
  apply("Softmax", [x], { axis: options.axis }, options);
/** The logarithm of softmax, computed stably. */
export const logSoftmax = (x: Value, options: Named & { axis?: number } = {}): Value =>
  apply("LogSoftmax", [x], { axis: options.axis }, options);
