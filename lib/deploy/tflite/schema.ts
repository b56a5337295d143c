/**
 * What is needed of TFLite's schema, version 3 (tensorflow/lite/schema/schema.fbs): numbers of types, operators and options, and the fields of
 * their tables. Numbers never change: the format only grows.
 */

/** `TensorType`. */
export const TENSOR_TYPES = {
  FLOAT32: 0,
  FLOAT16: 1,
  INT32: 2,
  UINT8: 3,
  INT64: 4,
  BOOL: 6,
  INT16: 7,
  INT8: 9,
} as const;

/** See `TENSOR_TYPES`. */
export type TfliteType = keyof typeof TENSOR_TYPES;

/** `Padding`. SAME: as many results as places / stride, rounded up, the odd row of zeros at the end. */
export const PADDINGS = { SAME: 0, VALID: 1 } as const;

/** See `PADDINGS`. */
export type TflitePadding = keyof typeof PADDINGS;

/** `ActivationFunctionType`: what an operator does to its result as it writes it. */
export const FUSED = { NONE: 0, RELU: 1, RELU_N1_TO_1: 2, RELU6: 3 } as const;

/** See `FUSED`. */
export type TfliteActivation = keyof typeof FUSED;

/** A field of an options table: its name, its type, and what it is where it is absent. Its place is its field id. */
export type OptionField =
  | readonly [name: string, type: "padding" | "activation" | "int8" | "int32", fallback: number]
  | readonly [name: string, type: "float32", fallback: number]
  | readonly [name: string, type: "bool", fallback: boolean]
  | readonly [name: string, type: "int32[]", fallback: null];

/** The tables of the union `BuiltinOptions`: their number in the union and their fields in order. */
export const OPTION_TABLES = {
  Conv2DOptions: {
    type: 1,
    fields: [
      ["padding", "padding", 0],
      ["strideW", "int32", 0],
      ["strideH", "int32", 0],
      ["activation", "activation", 0],
      ["dilationW", "int32", 1],
      ["dilationH", "int32", 1],
    ],
  },
  DepthwiseConv2DOptions: {
    type: 2,
    fields: [
      ["padding", "padding", 0],
      ["strideW", "int32", 0],
      ["strideH", "int32", 0],
      ["depthMultiplier", "int32", 0],
      ["activation", "activation", 0],
      ["dilationW", "int32", 1],
      ["dilationH", "int32", 1],
    ],
  },
  Pool2DOptions: {
    type: 5,
    fields: [
      ["padding", "padding", 0],
      ["strideW", "int32", 0],
      ["strideH", "int32", 0],
      ["filterWidth", "int32", 0],
      ["filterHeight", "int32", 0],
      ["activation", "activation", 0],
    ],
  },
  FullyConnectedOptions: {
    type: 8,
    fields: [["activation", "activation", 0], ["weightsFormat", "int8", 0], ["keepNumDims", "bool", false]],
  },
  SoftmaxOptions: { type: 9, fields: [["beta", "float32", 0]] },
  ConcatenationOptions: { type: 10, fields: [["axis", "int32", 0], ["activation", "activation", 0]] },
  AddOptions: { type: 11, fields: [["activation", "activation", 0]] },
  ReshapeOptions: { type: 17, fields: [["newShape", "int32[]", null]] },
  MulOptions: { type: 21, fields: [["activation", "activation", 0]] },
  PadOptions: { type: 22, fields: [] },
  ReducerOptions: { type: 27, fields: [["keepDims", "bool", false]] },
  MaximumMinimumOptions: { type: 39, fields: [] },
  ResizeNearestNeighborOptions: {
    type: 74,
    fields: [["alignCorners", "bool", false], ["halfPixelCenters", "bool", false]],
  },
  LeakyReluOptions: { type: 75, fields: [["alpha", "float32", 0]] },
  QuantizeOptions: { type: 89, fields: [] },
  HardSwishOptions: { type: 91, fields: [] },
} as const satisfies Record<string, { readonly type: number; readonly fields: readonly OptionField[] }>;

/** See `OPTION_TABLES`. */
export type OptionTable = keyof typeof OPTION_TABLES;

/**
 * Operators that are written, with their number in `BuiltinOperator`, the table of their options, the version that computes in int8
 * (tensorflow/lite/tools/versioning/op_version.cc) and the runtime that brought it (runtime_version.cc).
 */
