/**
 * ONNX model files: a typed graph builder with shape inference, reading, writing, checking and rewriting.
 *
 * A `Graph` holds inputs, initialisers (parameters and constants), nodes and outputs. Operators are functions on
 * values: `const y = relu(conv(x, w, { bias, pads: 1 }))` appends two nodes and infers their shapes at once; a mistake
 * throws an `OnnxError` that names operator, values and shapes. In memory a graph always speaks opset 17;
 * `toModel` and `fromModel` translate.
 */

export type { Attribute, AttributeKind, AttributeValues, PlainAttribute } from "./attributes.ts";
export { assertValid, checkModel, type Problem } from "./check.ts";
export { dataTypeOf, dtypeOf } from "./data_type.ts";
export * from "./dims.ts";
export * from "./errors.ts";
export { fuzzReaders, type FuzzReport } from "./fuzz.ts";
export { compactWeights, type WeightStorage } from "./compact_weights.ts";
export { foldBatchNormalization } from "./fold_batch_norm.ts";
export type { ConstantSource } from "./constant.ts";
export { type ConstantOptions, Graph, type NodeOptions, type ParameterInit } from "./graph.ts";
export { inferTypes } from "./infer.ts";
export { modelFiles } from "./model_files.ts";
export { Node } from "./node.ts";
export * from "./ops/mod.ts";
export { orderModel } from "./order.ts";
export { fromFile, fromModel } from "./read.ts";
export { knownOperators, type OperatorSpec, operatorSpec, type ValueType } from "./registry.ts";
export { foldConstants, insertAfter, removeDead, replaceUses, sortNodes, takeOver } from "./rewrite.ts";
export {
  decodeSafetensors,
  encodeSafetensors,
  exportWeights,
  importWeights,
  readSafetensors,
  readSafetensorsHeader,
  type Safetensors,
  type SafetensorsHeader,
  writeSafetensors,
} from "./safetensors.ts";
export {
  ancestors,
  copyGraph,
  type CopyOptions,
  cutGraph,
  type GraphSummary,
  inline,
  type InlineOptions,
  joinGraphs,
  prefixValues,
  renameValues,
  summarize,
} from "./subgraph.ts";
export { fromTensorBytes } from "./tensor_proto.ts";
export { Value, type ValueKind } from "./value.ts";
export { irVersionOf, type ModelOptions, toFile, toModel } from "./write.ts";
export {
  allocate,
  type DType,
  elementCount,
  elementSize,
  isFloat,
  type Tensor,
  tensor,
  type TensorData,
  toNumbers,
  zeros,
} from "../runtime/mod.ts";
