/** Single operators of the second engine: output and gradients beside ONNX Runtime's of the same graph. */

import assert from "node:assert/strict";
import * as ops from "../../onnx/mod.ts";
import { Graph, mul, reduceSum, tensor, toNumbers, type Value } from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { compileStep, compileTensorFlowStep, sgd, tensorFlowOperators } from "../mod.ts";

/** What a case is made with: x(shape) is a weight with random elements, apart from each other and from 0. */
interface Bench {
  readonly graph: Graph;
  x(...shape: number[]): Value;
  ints(values: readonly number[], shape?: readonly number[]): Value;
}

type Build = (bench: Bench) => Value | readonly Value[];

const node = (opType: string, inputs: readonly Value[], attributes: Record<string, number | string> = {}) =>
  inputs[0]!.graph.node(opType, inputs, attributes)[0]!;

/** Operators of one input, each on a [2, 3, 4]; "positive" ones on its absolute values and 0.2. */
const UNARY: Readonly<Record<string, Record<string, number | string>>> = {
  Neg: {},
  Abs: {},
  Sign: {},
  Floor: {},
  Ceil: {},
  Round: {},
  Reciprocal: {},
  Exp: {},
  Erf: {},
  Sin: {},
  Cos: {},
  Atan: {},
  Sinh: {},
  Cosh: {},
  Asinh: {},
  Relu: {},
  LeakyRelu: { alpha: 0.2 },
  Elu: { alpha: 0.7 },
  Celu: { alpha: 1.5 },
  Selu: {},
  ThresholdedRelu: { alpha: 0.5 },
  Sigmoid: {},
  HardSigmoid: { alpha: 0.3 },
  HardSwish: {},
  Tanh: {},
  Softplus: {},
  Softsign: {},
  Mish: {},
  Gelu: {},
  Softmax: { axis: 1 },
  LogSoftmax: { axis: 0 },
  LpNormalization: { axis: 1 },
  ReduceMax: {},
  ReduceMin: {},
  ReduceProd: {},
  ReduceL1: {},
  ReduceL2: {},
  ReduceSumSquare: {},
  ReduceLogSumExp: {},
};

