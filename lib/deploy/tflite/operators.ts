/** How each ONNX operator is written in TFLite. */

import type { Node } from "../../onnx/mod.ts";
import { elementCount, InputError } from "../../runtime/mod.ts";
import { type Activation, type Int8Quantizer, isSame, transposed } from "./builder.ts";
import { type WholeConstant, wholeConstant } from "./constants.ts";
import { channelsLast, type NodeContext, rectification } from "./context.ts";
import type { WrittenOperator } from "./schema.ts";
import { type Windows, windowsOf } from "./window.ts";

/** By ONNX's name; each appends operators and returns the node's result. */
export const CONVERTERS: Readonly<Record<string, (context: NodeContext) => Activation>> = {
  Conv: convolution,
  Gemm: fullyConnected,
  MatMul: fullyConnected,
  Add: (context) => elementwise(context, "ADD"),
  Mul: (context) => elementwise(context, "MUL"),
  MaxPool: pool,
  AveragePool: pool,
  GlobalAveragePool: (context) => mean(context, { keepDims: true }),
  ReduceMean: reduceMean,
  Concat: concatenation,
  Reshape: reshape,
  Flatten: reshape,
  Squeeze: reshape,
  Unsqueeze: reshape,
  Identity: ({ input }) => input(0),
  Relu: rectifier,
  Clip: rectifier,
  LeakyRelu: leakyRelu,
  Sigmoid: (context) => fixedScale(context, "LOGISTIC"),
  Softmax: softmax,
  HardSwish: (context) => unary(context, "HARD_SWISH"),
  Resize: resize,
};

/** The scale of results in 0 … 1, which TFLite fixes (its int8 quantization specification: LOGISTIC, SOFTMAX). */
const UNIT: Int8Quantizer = { scale: 1 / 256, zeroPoint: -128 };

function convolution({ node, builder, place, input, result }: NodeContext): Activation {
  const x = input(0), weight = wholeConstant(node.input(1), "int8", place), group = node.int("group", 1);
  if (weight.shape.length !== 4) {
    throw new InputError(`${place}: expected a convolution over rows and columns, found weights [${weight.shape}]`);
  }
  const [filters, perGroup, rows, columns] = weight.shape as [number, number, number, number];
  const channels = x.shape[3]!, isDepthwise = group > 1 && group === channels && perGroup === 1;
  if (group !== 1 && !isDepthwise) {
    throw new InputError(`${place}: expected 1 group or one a channel (${channels}), found ${group}`);
  }
  const { name, quantizer, activation } = result();
  const windows = windowsOf(node, [x.shape[1]!, x.shape[2]!], [rows, columns], place);
  const source = windows.pads ? builder.padded(x, windows.pads, `${name}.padded`) : x;
  // Filters, rows, columns, channels; of a depthwise layer rows, columns, and all filters as channels.
  const order = isDepthwise ? [1, 2, 3, 0] : [0, 2, 3, 1], axis = isDepthwise ? 3 : 0;
  const kernel = builder.constant({
    ...{ name: node.input(1).name, type: "INT8", shape: order.map((each) => weight.shape[each]!) },
    data: transposed(weight.data, weight.shape, order),
    quantization: perFilter(weight, { at: 0, axis, place }),
  });
  const { strides: [strideH, strideW], dilations: [dilationH, dilationW], padding } = windows;
  const options = { padding, strideH, strideW, dilationH, dilationW, activation };
  const inputs = [source.index, kernel, biasOf({ node, builder, place }, { x, weight, filters })];
  const shape = channelsLast(node.output().staticShape);
  return isDepthwise
    ? builder.compute("DEPTHWISE_CONV_2D", inputs, { name, shape, quantizer }, {
      ...options,
      depthMultiplier: filters / channels,
    })
    : builder.compute("CONV_2D", inputs, { name, shape, quantizer }, options);
}

/** Scales of weights, with zero points of 0; `at` is the dimension of the source that holds the filters. */
function perFilter(
  { scales, axis: found }: WholeConstant,
  { at, axis, place }: { readonly at: number; readonly axis: number; readonly place: string },
) {
  if (scales.length > 1 && found !== at) {
    throw new InputError(`${place}: expected scales of weights by dimension ${at}, found dimension ${found}`);
  }
  return { scales, zeroPoints: scales.map(() => 0), axis };
}

