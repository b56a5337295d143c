/** How single operators are written at opsets other than 17. */

import { tensor } from "../runtime/mod.ts";
import type { Attribute } from "./attributes.ts";
import { dataTypeOf } from "./data_type.ts";
import type { Lowering } from "./lower.ts";
import type { Node } from "./node.ts";
import { reducedAxes } from "./ops/reduction.ts";

/** Writes a node in another form and returns true, or returns false where its own form will do. */
export type Lower = (writer: Lowering, node: Node) => boolean;

const int = (value: number): Attribute => ({ kind: "int", value });
const float = (value: number): Attribute => ({ kind: "float", value });

/** The node's attributes with some set and some (undefined) taken away. */
function changed(node: Node, changes: Readonly<Record<string, Attribute | undefined>>): Map<string, Attribute> {
  const result = new Map(node.attributes);
  for (const [name, attribute] of Object.entries(changes)) {
    if (attribute) result.set(name, attribute);
    else result.delete(name);
  }
  return result;
}

/** Opset 12: what is an input from 13 on (axes, split sizes) is an attribute. */
function inputToAttribute(index: number, name: string): Lower {
  return (writer, node) => {
    if (writer.opset >= 13) return false;
    const value = node.inputs[index];
    const list = node.knownInts(index);
    if (value && !list) throw writer.impossible(node, `${node.describe(index)}, which is not constant`);
    const attribute: Attribute | undefined = list && { kind: "ints", value: list };
    writer.copy(node, [node.input(0).name], changed(node, { [name]: attribute, noop_with_empty_axes: undefined }));
    return true;
  };
}

/** Opset 18 and up: the axes of a reduction are an input. */
const reduction: Lower = (writer, node) => {
  if (writer.opset < 18 || !node.has("axes")) return false;
  const axes = writer.ints(node, node.ints("axes"));
  writer.copy(node, [node.input(0).name, axes], changed(node, { axes: undefined }));
  return true;
};

const reduceSum: Lower = (writer, node) => {
  if (writer.opset >= 13) return false;
  if (reducedAxes(node)?.length === 0) {
    writer.emit(node, "Identity", [node.input(0).name], {}, node.output().name);
    return true;
  }
  return inputToAttribute(1, "axes")(writer, node);
};

const split: Lower = (writer, node) => {
  if (writer.opset >= 18 && !node.inputs[1]) {
    writer.copy(node, undefined, changed(node, { num_outputs: int(node.outputCount) }));
    return true;
  }
  return inputToAttribute(1, "split")(writer, node);
};

/** Before opset 13 softmax flattened to two dimensions at its axis: only the last axis means the same. */
const softmax: Lower = (writer, node) => {
  if (writer.opset >= 13) return false;
  const x = node.input(0), axis = node.axis(node.int("axis"), x.rank), last = x.rank - 1;
  if (axis === last) {
    writer.copy(node, undefined, changed(node, { axis: int(last) }));
    return true;
  }
  const order = Array.from({ length: x.rank }, (_, i) => i === axis ? last : i === last ? axis : i);
  const perm: Attribute = { kind: "ints", value: order };
  const turned = writer.emit(node, "Transpose", [x.name], { perm });
  const result = writer.emit(node, node.opType, [turned], { axis: int(last) });
  writer.emit(node, "Transpose", [result], { perm }, node.output().name);
  return true;
};

/** x · ½ · (1 + erf(x / √2)), in the form that ONNX Runtime fuses; or the tanh form (Hendrycks and Gimpel 2016). */
const gelu: Lower = (writer, node) => {
  if (writer.opset >= 20) return false;
  const x = node.input(0).name, y = node.output().name;
  const emit = (opType: string, ...inputs: string[]) => writer.emit(node, opType, inputs);
  const scalar = (value: number) => writer.scalar(node, value);
  if (node.string("approximate") === "none") {
    const sum = emit("Add", emit("Erf", emit("Div", x, scalar(Math.SQRT2))), scalar(1));
    writer.emit(node, "Mul", [emit("Mul", x, sum), scalar(0.5)], {}, y);
  } else {
    const cube = emit("Mul", emit("Mul", x, x), x);
    const inner = emit("Add", x, emit("Mul", cube, scalar(0.044715)));
    const tanh = emit("Tanh", emit("Mul", inner, scalar(Math.sqrt(2 / Math.PI))));
    writer.emit(node, "Mul", [emit("Mul", x, scalar(0.5)), emit("Add", tanh, scalar(1))], {}, y);
  }
  return true;
};

