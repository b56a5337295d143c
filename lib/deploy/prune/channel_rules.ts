/** What each operator does with channels. An operator that is not here binds nothing: what it reads must stay. */

import type { Node, Value } from "../../onnx/mod.ts";
import type { ChannelTracker, Track } from "./channels.ts";

/** Reads the tracks of a node's inputs, ties its weights and sets the tracks of its outputs. */
export type ChannelRule = (tracker: ChannelTracker, node: Node) => void;

/** f(0) = 0, element by element. */
const ZERO_KEEPING =
  "Relu LeakyRelu Elu Selu Celu ThresholdedRelu HardSwish Mish Gelu Softsign Tanh Erf Abs Neg Sqrt Sign Floor " +
  "Ceil Round Sin Tan Asin Atan Sinh Asinh Atanh Identity Cast Shrink";
/** Element by element, with f(0) ≠ 0. */
const ZERO_LOSING = "Sigmoid HardSigmoid Softplus Exp Log Cos Cosh Acos Reciprocal";
const REDUCTIONS = "ReduceMean ReduceSum ReduceMax ReduceMin ReduceL1 ReduceL2 ReduceSumSquare";
const SPATIAL_POOLS = "MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool";

/** When an operand of 0 makes the result 0: all must be, one suffices, or the first is asked. */
type ZeroOf = "all" | "any" | "first";
const BROADCASTING: Readonly<Record<string, ZeroOf>> = {
  ...{ Add: "all", Sub: "all", Sum: "all", Mean: "all", Max: "all", Min: "all" },
  ...{ Mul: "any", Div: "first", PRelu: "first" },
};

const all = (count: number, value: boolean) => new Array<boolean>(count).fill(value);

/** The same channels on the same axis. */
function same(
  tracker: ChannelTracker,
  node: Node,
  { keepsZero = true, axis }: { keepsZero?: boolean; axis?: number } = {},
) {
  const track = tracker.track(node.input(0));
  if (!track) return;
  const zero = keepsZero ? track.zero : all(track.atoms.length, false);
  if (node.outputs.slice(1).some((output) => output)) return tracker.refuse(node);
  tracker.set(node.output(), { axis: axis ?? track.axis, atoms: track.atoms, zero });
}

/** The track of a value if it lies on this axis; a track on another must stay. */
function trackOn(tracker: ChannelTracker, node: Node, index: number, axis: number): Track | undefined {
  const track = tracker.track(node.input(index));
  if (!track || track.axis === axis) return track;
  tracker.pin(track.atoms, String(node));
  return undefined;
}

function isWeight(value: Value | undefined): value is Value {
  return value?.tensor !== undefined && /^float(32|64)$/.test(value.dtype);
}

/** The bias of a layer: none, or one number a channel. Returns whether the layer gives 0 for a channel without weights. */
function tieBias(tracker: ChannelTracker, bias: Value | undefined, atoms: readonly number[]): boolean {
  if (!bias) return true;
  if (!isWeight(bias) || bias.staticShape.at(-1) !== atoms.length) return false;
  tracker.tie(bias, bias.rank - 1, atoms, { isOwn: true });
  return true;
}

const convolution: ChannelRule = (tracker, node) => {
  const x = trackOn(tracker, node, 0, 1), weight = node.input(1), group = node.int("group");
  if (!isWeight(weight)) return tracker.refuse(node);
  const transposed = node.opType === "ConvTranspose";
  const [outer, inner] = weight.staticShape as [number, number];
  let atoms: readonly number[];
  if (group === 1) {
    const [own, read] = transposed ? [1, 0] : [0, 1];
    atoms = tracker.fresh(transposed ? inner : outer);
    tracker.tie(weight, own, atoms, { isOwn: true });
    if (x) {
      tracker.sum(x, node);
      tracker.tie(weight, read, x.atoms);
    }
  } else if (!transposed && x && inner === 1 && group === x.atoms.length) {
    const each = outer / group; // depthwise: filter j sees channel ⌊j / each⌋ alone
    atoms = Array.from({ length: outer }, (_, j) => x.atoms[Math.floor(j / each)]!);
    tracker.tie(weight, 0, atoms, { isOwn: true });
  } else return tracker.refuse(node);
  const zero = tieBias(tracker, node.inputs[2], atoms);
  tracker.set(node.output(), { axis: 1, atoms, zero: all(atoms.length, zero) });
};

