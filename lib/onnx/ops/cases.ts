/** Cases for the operator tests: graphs over random shapes and settings, by what they cover. */

import type { Build } from "./oracle.ts";
import * as ops from "./mod.ts";

const pick = <T>(items: readonly T[], index: number): T => items[index % items.length]!;

export const CASES: Record<string, Build> = {
  Conv: ({ fixed, input, int, random }) => {
    const spatial = int(1, 3), group = int(1, 3), inner = int(1, 3), outer = group * int(1, 3);
    const kernel = Array.from({ length: spatial }, () => int(1, 3));
    const dilations = kernel.map(() => int(1, 2)), strides = kernel.map(() => int(1, 3));
    const pads = Array.from({ length: 2 * spatial }, () => int(0, 2));
    const x = input([int(1, 2), group * inner, ...kernel.map(() => int(5, 9))]);
    const bias = random.chance(0.5) ? fixed([outer]) : undefined;
    return ops.conv(x, fixed([outer, inner, ...kernel]), { bias, strides, pads, dilations, group });
  },
  "Conv, auto_pad": ({ fixed, graph, int }) => {
    const x = fixed([1, 2, int(5, 9), int(5, 9)]), w = fixed([3, 2, int(1, 4), int(1, 4)]);
    const auto = pick(["SAME_UPPER", "SAME_LOWER", "VALID"], int(0, 2));
    return graph.node("Conv", [x, w], { auto_pad: auto, strides: [int(1, 3), int(1, 3)] })[0]!;
  },
  ConvTranspose: ({ fixed, input, int, random }) => {
    const spatial = int(1, 2), group = int(1, 2), inner = int(1, 3), outer = int(1, 3);
    const kernel = Array.from({ length: spatial }, () => int(2, 4));
    const strides = kernel.map(() => int(2, 3)), dilations = kernel.map(() => int(1, 2));
    const outputPadding = random.chance(0.5) ? 1 : undefined;
    const x = input([int(1, 2), group * inner, ...kernel.map(() => int(3, 6))]);
    const options = { strides, dilations, group, outputPadding, pads: int(0, 1), bias: fixed([outer * group]) };
    return ops.convTranspose(x, fixed([group * inner, outer, ...kernel]), options);
  },
  "ConvTranspose, auto_pad and output_shape": ({ fixed, graph, int }) => {
    const x = fixed([1, 2, int(3, 6), int(3, 6)]), w = fixed([2, 3, 3, 3]);
    const shape = x.staticShape.slice(2).map((size) => size * 2);
    return [
      graph.node("ConvTranspose", [x, w], { auto_pad: "SAME_UPPER", strides: [2, 2] })[0]!,
      graph.node("ConvTranspose", [x, w], { output_shape: shape, strides: [2, 2] })[0]!,
    ];
  },
  "MaxPool with indices": ({ input, int, random }) => {
    const x = input([int(1, 2), int(1, 3), int(6, 11), int(6, 11)]);
    const options = { strides: int(1, 3), pads: int(0, 1), dilations: int(1, 2), ceilMode: random.chance(0.5) };
    return ops.maxPoolWithIndices(x, [int(2, 3), int(2, 3)], options);
  },
  "MaxPool, ceil mode on static sizes": ({ fixed, int }) => {
    const x = fixed([1, 2, int(5, 12), int(5, 12)]);
    return ops.maxPool(x, int(2, 3), { strides: int(1, 4), pads: [0, int(0, 1), 1, 0], ceilMode: true });
  },
  AveragePool: ({ fixed, int, random }) => {
    const x = fixed([1, int(1, 3), int(5, 12), int(5, 12)]);
    const options = { strides: int(1, 3), pads: int(0, 1), ceilMode: random.chance(0.5) };
    return ops.averagePool(x, int(2, 3), { ...options, countIncludePad: random.chance(0.5) });
  },
  "global pools": ({ input, shape, int }) => {
    const x = input(shape(int(3, 5)));
    return [ops.globalAveragePool(x), ops.globalMaxPool(x)];
  },
  MaxUnpool: ({ fixed, int }) => {
    const x = fixed([1, 2, 2 * int(2, 4), 2 * int(2, 4)]);
    const [y, indices] = ops.maxPoolWithIndices(x, 2, { strides: 2 });
    const outputShape = x.staticShape;
    return [ops.maxUnpool(y, indices, 2, { strides: 2 }), ops.maxUnpool(y, indices, 2, { strides: 2, outputShape })];
  },
  "BatchNormalization, both modes": ({ input, fixed, shape, int }) => {
    const sizes = shape(int(3, 4)), c = [sizes[1]!];
    sizes[0] = int(2, 4); // one example alone has no variance
    const x = input(sizes), weights = [fixed(c), fixed(c), fixed(c), fixed(c, "float32", 0.5, 1)] as const;
    const { y, runningMean, runningVariance } = ops.batchNormalizationTraining(x, ...weights, { momentum: 0 });
    return [ops.batchNormalization(x, ...weights), y, runningMean, runningVariance];
  },
  "LayerNormalization, InstanceNormalization, LpNormalization": ({ input, fixed, shape, int }) => {
    const sizes = shape(4), axis = int(1, 3);
    const x = input(sizes), tail = sizes.slice(axis), c = [sizes[1]!];
    return [
      ops.layerNormalization(x, fixed(tail), fixed(tail), { axis }),
      ops.instanceNormalization(x, fixed(c), fixed(c)),
      ops.lpNormalization(x, { axis }),
    ];
  },
  Dropout: ({ input, shape, random }) => {
    const { y, mask } = ops.dropout(input(shape(3)), { ratio: 0.3, training: random.chance(0.5), seed: 1 });
    return [y, mask];
  },
  reductions: ({ input, shape, int, random }) => {
    const rank = int(1, 4), x = ops.abs(input(shape(rank)));
    const all = Array.from({ length: rank }, (_, i) => i);
    const axes = random.chance(0.2)
      ? undefined
      : random.shuffle(all).slice(0, int(1, rank)).map((axis) => random.chance(0.5) ? axis : axis - rank);
    const options = { axes, keepdims: random.chance(0.5) };
    return [
      ops.reduceSum(x, options),
      ops.reduceMean(x, options),
      ops.reduceMax(x, options),
      ops.reduceMin(x, options),
      ops.reduceProd(x, options),
      ops.reduceL1(x, options),
      ops.reduceL2(x, options),
      ops.reduceLogSum(x, options),
      ops.reduceLogSumExp(x, options),
      ops.reduceSumSquare(x, options),
    ];
  },
  "ReduceSum with no axes": ({ input, shape }) => ops.reduceSum(input(shape(3)), { axes: [] }),
  "ArgMax, ArgMin, TopK, CumSum": ({ fixed, input, shape, int, random }) => {
    const sizes = shape(3), axis = int(-3, 2);
    const x = input(sizes), options = { axis, keepdims: random.chance(0.5) };
    const { values, indices } = ops.topK(fixed(sizes), int(1, sizes.at(axis)!), { axis });
    return [ops.argMax(x, options), ops.argMin(x, options), values, indices, ops.cumSum(x, axis, { reverse: true })];
  },
  Reshape: ({ input, shape, int }) => {
    const sizes = shape(4), x = input(sizes);
    const [a, b, c, d] = sizes as [number, number, number, number];
    return pick([
      ops.reshape(x, [0, -1]),
      ops.reshape(x, [-1]),
      ops.reshape(x, [a * b, c * d]),
      ops.reshape(x, [0, 0, -1, 1]),
      ops.reshape(x, [a, 1, -1]),
    ], int(0, 4));
  },
  "Reshape by computed shapes": ({ input, shape, graph }) => {
    const x = input(shape(4));
    const sizes = ops.shape(x);
    const batch = ops.gather(sizes, graph.ints([0])),
      rest = ops.reduceProd(ops.shape(x, { start: 1 }), { keepdims: true });
    const target = ops.concat([batch, rest], 0);
    const channels = ops.unsqueeze(ops.gather(sizes, graph.ints(1)), [0]);
    return [target, ops.reshape(x, target), ops.reshape(x, ops.concat([batch, channels, graph.ints([-1])], 0))];
  },
  "Expand as PyTorch exports it": ({ input, fixed, shape, graph }) => {
    const x = input(shape(3)), sizes = ops.shape(x);
    const ones = ops.constantOfShape(graph.ints([3]), { value: 1, dtype: "int64" });
    const marks = ops.mul(ones, graph.constant([-1], { dtype: "int64" }));
    const target = ops.where(ops.equal(sizes, marks), ones, sizes);
    return [ops.expand(fixed([1, 1, 1]), target), target];
  },
  "Pad as PyTorch exports it": ({ input, graph, int }) => {
    const pads = Array.from({ length: 4 }, () => int(0, 2)); // last dimension first
    const rest = ops.sub(ops.mul(ops.unsqueeze(ops.size(ops.shape(input([2, 3, 4, 5]))), [0]), 2), 4);
    const zeros = ops.constantOfShape(rest, { dtype: "int64" });
    const pairs = ops.reshape(ops.concat([graph.ints(pads), zeros], 0), [-1, 2]);
    const turned = ops.transpose(ops.slice(pairs, [-1], [undefined], { axes: [0], steps: [-1] }), [1, 0]);
    const target = ops.cast(ops.reshape(turned, [-1]), "int64");
    return [turned, target, ops.pad(input([2, 3, 4, 5]), target)];
  },
  Flatten: ({ input, shape, int }) => ops.flatten(input(shape(4)), { axis: int(-4, 4) }),
  "Transpose, Squeeze, Unsqueeze": ({ input, fixed, shape, int, random }) => {
    const rank = int(1, 4), x = input(shape(rank));
    const axes = random.shuffle([0, 1, -1]).slice(0, int(1, 2));
    const ones = fixed([1, int(2, 4), 1, 3]);
    return [
      ops.transpose(x),
      ops.transpose(x, random.shuffle(Array.from({ length: rank }, (_, i) => i))),
      ops.unsqueeze(x, axes),
      ops.squeeze(ones),
      ops.squeeze(ones, [-2]),
    ];
  },
  "Expand and Tile": ({ fixed, input, shape, int }) => {
    const sizes = shape(3), x = input(sizes);
    const one = fixed([sizes[0]!, 1, sizes[2]!]);
    return [ops.expand(one, [int(1, 3), sizes[0]!, 4, 1]), ops.tile(x, [int(1, 3), 1, int(1, 3)])];
  },
  "Concat and Split": ({ fixed, input, shape, int }) => {
    const sizes = shape(3), axis = int(-3, 2);
    const other = [...sizes];
    other[axis < 0 ? axis + 3 : axis] = int(1, 4);
    const joined = ops.concat([input(sizes), input(other), input(sizes)], axis);
    const doubled = fixed(sizes.map((size) => size * 6));
    const whole = sizes.at(axis)! * 6;
    return [
      joined,
      ...ops.split(doubled, int(1, 3), { axis }),
      ...ops.split(doubled, [1, whole - 3, 2], { axis }),
    ];
  },
  Pad: ({ input, fixed, shape, int }) => {
    const pads = Array.from({ length: 6 }, () => int(0, 2));
    const big = [int(3, 5), int(3, 5), int(3, 5)];
    return [
      ops.pad(input(shape(3)), pads, { value: 1.5 }),
      ops.pad(fixed(big), pads, { mode: "reflect" }),
      ops.pad(fixed(big), pads, { mode: "edge" }),
    ];
  },
  "DepthToSpace and SpaceToDepth": ({ fixed, input, int }) => {
    const b = int(2, 3), n = int(1, 2), c = int(1, 2), h = int(1, 3), w = int(1, 3);
    return [
      ops.depthToSpace(fixed([n, c * b * b, h, w]), b, { mode: "CRD" }),
      ops.spaceToDepth(input([n, c, h * b, w * b]), b),
    ];
  },
  Slice: ({ fixed, input, shape, int, random }) => {
    const x = fixed(shape(3, 8)), y = input(shape(3, 8));
    const step = random.pick([-2, -1, 1, 2, 3]);
    return [
      ops.slice(x, [int(-9, 9)], [int(-9, 9)], { axes: [int(-3, 2)], steps: [step] }),
      ops.slice(x, [step < 0 ? -1 : 1], [undefined], { axes: [1], steps: [step] }),
      ops.slice(y, [0], [undefined], { axes: [0] }),
      ops.slice(y, [1, 0], [3, -1], { axes: [1, 2] }),
    ];
  },
  "Gather and its kin": ({ fixed, input, int }) => {
    const x = input([4, 5, 6]), axis = int(-3, 2);
    return [
      ops.gather(x, fixed([2, 3], "int64", -4, 4), { axis }),
      ops.gather(x, fixed([], "int64", 0, 4), { axis }),
      ops.gatherElements(x, fixed([4, 3, 2], "int64", 0, 2), { axis: 1 }),
      ops.gatherND(x, fixed([2, 3, 2], "int64", 0, 4)),
      ops.gatherND(x, fixed([4, 2, 1], "int64", 0, 4), { batchDims: 1 }),
    ];
  },
  "Scatter": ({ fixed, input }) => {
    const x = input([4, 5]), indices = fixed([2, 3], "int64", 0, 2), updates = fixed([2, 3]);
    return [
      ops.scatterElements(x, indices, updates, { axis: 1, reduction: "add" }),
      ops.scatterND(x, fixed([3, 1], "int64", 0, 4), fixed([3, 5]), { reduction: "add" }),
    ];
  },
  "OneHot, Trilu, NonZero": ({ fixed, input, shape, int, graph }) => {
    const labels = input(shape(2), "int64", 0, 5), axis = int(-3, 2);
    const x = fixed(shape(2));
    return [
      ops.oneHot(labels, 5, { axis }),
      ops.trilu(input(shape(3)), { upper: false, k: int(-1, 1) }),
      graph.node("NonZero", [x])[0]!,
    ];
  },
  "MatMul and Gemm": ({ fixed, input, int, random }) => {
    const m = int(1, 4), k = int(1, 4), n = int(1, 4), b = int(1, 3);
    const transA = random.chance(0.5), transB = random.chance(0.5);
    const c = random.pick([[n], [m, n], [1, n], []]);
    return [
      ops.matMul(input([b, m, k]), fixed([k, n])),
      ops.matMul(fixed([2, 1, m, k]), fixed([b, k, n])),
      ops.matMul(fixed([k]), fixed([b, k, n])),
      ops.matMul(fixed([b, m, k]), fixed([k])),
      ops.gemm(fixed(transA ? [k, m] : [m, k]), fixed(transB ? [n, k] : [k, n]), fixed(c), {
        transA,
        transB,
        alpha: 2,
      }),
    ];
  },
  Einsum: ({ input, int }) => {
    const b = int(1, 3), i = int(1, 4), j = int(1, 4), k = int(1, 4);
    const x = input([b, i, j]), y = input([b, j, k]);
    return [
      ops.einsum("bij,bjk->bik", [x, y]),
      ops.einsum("bij,bjk", [x, y]),
      ops.einsum("...ij,...jk->...ki", [x, y]),
      ops.einsum("bij->j", [x]),
      ops.einsum("bij,bjk->", [x, y]),
    ];
  },
  Resize: ({ input, fixed, int, random }) => {
    const sizes = [1, int(1, 3), int(2, 6), int(2, 6)];
    const x = input(sizes);
    const mode = random.pick(["nearest", "linear"] as const);
    return [
      ops.resize(x, { scales: [1, 1, 2, 2], mode, coordinates: "asymmetric", nearest: "floor" }),
      ops.resize(fixed(sizes), { scales: [1, 1, random.uniform(0.5, 2.5), 0.75], mode }),
      ops.resize(fixed(sizes), { sizes: [1, sizes[1]!, int(2, 9), int(2, 9)], mode, coordinates: "align_corners" }),
    ];
  },
  GridSample: ({ fixed, input, int }) =>
    ops.gridSample(input([2, 3, 5, 6]), fixed([2, int(1, 4), int(1, 4), 2], "float32", -1, 1)),
  "Shape, Size, ConstantOfShape, Range": ({ input, shape, graph, int }) => {
    const x = input(shape(4));
    const n = ops.squeeze(ops.shape(x, { start: 1, end: 2 }), [0]);
    return [
      ops.shape(x, { start: int(-4, 1), end: int(2, 5) }),
      ops.size(x),
      ops.constantOfShape(ops.shape(x), { value: 7, dtype: "int32" }),
      ops.range(graph.ints(0), n, 1),
      ops.range(graph.ints(int(-5, 5)), int(-5, 9), int(1, 3)),
      ops.range(graph.constant(0), 1.05, 0.1),
    ];
  },
  "QuantizeLinear, DequantizeLinear": ({ input, fixed, graph }) => {
    const x = input([2, 3, 4]);
    const q = ops.quantizeLinear(x, graph.constant(0.1), graph.constant([3], { dtype: "int8", shape: [] }));
    const per = ops.quantizeLinear(fixed([2, 3, 4]), fixed([3], "float32", 0.1, 1), undefined, { axis: 1 });
    return [q, ops.dequantizeLinear(q, graph.constant(0.1), graph.constant([3], { dtype: "int8", shape: [] })), per];
  },
  "shape arithmetic": ({ input, shape, graph }) => {
    const x = input(shape(3, 9));
    const at = (i: number) => ops.gather(ops.shape(x), graph.ints([i]));
    return [
      ops.div(ops.add(at(0), 3), 2),
      ops.mul(ops.sub(at(1), 1), 2),
      ops.sub(ops.add(at(0), at(1)), at(0)),
      ops.div(ops.mul(ops.mul(at(0), 6), at(2)), 3),
      ops.slice(ops.concat([at(0), at(1), at(2)], 0), [-2], [undefined]),
    ];
  },
};