const mish: Lower = (writer, node) => {
  if (writer.opset >= 18) return false;
  const x = node.input(0).name;
  const tanh = writer.emit(node, "Tanh", [writer.emit(node, "Softplus", [x])]);
  writer.emit(node, "Mul", [x, tanh], {}, node.output().name);
  return true;
};

const hardSwish: Lower = (writer, node) => {
  if (writer.opset >= 14) return false;
  const x = node.input(0).name;
  const gate = writer.emit(node, "HardSigmoid", [x], { alpha: float(1 / 6), beta: float(0.5) });
  writer.emit(node, "Mul", [x, gate], {}, node.output().name);
  return true;
};

const layerNormalization: Lower = (writer, node) => {
  if (writer.opset >= 17) return false;
  if (node.outputCount > 1) throw writer.impossible(node, "the statistics of LayerNormalization");
  const x = node.input(0), axis = node.axis(node.int("axis"), x.rank);
  const axes: Attribute = { kind: "ints", value: Array.from({ length: x.rank - axis }, (_, i) => axis + i) };
  const mean = writer.emit(node, "ReduceMean", [x.name], { axes });
  const centred = writer.emit(node, "Sub", [x.name, mean]);
  const variance = writer.emit(node, "ReduceMean", [writer.emit(node, "Mul", [centred, centred])], { axes });
  const shifted = writer.emit(node, "Add", [variance, writer.scalar(node, node.float("epsilon"))]);
  const normalised = writer.emit(node, "Div", [centred, writer.emit(node, "Sqrt", [shifted])]);
  const bias = node.inputs[2]?.name;
  const scaled = [normalised, node.input(1).name];
  if (bias === undefined) writer.emit(node, "Mul", scaled, {}, node.output().name);
  else writer.emit(node, "Add", [writer.emit(node, "Mul", scaled), bias], {}, node.output().name);
  return true;
};

/** Instance normalisation of the groups, then each channel's weights. */
const groupNormalization: Lower = (writer, node) => {
  if (writer.opset >= 21) return false;
  const x = node.input(0), groups = node.int("num_groups"), { dtype } = x;
  const each = (value: number) => writer.constant(node, tensor(dtype, [groups], new Array<number>(groups).fill(value)));
  const shape = writer.emit(node, "Shape", [x.name]);
  const grouped = writer.emit(node, "Reshape", [x.name, writer.ints(node, [0, groups, -1])]);
  const epsilon = float(node.float("epsilon"));
  const normal = writer.emit(node, "InstanceNormalization", [grouped, each(1), each(0)], { epsilon });
  const back = writer.emit(node, "Reshape", [normal, shape]);
  const channels = writer.ints(node, [-1, ...new Array<number>(x.rank - 2).fill(1)]);
  const weight = (index: number) => writer.emit(node, "Reshape", [node.input(index).name, channels]);
  const scaled = writer.emit(node, "Mul", [back, weight(1)]);
  writer.emit(node, "Add", [scaled, weight(2)], {}, node.output().name);
  return true;
};

const batchNormalization: Lower = (writer, node) => {
  if (writer.opset >= 14) return false;
  if (node.int("training_mode") === 1) throw writer.impossible(node, "batch normalisation in training mode");
  writer.copy(node, undefined, changed(node, { training_mode: undefined }));
  return true;
};

const shape: Lower = (writer, node) => {
  if (writer.opset >= 15 || (!node.has("start") && !node.has("end"))) return false;
  const full = writer.emit(node, "Shape", [node.input(0).name]);
  const start = writer.ints(node, [node.int("start")]);
  const end = writer.ints(node, [node.int("end", node.input(0).rank)]);
  writer.emit(node, "Slice", [full, start, end], {}, node.output().name);
  return true;
};

const castLike: Lower = (writer, node) => {
  if (writer.opset >= 15) return false;
  const to = int(dataTypeOf(node.input(1).dtype));
  writer.emit(node, "Cast", [node.input(0).name], { to }, node.output().name);
  return true;
};

/** Before opset 13 a Resize has its region and scales always, empty where they do not apply. */
const resize: Lower = (writer, node) => {
  if (writer.opset >= 13) return false;
  const [x, roi, scales, sizes] = node.inputs.map((value) => value?.name);
  const empty = () => writer.constant(node, tensor("float32", [0], []));
  writer.copy(node, [x, roi ?? empty(), scales ?? empty(), ...(sizes === undefined ? [] : [sizes])]);
  return true;
};