/** Gemm and MatMul with a matrix of weights. */
const matrixProduct: ChannelRule = (tracker, node) => {
  const weight = node.input(1), isGemm = node.opType === "Gemm";
  if (!isWeight(weight) || weight.rank !== 2 || (isGemm && node.int("transA") === 1) || !node.input(0).type) {
    return tracker.refuse(node);
  }
  const last = node.input(0).rank - 1, x = trackOn(tracker, node, 0, last);
  if (last < 1) return tracker.refuse(node);
  const own = isGemm && node.int("transB") === 1 ? 0 : 1;
  const atoms = tracker.fresh(weight.staticShape[own]!);
  tracker.tie(weight, own, atoms, { isOwn: true });
  if (x) {
    tracker.sum(x, node);
    tracker.tie(weight, 1 - own, x.atoms);
  }
  const zero = tieBias(tracker, node.inputs[2], atoms);
  tracker.set(node.output(), { axis: last, atoms, zero: all(atoms.length, zero) });
};

const normalization: ChannelRule = (tracker, node) => {
  const x = trackOn(tracker, node, 0, 1), [, scale, bias, ...statistics] = node.inputs;
  const isTraining = node.opType === "BatchNormalization" && node.int("training_mode") === 1;
  if (!x || isTraining || ![scale, bias, ...statistics].every(isWeight)) return tracker.refuse(node);
  for (const value of [scale!, bias!]) tracker.tie(value, 0, x.atoms, { isOwn: true });
  for (const value of statistics) tracker.tie(value!, 0, x.atoms);
  tracker.set(node.output(), { axis: 1, atoms: x.atoms, zero: all(x.atoms.length, true) });
};

/** An operand as the axis of the result sees it. */
type Operand = { readonly zero: readonly boolean[] };

const broadcasting: ChannelRule = (tracker, node) => {
  const inputs = node.inputs.map((_, i) => node.input(i)), out = node.output();
  const tracks = inputs.map((value) => tracker.track(value)), first = tracks.findIndex((track) => track);
  if (first < 0) return;
  if (![out, ...inputs].every(({ type }) => type)) return tracker.refuse(node);
  const axis = tracks[first]!.axis + out.rank - inputs[first]!.rank, { atoms } = tracks[first]!;
  if (out.shape[axis] !== atoms.length) return tracker.refuse(node);
  const isSum = BROADCASTING[node.opType] === "all";
  const operands: Operand[] = [];
  for (const [i, value] of inputs.entries()) {
    const own = axis - (out.rank - value.rank), size = own < 0 ? 1 : value.shape[own], track = tracks[i];
    if (track) {
      if (track.axis !== own || track.atoms.length !== atoms.length) return tracker.refuse(node);
      operands.push(track);
    } else if (size === 1) operands.push({ zero: all(atoms.length, isZero(value)) });
    else if (size === atoms.length && isWeight(value)) operands.push({ zero: all(atoms.length, isSum) });
    else return tracker.refuse(node);
  }
  for (const [i, value] of inputs.entries()) {
    if (tracks[i]) tracker.join(atoms, tracks[i].atoms);
    else if (value.tensor && value.shape[axis - (out.rank - value.rank)] === atoms.length && atoms.length > 1) {
      tracker.tie(value, axis - (out.rank - value.rank), atoms, { isOwn: isSum });
    }
  }
  const rule = BROADCASTING[node.opType]!;
  const zero = atoms.map((_, c) => {
    const found = operands.map((operand) => operand.zero[c]!);
    return rule === "first" ? found[0]! : rule === "any" ? found.includes(true) : !found.includes(false);
  });
  // Division by a channel that may be 0 is no number, whatever is divided.
  const divides = node.opType === "Div" && tracks[1];
  tracker.set(out, { axis, atoms, zero: divides ? all(atoms.length, false) : zero });
};

