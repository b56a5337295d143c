/**
 * The gradient of an ONNX graph as ONNX operators: `gradients(loss, [w1, w2])` appends the backward graph, which any ONNX
 * Runtime runs. One rule an operator, forward and backward side by side in `rules/`; more with `defineRule`.
 */

import "./rules/mod.ts";

export type { Device } from "../runtime/mod.ts";
export { Part } from "./accumulate.ts";
export { countOf, expandTo, filledLike, reshapeTo, shapeValue, sumTo, zerosLike } from "./broadcast.ts";
export { AutodiffError } from "./errors.ts";
export { gradients, type GradientsOptions } from "./gradients.ts";
export { poolFirst } from "./rewrites/pool_first.ts";
export { defineRule, operatorsWithRule, type Rule, type RuleContext } from "./rule.ts";
export { stopGradient, stopsGradient } from "./stop_gradient.ts";