/** The bias as multiples of input scale · weight scale; zeros where the node has none, for runtimes want one. */
function biasOf(
  { node, builder, place }: Pick<NodeContext, "node" | "builder" | "place">,
  { x, weight, filters }: { readonly x: Activation; readonly weight: WholeConstant; readonly filters: number },
): number {
  const scales = weight.scales.map((each) => Math.fround(x.quantizer.scale * each));
  const given = node.inputs[2] && wholeConstant(node.inputs[2], "int32", place);
  const data = Int32Array.from({ length: filters }, (_, i) => {
    if (!given) return 0;
    const own = given.scales[given.scales.length > 1 ? i : 0]!, wanted = scales[scales.length > 1 ? i : 0]!;
    return Math.round(given.data[i]! * (Math.abs(own / wanted - 1) < 1e-6 ? 1 : own / wanted));
  });
  return builder.constant({
    ...{ name: node.inputs[2]?.name ?? `${node.output().name}.bias`, type: "INT32", shape: [filters], data },
    quantization: { scales, zeroPoints: scales.map(() => 0), axis: 0 },
  });
}

/** The version of FULLY_CONNECTED that has a scale for each output. */
const FULLY_CONNECTED_BY_OUTPUT = 12;

function fullyConnected({ node, builder, place, input, result }: NodeContext): Activation {
  const x = input(0, { flattened: true }), weight = wholeConstant(node.input(1), "int8", place);
  const isGemm = node.opType === "Gemm", byOutput = isGemm && node.int("transB", 0) === 1;
  const isPlain = !isGemm ||
    (node.float("alpha", 1) === 1 && node.float("beta", 1) === 1 && node.int("transA", 0) === 0);
  if (!isPlain || weight.shape.length !== 2 || x.shape.length !== 2) {
    throw new InputError(`${place}: expected rows times a matrix, alpha and beta of 1, found another product`);
  }
  const { name, quantizer, activation } = result();
  const [outputs, features] = (byOutput ? weight.shape : weight.shape.toReversed()) as [number, number];
  const rows = byOutput ? weight.data : transposed(weight.data, weight.shape, [1, 0]);
  const data = x.flattened ? transposed(rows, [outputs, ...x.flattened], [0, 2, 3, 1]) : rows;
  const matrix = builder.constant({
    ...{ name: node.input(1).name, type: "INT8", shape: [outputs, features], data },
    quantization: perFilter(weight, { at: byOutput ? 0 : 1, axis: 0, place }),
  });
  const inputs = [x.index, matrix, biasOf({ node, builder, place }, { x, weight, filters: outputs })];
  const version = weight.scales.length > 1 ? FULLY_CONNECTED_BY_OUTPUT : undefined;
  const made = { name, shape: [x.shape[0]!, outputs], quantizer };
  return builder.compute("FULLY_CONNECTED", inputs, made, { activation }, version);
}

function elementwise(context: NodeContext, code: "ADD" | "MUL"): Activation {
  const { node, builder, input, result } = context, [a, b] = [input(0), input(1)];
  if (a.shape.length !== b.shape.length) {
    throw new InputError(`${context.place}: expected operands of one rank, found [${a.shape}] and [${b.shape}]`);
  }
  const { activation, ...made } = result(), shape = channelsLast(node.output().staticShape);
  return builder.compute(code, [a.index, b.index], { ...made, shape }, { activation });
}

function unary(context: NodeContext, code: WrittenOperator): Activation {
  const x = context.input(0);
  return context.builder.compute(code, [x.index], { ...plainResult(context), shape: x.shape });
}

/** Name and scale of a result into which TFLite fuses nothing. */
function plainResult({ place, result }: NodeContext) {
  const { activation, ...made } = result();
  if (activation === "NONE") return made;
  throw new InputError(
    `${place}: expected no ${activation} behind it that the range of its result does not do, found one`,
  );
}