const scatter: Lower = (writer, node) => {
  const reduction = node.string("reduction");
  const since = reduction === "none" ? 11 : reduction === "add" || reduction === "mul" ? 16 : 18;
  if (writer.opset < since) throw writer.impossible(node, `reduction ${reduction}, which begins at opset ${since}`);
  if (writer.opset >= 16) return false;
  writer.copy(node, undefined, changed(node, { reduction: undefined }));
  return true;
};

const gridSample: Lower = (writer, node) => {
  if (writer.opset < 16) throw writer.impossible(node, "GridSample, which begins at opset 16");
  const newer = { bilinear: "linear", bicubic: "cubic" }[node.string("mode")];
  if (writer.opset < 20 || newer === undefined) return false;
  writer.copy(node, undefined, changed(node, { mode: { kind: "string", value: newer } }));
  return true;
};

/** Before opset 19 there is no 8-bit float, which `saturate` is for. */
const cast: Lower = (writer, node) => {
  if (writer.opset >= 19 || !node.has("saturate")) return false;
  writer.copy(node, undefined, changed(node, { saturate: undefined }));
  return true;
};

const quantization: Lower = (writer, node) => {
  const small = node.opType === "QuantizeLinear" ? node.outputs[0] : node.input(0);
  if (writer.opset < 21 && small && /16$/.test(small.dtype)) {
    throw writer.impossible(node, `${small.dtype}, which begins at opset 21`);
  }
  if (writer.opset >= 13) return false;
  const scale = node.input(1);
  if (scale.rank > 0 && String(scale.shape) !== "1") throw writer.impossible(node, "a scale for each channel");
  writer.copy(node, undefined, changed(node, { axis: undefined }));
  return true;
};

const quantizedProduct: Lower = (writer, node) => {
  if (writer.opset < 21 && node.input(1).dtype !== "float32") {
    throw writer.impossible(node, `${node.input(1).dtype} scales, which begin at opset 21`);
  }
  return false;
};

const pad: Lower = (writer, node) => {
  if (node.inputs[3] && writer.opset < 18) throw writer.impossible(node, "axes, which begin at opset 18");
  return false;
};

/** Dilations (and LpPool's ceil mode) came late to these pools. */
function dilationsFrom(since: number, late: readonly string[]): Lower {
  return (writer, node) => {
    if (writer.opset >= since || !late.some((name) => node.has(name))) return false;
    const dilated = node.ints("dilations", []).some((step) => step !== 1);
    const ceil = late.includes("ceil_mode") && node.int("ceil_mode") === 1;
    if (dilated || ceil) {
      throw writer.impossible(node, `${dilated ? "dilations" : "ceil_mode"}, which begins at opset ${since}`);
    }
    writer.copy(node, undefined, changed(node, Object.fromEntries(late.map((name) => [name, undefined]))));
    return true;
  };
}

const reshape: Lower = (writer, node) => {
  if (writer.opset >= 14) return false;
  if (node.int("allowzero") === 1) throw writer.impossible(node, "allowzero 1");
  writer.copy(node, undefined, changed(node, { allowzero: undefined }));
  return true;
};

const beginsAt14: Lower = (writer, node) => {
  if (writer.opset < 14) throw writer.impossible(node, `${node.opType}, which begins at opset 14`);
  return false;
};

/** By operator; what is not here is written as it is. */
export const lowerings: Readonly<Record<string, Lower>> = {
  AveragePool: dilationsFrom(19, ["dilations"]),
  BatchNormalization: batchNormalization,
  Cast: cast,
  CastLike: castLike,
  DequantizeLinear: quantization,
  Gelu: gelu,
  GridSample: gridSample,
  GroupNormalization: groupNormalization,
  Hardmax: softmax,
  HardSwish: hardSwish,
  LayerNormalization: layerNormalization,
  LogSoftmax: softmax,
  LpPool: dilationsFrom(18, ["dilations", "ceil_mode"]),
  Mish: mish,
  Pad: pad,
  QLinearMatMul: quantizedProduct,
  QuantizeLinear: quantization,
  ReduceL1: reduction,
  ReduceL2: reduction,
  ReduceLogSum: reduction,
  ReduceLogSumExp: reduction,
  ReduceMax: reduction,
  ReduceMean: reduction,
  ReduceMin: reduction,
  ReduceProd: reduction,
  ReduceSum: reduceSum,
  ReduceSumSquare: reduction,
  Reshape: reshape,
  Resize: resize,
  ScatterElements: scatter,
  ScatterND: scatter,
  Shape: shape,
  Softmax: softmax,
  Split: split,
  Squeeze: inputToAttribute(1, "axes"),
  Trilu: beginsAt14,
  Unsqueeze: inputToAttribute(1, "axes"),
};