export const OPERATORS = {
  ADD: { code: 0, options: "AddOptions", version: 2, runtime: "1.14.0" },
  AVERAGE_POOL_2D: { code: 1, options: "Pool2DOptions", version: 2, runtime: "1.14.0" },
  CONCATENATION: { code: 2, options: "ConcatenationOptions", version: 2, runtime: "1.14.0" },
  CONV_2D: { code: 3, options: "Conv2DOptions", version: 3, runtime: "1.14.0" },
  DEPTHWISE_CONV_2D: { code: 4, options: "DepthwiseConv2DOptions", version: 3, runtime: "1.14.0" },
  DEQUANTIZE: { code: 6, options: undefined, version: 2, runtime: "1.14.0" },
  FULLY_CONNECTED: { code: 9, options: "FullyConnectedOptions", version: 4, runtime: "1.14.0" },
  LOGISTIC: { code: 14, options: undefined, version: 2, runtime: "1.14.0" },
  MAX_POOL_2D: { code: 17, options: "Pool2DOptions", version: 2, runtime: "1.14.0" },
  MUL: { code: 18, options: "MulOptions", version: 2, runtime: "1.14.0" },
  RELU: { code: 19, options: undefined, version: 2, runtime: "2.1.0" },
  RELU_N1_TO_1: { code: 20, options: undefined, version: 1, runtime: "1.5.0" },
  RELU6: { code: 21, options: undefined, version: 2, runtime: "2.1.0" },
  RESHAPE: { code: 22, options: "ReshapeOptions", version: 1, runtime: "1.5.0" },
  SOFTMAX: { code: 25, options: "SoftmaxOptions", version: 2, runtime: "1.14.0" },
  PAD: { code: 34, options: "PadOptions", version: 2, runtime: "1.14.0" },
  MEAN: { code: 40, options: "ReducerOptions", version: 2, runtime: "1.14.0" },
  MAXIMUM: { code: 55, options: "MaximumMinimumOptions", version: 2, runtime: "1.14.0" },
  RESIZE_NEAREST_NEIGHBOR: { code: 97, options: "ResizeNearestNeighborOptions", version: 2, runtime: "1.14.0" },
  LEAKY_RELU: { code: 98, options: "LeakyReluOptions", version: 2, runtime: "2.3.0" },
  QUANTIZE: { code: 114, options: "QuantizeOptions", version: 2, runtime: "1.15.0" },
  HARD_SWISH: { code: 117, options: "HardSwishOptions", version: 1, runtime: "1.15.0" },
} as const satisfies Record<
  string,
  {
    readonly code: number;
    readonly options: OptionTable | undefined;
    readonly version: number;
    readonly runtime: string;
  }
>;

/** See `OPERATORS`. */
export type WrittenOperator = keyof typeof OPERATORS;

/** Other numbers of `BuiltinOperator`, so that files of others can be named and judged. */
export const OTHER_OPERATORS: Readonly<Record<number, string>> = {
  ...{
    5: "DEPTH_TO_SPACE",
    11: "L2_NORMALIZATION",
    16: "LSTM",
    23: "RESIZE_BILINEAR",
    26: "SPACE_TO_DEPTH",
    28: "TANH",
  },
  ...{
    32: "CUSTOM",
    36: "GATHER",
    39: "TRANSPOSE",
    41: "SUB",
    42: "DIV",
    43: "SQUEEZE",
    45: "STRIDED_SLICE",
    47: "EXP",
  },
  ...{ 49: "SPLIT", 50: "LOG_SOFTMAX", 53: "CAST", 54: "PRELU", 57: "MINIMUM", 65: "SLICE", 67: "TRANSPOSE_CONV" },
  ...{
    70: "EXPAND_DIMS",
    74: "SUM",
    76: "RSQRT",
    82: "REDUCE_MAX",
    83: "PACK",
    89: "REDUCE_MIN",
    99: "SQUARED_DIFFERENCE",
  },
  ...{ 105: "REVERSE_V2", 126: "BATCH_MATMUL" },
};

/** Codes from here on have no place in the old one-byte field, which then holds this number. */
export const GREATER_CODES = 127;

/** The file identifier, bytes 4 to 7 of every file. */
export const FILE_IDENTIFIER = "TFL3";