function isZero({ tensor }: Value): boolean {
  return tensor !== undefined && Array.from(tensor.data, Number).every((element) => element === 0);
}

/** The number that a scalar initialiser holds. */
function scalar(value: Value | undefined): number | undefined {
  return value?.tensor?.data.length === 1 ? Number(value.tensor.data[0]) : undefined;
}

const clip: ChannelRule = (tracker, node) => {
  const [, low, high] = node.inputs;
  const keepsZero = (!low || (scalar(low) ?? 1) <= 0) && (!high || (scalar(high) ?? -1) >= 0);
  same(tracker, node, { keepsZero });
};

const power: ChannelRule = (tracker, node) => {
  const exponent = scalar(node.input(1));
  if (exponent === undefined || exponent <= 0) return tracker.refuse(node);
  same(tracker, node);
};

/** Of the first input's values. */
const pool: ChannelRule = (tracker, node) => {
  if (trackOn(tracker, node, 0, 1)) same(tracker, node);
};

const reduction: ChannelRule = (tracker, node) => {
  const x = tracker.track(node.input(0));
  if (!x) return;
  const { rank } = node.input(0);
  const given = node.inputs[1] ? node.knownInts(1) : node.has("axes") ? node.ints("axes") : undefined;
  const axes = given?.map((axis) => node.axis(axis, rank));
  if (!axes || axes.length === 0 || axes.includes(x.axis)) return tracker.refuse(node);
  const before = node.int("keepdims") === 1 ? 0 : axes.filter((axis) => axis < x.axis).length;
  same(tracker, node, { axis: x.axis - before });
};

const flatten: ChannelRule = (tracker, node) => {
  const x = tracker.track(node.input(0));
  if (!x) return;
  const inner = product(node.input(0).shape.slice(2));
  if (node.axis(node.int("axis"), node.input(0).rank + 1) !== 1 || x.axis !== 1 || inner === undefined) {
    return tracker.refuse(node);
  }
  tracker.set(node.output(), repeated(x, inner, 1));
};

/** Reshape to a fixed shape that leaves the channels' axis as it is, or makes one of it and all that comes after. */
const reshape: ChannelRule = (tracker, node) => {
  const x = tracker.track(node.input(0));
  if (!x) return;
  const { shape } = node.input(0), to = node.output().type?.shape;
  if (!to || !node.input(1).tensor || node.int("allowzero") === 1) return tracker.refuse(node);
  const before = shape.slice(0, x.axis), inner = product(shape.slice(x.axis + 1));
  // The leading sizes must be the same one by one: symbols cannot be multiplied.
  if (String(to.slice(0, x.axis)) !== String(before)) return tracker.refuse(node);
  if (to[x.axis] === x.atoms.length) return same(tracker, node);
  if (inner === undefined || to.length !== x.axis + 1 || to[x.axis] !== x.atoms.length * inner) {
    return tracker.refuse(node);
  }
  tracker.set(node.output(), repeated(x, inner, x.axis));
};

function repeated({ atoms, zero }: Track, times: number, axis: number): Track {
  const spread = <T>(list: readonly T[]) => list.flatMap((each) => new Array<T>(times).fill(each));
  return { axis, atoms: spread(atoms), zero: spread(zero) };
}

function product(sizes: readonly (number | string)[]): number | undefined {
  let result = 1;
  for (const size of sizes) {
    if (typeof size !== "number") return undefined;
    result *= size;
  }
  return result;
}