function fixedScale({ node, builder, input }: NodeContext, code: WrittenOperator, options = {}): Activation {
  const x = input(0);
  return builder.compute(code, [x.index], { name: node.output().name, shape: x.shape, quantizer: UNIT }, options);
}

function softmax(context: NodeContext): Activation {
  const { node, place, input } = context, rank = input(0).shape.length, axis = node.int("axis", -1);
  const channels = rank === 4 ? 1 : rank - 1;
  if ((axis < 0 ? axis + rank : axis) !== channels) {
    throw new InputError(`${place}: expected a softmax over the channels (dimension ${channels}), found ${axis}`);
  }
  return fixedScale(context, "SOFTMAX", { beta: 1 });
}

function rectifier({ node, builder, place, input, moved }: NodeContext): Activation {
  const x = input(0), { name, quantizer } = moved(x.quantizer), activation = rectification(node, quantizer, place);
  if (activation === "NONE") return builder.requantized(x, quantizer, name);
  return builder.compute(activation, [x.index], { name, shape: x.shape, quantizer });
}

/** max(x, alpha · x): TFLite's MAXIMUM compares whole numbers, so all three have the scale of the result, which x is cut to first. */
function leakyRelu(context: NodeContext): Activation {
  const { node, builder, input } = context, x = input(0), alpha = node.float("alpha", 0.01);
  const { name, quantizer } = plainResult(context), shape = x.shape;
  if (context.leakyRelu === "leakyRelu") {
    return builder.compute("LEAKY_RELU", [x.index], { name, shape, quantizer }, { alpha });
  }
  if (!(alpha > 0 && alpha < 1)) {
    throw new InputError(`${context.place}: expected a slope in 0 … 1, of which the maximum is right, found ${alpha}`);
  }
  const slope = builder.constant({
    ...{ name: `${name}.slope`, type: "INT8", shape: shape.map(() => 1), data: Int8Array.of(127) },
    quantization: { scales: [Math.fround(alpha / 127)], zeroPoints: [0], axis: 0 },
  });
  const small = builder.compute("MUL", [x.index, slope], { name: `${name}.scaled`, shape, quantizer }, {
    activation: "NONE",
  });
  const cut = builder.requantized(x, quantizer, `${name}.cut`);
  return builder.compute("MAXIMUM", [cut.index, small.index], { name, shape, quantizer });
}

/** Pools give the scale that they read. */
function pool({ node, builder, place, input, moved }: NodeContext): Activation {
  const x = input(0),
    [rows, columns] = node.ints("kernel_shape") as [number, number],
    isMax = node.opType === "MaxPool";
  const windows: Windows = windowsOf(node, [x.shape[1]!, x.shape[2]!], [rows, columns], place);
  if (windows.dilations.some((each) => each !== 1) || node.outputs[1]) {
    throw new InputError(`${place}: expected a pool without dilation and indices, found one with`);
  }
  const counted = !isMax && node.int("count_include_pad", 0) === 1;
  // Zeros laid around count as numbers: right for a mean that counts them, and for a maximum over numbers from 0.
  const isRight = windows.pads
    ? (isMax ? x.quantizer.zeroPoint === -128 : counted)
    : windows.padding === "VALID" || !counted;
  if (!isRight) {
    throw new InputError(`${place}: expected zeros around as TFLite lays them, found pads ${node.ints("pads")}`);
  }
  const { name, quantizer } = moved(x.quantizer);
  const source = windows.pads ? builder.padded(x, windows.pads, `${name}.padded`) : x;
  const { padding, strides: [strideH, strideW] } = windows, isOwn = isSame(x.quantizer, quantizer);
  const made = {
    name: isOwn ? name : `${name}.pooled`,
    shape: channelsLast(node.output().staticShape),
    quantizer: x.quantizer,
  };
  const options = { padding, strideH, strideW, filterHeight: rows, filterWidth: columns, activation: "NONE" };
  const pooled = builder.compute(isMax ? "MAX_POOL_2D" : "AVERAGE_POOL_2D", [source.index], made, options);
  return builder.requantized(pooled, quantizer, name);
}