const CASES: Readonly<Record<string, Build>> = {
  ...Object.fromEntries(
    Object.entries(UNARY).map(([opType, attributes]): [string, Build] => [
      opType,
      ({ x }) => node(opType, [x(2, 3, 4)], attributes),
    ]),
  ),
  ...Object.fromEntries(["Sqrt", "Log", "ReduceLogSum"].map((opType): [string, Build] => [
    opType,
    ({ x }) => node(opType, [ops.add(ops.abs(x(2, 3)), 0.2)]),
  ])),
  ...Object.fromEntries(["Tan", "Asin", "Acos", "Atanh"].map((opType): [string, Build] => [
    opType,
    ({ x }) => node(opType, [mul(x(2, 3), 0.4)]),
  ])),
  Acosh: ({ x }) => node("Acosh", [ops.add(ops.abs(x(2, 3)), 1.2)]),
  ...Object.fromEntries(["Add", "Sub", "Mul", "Div", "Min", "Max", "Sum", "Mean"].map((opType): [string, Build] => [
    `${opType}, broadcasting both`,
    ({ x }) => node(opType, [x(2, 1, 4), x(3, 1)]),
  ])),
  "Min and Max of three": ({ x }) => [ops.min([x(2, 3), x(3), x(2, 1)]), ops.max([x(2, 3), x(1, 3), x(2, 1)])],
  "Pow, broadcasting": ({ x }) => ops.pow(ops.add(ops.abs(x(2, 3)), 0.2), x(3)),
  "Where, broadcasting": ({ x }) => ops.where(ops.greater(x(2, 1), 0), x(2, 3), x(3)),
  Clip: ({ x }) => ops.clip(x(3, 4), -0.5, 0.8),
  PRelu: ({ x }) => node("PRelu", [x(2, 3, 4, 1), x(3, 1, 1)]),
  "Cast and comparisons": ({ x }) => {
    const a = x(3, 4), b = x(3, 4);
    const flags = [ops.less(a, b), node("GreaterOrEqual", [a, b]), node("LessOrEqual", [a, b]), ops.equal(a, b)];
    return mul(a, ops.sum(flags.map((flag) => ops.cast(flag, "float32"))));
  },
  "Reshape with 0 and −1": ({ x }) => ops.reshape(x(2, 3, 4), [0, -1]),
  Flatten: ({ x }) => ops.flatten(x(2, 3, 4), { axis: 2 }),
  Transpose: ({ x }) => ops.transpose(x(2, 3, 4), [1, 2, 0]),
  "Squeeze and Unsqueeze": ({ x }) => ops.unsqueeze(ops.squeeze(x(2, 1, 3, 1), [1]), [0, -1]),
  "Expand both ways": ({ x }) => ops.expand(x(3, 1), [2, 1, 4]),
  Tile: ({ x }) => ops.tile(x(2, 3), [2, 2]),
  "Concat and Split": ({ x }) => ops.split(ops.concat([x(2, 3), x(2, 2)], 1), [1, 4], { axis: 1 }),
  "Pad, each mode": ({ x, graph }) =>
    ["constant", "reflect", "edge"].map((mode) => node("Pad", [x(3, 4), graph.ints([1, 2, 0, 1])], { mode })),
  "Pad that takes away": ({ x, graph }) => node("Pad", [x(3, 4), graph.ints([-1, 2, 0, -1])]),
  "DepthToSpace and SpaceToDepth": ({ x }) => [
    node("DepthToSpace", [x(2, 8, 2, 3)], { blocksize: 2 }),
    node("DepthToSpace", [x(2, 8, 2, 3)], { blocksize: 2, mode: "CRD" }),
    node("SpaceToDepth", [x(2, 2, 4, 6)], { blocksize: 2 }),
  ],
  "Slice, forwards and backwards": ({ x }) => ops.slice(x(5, 6), [4, 1], [-10, 6], { axes: [0, 1], steps: [-2, 2] }),
  Gather: ({ x, ints }) => ops.gather(x(4, 3), ints([0, -1, 2, 1], [2, 2]), { axis: 0 }),
  GatherElements: ({ x, ints }) => node("GatherElements", [x(3, 2), ints([0, 2, 1, 1], [2, 2])], { axis: 0 }),
  "ScatterElements, replacing and adding": ({ x, ints }) => [
    node("ScatterElements", [x(3, 2), ints([0, 2, 1, 1], [2, 2]), x(2, 2)], { axis: 0 }),
    node("ScatterElements", [x(3, 2), ints([0, 2, 0, 2], [2, 2]), x(2, 2)], { axis: 0, reduction: "add" }),
  ],
  OneHot: ({ x, ints }) => mul(ops.oneHot(ints([0, 2, -1], [3]), 4), x(4)),
  Trilu: ({ x }) => node("Trilu", [x(4, 4)], { upper: 0 }),
  CumSum: ({ x }) => [ops.cumSum(x(3, 4), 0), ops.cumSum(x(3, 4), 1, { exclusive: true, reverse: true })],
  "MatMul of batches and vectors": ({ x }) => [
    ops.matMul(x(2, 1, 3, 4), x(3, 4, 2)),
    ops.matMul(x(2, 3, 4), x(4, 2)),
    ops.matMul(x(4), x(2, 4, 3)),
    ops.matMul(x(2, 3), x(3)),
  ],
  Gemm: ({ x }) => ops.gemm(x(4, 3), x(5, 4), x(5), { transA: true, transB: true, alpha: 0.5, beta: 2 }),
  Einsum: ({ x }) => ops.einsum("bij,bkj->bik", [x(2, 3, 4), x(2, 5, 4)]),
  "Conv, one dimension": ({ x }) =>
    ops.conv(x(2, 2, 7), x(3, 2, 3), { bias: x(3), strides: 2, pads: [1, 0], dilations: 2 }),
  "Conv, two dimensions": ({ x }) =>
    ops.conv(x(2, 2, 6, 7), x(4, 1, 3, 2), {
      bias: x(4),
      strides: [1, 2],
      pads: [1, 0, 2, 1],
      group: 2,
      dilations: [2, 1],
    }),
  "ConvTranspose": ({ x }) =>
    ops.convTranspose(x(1, 4, 3, 4), x(4, 2, 3, 3), {
      bias: x(4),
      strides: [2, 3],
      pads: 1,
      group: 2,
      outputPadding: 1,
    }),
  "MaxPool, overlapping": ({ x }) => ops.maxPool(x(1, 2, 7, 6), 3, { strides: 2, pads: 1, ceilMode: true }),
  AveragePool: ({ x }) => [
    ops.averagePool(x(1, 2, 7, 6), 3, { strides: 2, pads: 1, ceilMode: true }),
    ops.averagePool(x(1, 2, 7, 6), 3, { strides: 2, pads: 1, countIncludePad: true }),
  ],
  "GlobalAveragePool and GlobalMaxPool": (
    { x },
  ) => [ops.globalAveragePool(x(2, 3, 4, 2)), ops.globalMaxPool(x(2, 3, 4, 2))],
  LayerNormalization: ({ x }) => ops.layerNormalization(x(2, 3, 4), x(3, 4), x(3, 4), { axis: 1 }),
  InstanceNormalization: ({ x }) => node("InstanceNormalization", [x(2, 3, 4, 2), x(3), x(3)]),
  "Resize, nearest and linear": ({ x }) => [
    ops.resize(x(1, 1, 3, 4), { scales: [1, 1, 2, 1.5], mode: "nearest" }),
    ops.resize(x(1, 1, 3, 4), { scales: [1, 1, 2, 1.5], mode: "linear" }),
  ],
};