const squeeze: ChannelRule = (tracker, node) => {
  const x = tracker.track(node.input(0));
  if (!x) return;
  const axes = node.knownInts(1)?.map((axis) => node.axis(axis, node.input(0).rank));
  if (!axes || axes.includes(x.axis)) return tracker.refuse(node);
  same(tracker, node, { axis: x.axis - axes.filter((axis) => axis < x.axis).length });
};

const unsqueeze: ChannelRule = (tracker, node) => {
  const x = tracker.track(node.input(0));
  if (!x) return;
  const rank = node.output().rank, axes = node.knownInts(1)?.map((axis) => node.axis(axis, rank));
  if (!axes) return tracker.refuse(node);
  const old = Array.from({ length: rank }, (_, i) => i).filter((i) => !axes.includes(i));
  same(tracker, node, { axis: old[x.axis]! });
};

const transpose: ChannelRule = (tracker, node) => {
  const x = tracker.track(node.input(0));
  if (!x) return;
  const { rank } = node.input(0);
  const order = node.has("perm") ? node.ints("perm") : Array.from({ length: rank }, (_, i) => rank - 1 - i);
  same(tracker, node, { axis: order.indexOf(x.axis) });
};

const resize: ChannelRule = (tracker, node) => {
  const x = tracker.track(node.input(0));
  if (!x) return;
  const scales = node.inputs[2]?.tensor;
  const isPlain = node.string("coordinate_transformation_mode") !== "tf_crop_and_resize";
  if (!scales || node.inputs[3] || !isPlain || Number(scales.data[x.axis]) !== 1) return tracker.refuse(node);
  same(tracker, node);
};

const pad: ChannelRule = (tracker, node) => {
  const x = tracker.track(node.input(0));
  if (!x) return;
  const { rank } = node.input(0), pads = node.knownInts(1);
  if (!pads || node.inputs[3] || pads[x.axis] !== 0 || pads[x.axis + rank] !== 0) return tracker.refuse(node);
  const filled = node.inputs[2] ? scalar(node.inputs[2]) : 0;
  same(tracker, node, { keepsZero: node.string("mode") !== "constant" || filled === 0 });
};

const slice: ChannelRule = (tracker, node) => {
  const x = tracker.track(node.input(0));
  if (!x) return;
  const part = channelSlice(node, x.axis, x.atoms.length);
  if (part === "unknown") return tracker.refuse(node);
  if (part === "whole") return same(tracker, node);
  const [from, to] = part;
  tracker.set(node.output(), { axis: x.axis, atoms: x.atoms.slice(from, to), zero: x.zero.slice(from, to) });
};

/** Which places of an axis a Slice takes: from – to, with a step of 1; "whole" where it does not cut this axis. */
export function channelSlice(node: Node, axis: number, size: number): readonly [number, number] | "whole" | "unknown" {
  const [starts, ends, given, steps] = [1, 2, 3, 4].map((i) => node.knownInts(i));
  if (!starts || !ends || (node.inputs[3] && !given) || (node.inputs[4] && !steps)) return "unknown";
  const { rank } = node.input(0), axes = (given ?? starts.map((_, i) => i)).map((each) => node.axis(each, rank));
  const at = axes.indexOf(axis);
  if (at < 0) return "whole";
  if ((steps?.[at] ?? 1) !== 1) return "unknown";
  const place = (given: number) => Math.max(0, Math.min(size, given < 0 ? given + size : given));
  return [place(starts[at]!), place(ends[at]!)];
}

const split: ChannelRule = (tracker, node) => {
  const x = tracker.track(node.input(0));
  if (!x) return;
  const axis = node.axis(node.int("axis"), node.input(0).rank);
  const outputs = node.outputs.filter((output) => output !== undefined);
  if (outputs.length !== node.outputCount) return tracker.refuse(node);
  let from = 0;
  for (const output of outputs) {
    const size = output.type?.shape[axis];
    if (axis !== x.axis) tracker.set(output, x);
    else if (typeof size !== "number") return tracker.refuse(node);
    else {
      const to = from + size;
      tracker.set(output, { axis, atoms: x.atoms.slice(from, to), zero: x.zero.slice(from, to) });
      from = to;
    }
  }
};