function mean(context: NodeContext, { keepDims }: { readonly keepDims: boolean }): Activation {
  const { node, builder } = context, x = context.input(0), made = plainResult(context);
  const axes = builder.constant({ name: `${made.name}.axes`, type: "INT32", shape: [2], data: Int32Array.of(1, 2) });
  return builder.compute("MEAN", [x.index, axes], { ...made, shape: channelsLast(node.output().staticShape) }, {
    keepDims,
  });
}

function reduceMean(context: NodeContext): Activation {
  const { node, place, input } = context, rank = input(0).shape.length;
  const axes = [...node.ints("axes", [])].map((axis) => axis < 0 ? axis + rank : axis).sort();
  if (rank !== 4 || String(axes) !== "2,3") {
    throw new InputError(`${place}: expected a mean over rows and columns (dimensions 2, 3), found ${axes}`);
  }
  return mean(context, { keepDims: node.int("keepdims", 1) === 1 });
}

/** All parts get the scale of the whole. */
function concatenation({ node, builder, input, moved }: NodeContext): Activation {
  const parts = node.inputs.map((_, i) => input(i)), rank = parts[0]!.shape.length;
  const { name, quantizer } = moved(parts[0]!.quantizer),
    given = node.int("axis"),
    from = given < 0 ? given + rank : given;
  const axis = rank === 4 ? [0, 3, 1, 2][from]! : from;
  const same = parts.map((part, i) => builder.requantized(part, quantizer, `${name}.part${i}`).index);
  return builder.compute("CONCATENATION", same, { name, shape: channelsLast(node.output().staticShape), quantizer }, {
    axis,
    activation: "NONE",
  });
}

/** Elements keep their order where a map has one place or one channel; a flattened map is for a matrix product, whose weights follow. */
function reshape({ node, builder, place, input, moved }: NodeContext): Activation {
  const x = input(0), shape = node.output().staticShape, { name, quantizer } = moved(x.quantizer);
  const [, channels = 1, rows = 1, columns = 1] = node.input(0).staticShape.length === 4
    ? node.input(0).staticShape
    : [];
  const isMap = x.shape.length === 4 && channels > 1 && rows * columns > 1;
  const isFlat = shape.length === 2 && shape[1] === channels * rows * columns;
  const isNewMap = shape.length === 4 && shape[1]! > 1 && elementCount(shape.slice(2)) > 1;
  if ((isMap && !isFlat) || isNewMap) {
    throw new InputError(
      `${place}: expected a map that is flattened or has one place, found ${node.input(0)} to [${shape}]`,
    );
  }
  const made = builder.reshaped(builder.requantized(x, quantizer, `${name}.rounded`), channelsLast(shape), name);
  return isMap ? { ...made, flattened: [channels, rows, columns] } : made;
}

function resize({ node, builder, place, input, moved }: NodeContext): Activation {
  const x = input(0), shape = channelsLast(node.output().staticShape);
  const isWhole = [1, 2].every((d) => Number.isInteger(shape[d]! / x.shape[d]!));
  const isNearest = node.string("mode", "nearest") === "nearest" && isSimpleNearest(node);
  if (!isWhole || !isNearest) {
    throw new InputError(`${place}: expected a nearest-neighbour enlargement by a whole number, found another`);
  }
  const { name, quantizer } = moved(x.quantizer), data = Int32Array.of(shape[1]!, shape[2]!);
  const sizes = builder.constant({ name: `${name}.size`, type: "INT32", shape: [2], data });
  const options = { alignCorners: false, halfPixelCenters: false };
  const made = { name: isSame(x.quantizer, quantizer) ? name : `${name}.resized`, shape, quantizer: x.quantizer };
  return builder.requantized(
    builder.compute("RESIZE_NEAREST_NEIGHBOR", [x.index, sizes], made, options),
    quantizer,
    name,
  );
}

/** Ways of counting places that all give floor(place / factor) for a whole factor, as TFLite does. */
function isSimpleNearest(node: Node): boolean {
  const way = `${node.string("coordinate_transformation_mode", "half_pixel")} ${
    node.string("nearest_mode", "round_prefer_floor")
  }`;
  return ["asymmetric floor", "half_pixel round_prefer_floor", "half_pixel round_prefer_ceil"].includes(way);
}