for (const [name, build] of Object.entries(CASES)) {
  Deno.test(`${name}: output and gradients are those on ONNX Runtime`, async () => {
    const graph = new Graph("case"), random = Random.seeded("tfjs operators", name);
    const x = (...shape: number[]) => {
      const length = shape.reduce((a, b) => a * b, 1);
      // Distinct, and far enough from 0, ½ and whole numbers for differences not to jump.
      const order = random.shuffle(Array.from({ length }, (_, i) => i));
      const data = order.map((place) => (place - length / 2 + 0.3) * 2.9 / length);
      return graph.parameter(`x${graph.parameters.length}`, tensor("float32", shape, data));
    };
    const ints = (values: readonly number[], shape: readonly number[] = [values.length]) =>
      graph.constant(tensor("int64", shape, values), { name: "places" });
    const built = build({ graph, x, ints });
    const outputs = "graph" in built ? [built] : built;
    outputs.forEach((output, i) => graph.output(output, `y${i}`));
    const options = {
      model: graph,
      optimizer: sgd(),
      loss: ({ output, graph }: { output: (name: string) => Value; graph: Graph }) =>
        ops.sum(outputs.map((_, i) => {
          const y = output(`y${i}`), shape = y.staticShape, count = shape.reduce((a, b) => a * b, 1);
          return reduceSum(mul(y, graph.constant(Array.from({ length: count }, (_, j) => Math.cos(j + i)), { shape })));
        })),
    };
    await using ours = await compileStep({ ...options, worker: false, threads: 1 });
    await using theirs = await compileTensorFlowStep({ ...options, backend: "cpu" });
    const [a, b] = [await ours.evaluate({}), await theirs.evaluate({})];
    for (const key of Object.keys(a)) assertClose(toNumbers(b[key]!), toNumbers(a[key]!), key);
    const [left, right] = [await ours.run({}, { learningRate: 1 }), await theirs.run({}, { learningRate: 1 })];
    assertClose([right.loss], [left.loss], "loss");
    const [after, before] = [await theirs.parameters(), await ours.parameters()];
    for (const key of Object.keys(before)) assertClose(toNumbers(after[key]!), toNumbers(before[key]!), key);
  });
}

function assertClose(found: readonly number[], expected: readonly number[], name: string): void {
  assert.equal(found.length, expected.length, name);
  found.forEach((element, i) => {
    const bound = 1e-4 * (1 + Math.abs(expected[i]!));
    assert.ok(Math.abs(element - expected[i]!) < bound, `${name}[${i}]: ${element}, ONNX Runtime ${expected[i]}`);
  });
}

Deno.test("tensorFlowOperators names what the engine runs", () => {
  const names = tensorFlowOperators();
  for (const opType of ["BatchNormalization", "Conv", "Resize", "Softmax"]) assert.ok(names.includes(opType));
  assert.ok(!names.includes("NonZero"));
});