const concat: ChannelRule = (tracker, node) => {
  const inputs = node.inputs.map((_, i) => node.input(i)), tracks = inputs.map((value) => tracker.track(value));
  const first = tracks.find((track) => track);
  if (!first) return;
  const axis = node.axis(node.int("axis"), inputs[0]!.rank);
  if (tracks.some((track) => track && track.axis !== first.axis)) return tracker.refuse(node);
  if (axis === first.axis) {
    const parts = inputs.map((value, i) => {
      if (tracks[i]) return tracks[i];
      const size = value.type?.shape[axis];
      return typeof size === "number"
        ? { atoms: tracker.fixed(size, String(node)), zero: all(size, false) }
        : undefined;
    });
    if (parts.some((part) => !part)) return tracker.refuse(node);
    const [atoms, zero] = [parts.flatMap((part) => part!.atoms), parts.flatMap((part) => part!.zero)];
    return tracker.set(node.output(), { axis, atoms, zero });
  }
  if (!tracks.every((track) => track)) return tracker.refuse(node);
  for (const track of tracks) tracker.join(first.atoms, track!.atoms);
  const zero = first.atoms.map((_, c) => tracks.every((track) => track!.zero[c]));
  tracker.set(node.output(), { axis: first.axis, atoms: first.atoms, zero });
};

const softmax: ChannelRule = (tracker, node) => {
  const x = tracker.track(node.input(0));
  if (!x) return;
  if (node.axis(node.int("axis"), node.input(0).rank) === x.axis) return tracker.refuse(node);
  same(tracker, node, { keepsZero: false });
};

/** A part of the sizes: it must not see that of the channels, which will be another. */
const shape: ChannelRule = (tracker, node) => {
  const x = tracker.track(node.input(0));
  if (!x) return;
  const { rank } = node.input(0), place = (i: number) => Math.max(0, Math.min(rank, i < 0 ? i + rank : i));
  const from = place(node.int("start", 0)), to = node.has("end") ? place(node.int("end")) : rank;
  if (x.axis >= from && x.axis < to) tracker.refuse(node);
};

const rules = (names: string, rule: ChannelRule) => names.split(" ").map((name) => [name, rule] as const);

/** By the operator's name in ONNX's own domain. */
export const CHANNEL_RULES: ReadonlyMap<string, ChannelRule> = new Map([
  ...rules("Conv ConvTranspose", convolution),
  ...rules("Gemm MatMul", matrixProduct),
  ...rules("BatchNormalization InstanceNormalization", normalization),
  ...rules(ZERO_KEEPING, (tracker, node) => same(tracker, node)),
  ...rules(ZERO_LOSING, (tracker, node) => same(tracker, node, { keepsZero: false })),
  ...rules(Object.keys(BROADCASTING).join(" "), broadcasting),
  ...rules("Dropout", (tracker, node) => same(tracker, node)),
  ...rules("Clip", clip),
  ...rules("Pow", power),
  ...rules(SPATIAL_POOLS, pool),
  ...rules(REDUCTIONS, reduction),
  ...rules("Flatten", flatten),
  ...rules("Reshape", reshape),
  ...rules("Squeeze", squeeze),
  ...rules("Unsqueeze", unsqueeze),
  ...rules("Transpose", transpose),
  ...rules("Resize", resize),
  ...rules("Pad", pad),
  ...rules("Slice", slice),
  ...rules("Split", split),
  ...rules("Concat", concat),
  ...rules("Softmax LogSoftmax", softmax),
  ...rules("Shape", shape),
]);
