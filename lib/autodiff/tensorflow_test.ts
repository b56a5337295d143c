/** The gradients of all operators that TensorFlow.js has too, against its own. */

import {
  abs,
  add,
  atan,
  cast,
  ceil,
  clip,
  concat,
  cos,
  cumSum,
  div,
  elu,
  erf,
  exp,
  expand,
  flatten,
  floor,
  gather,
  gemm,
  identity,
  log,
  logSoftmax,
  matMul,
  max,
  min,
  mul,
  neg,
  pow,
  reciprocal,
  reduceL1,
  reduceL2,
  reduceLogSumExp,
  reduceMax,
  reduceMean,
  reduceMin,
  reduceProd,
  reduceSum,
  reduceSumSquare,
  reshape,
  round,
  selu,
  sigmoid,
  sign,
  silu,
  sin,
  slice,
  softmax,
  softplus,
  split,
  sqrt,
  squeeze,
  sub,
  sum,
  tanh,
  tile,
  transpose,
  unsqueeze,
  type Value,
  where,
} from "../onnx/mod.ts";
import { Random } from "../runtime/mod.ts";
import type { CheckedInput } from "./gradient_check.ts";
import { compareWithTensorFlow, type TensorFlowFunction, tf } from "./tensorflow_oracle.ts";

const POSITIVE: Partial<CheckedInput> = { low: 0.3, high: 3 };
const UNIT: Partial<CheckedInput> = { low: -0.8, high: 0.8 };
const NOT_ZERO: Partial<CheckedInput> = {
  sample: (random) => (random.chance(0.5) ? 1 : -1) * random.uniform(0.1, 2),
};
const DISTINCT: Partial<CheckedInput> = { distinct: true };
const named = (opType: string) => (x: Value): Value => x.graph.node(opType, [x])[0]!;

/** Functions of one input: ours, TensorFlow.js's, and where the elements lie. */
const UNARY: Readonly<
  Record<string, [ours: (x: Value) => Value, theirs: (x: tf.Tensor) => tf.Tensor, elements?: Partial<CheckedInput>]>
> = {
  Neg: [neg, tf.neg],
  Sqrt: [sqrt, tf.sqrt, POSITIVE],
  Reciprocal: [reciprocal, tf.reciprocal, NOT_ZERO],
  Exp: [exp, tf.exp],
  Log: [log, tf.log, POSITIVE],
  Abs: [abs, tf.abs, NOT_ZERO],
  Erf: [erf, tf.erf],
  Sin: [sin, tf.sin],
  Cos: [cos, tf.cos],
  Tan: [named("Tan"), tf.tan, UNIT],
  Asin: [named("Asin"), tf.asin, UNIT],
  Acos: [named("Acos"), tf.acos, UNIT],
  Atan: [atan, tf.atan],
  Sinh: [named("Sinh"), tf.sinh],
  Cosh: [named("Cosh"), tf.cosh],
  Asinh: [named("Asinh"), tf.asinh],
  Acosh: [named("Acosh"), tf.acosh, { low: 1.3, high: 4 }],
  Atanh: [named("Atanh"), tf.atanh, UNIT],
  Identity: [identity, tf.clone],
  Sigmoid: [sigmoid, tf.sigmoid],
  Tanh: [tanh, tf.tanh],
  Softplus: [softplus, tf.softplus],
  Elu: [elu, tf.elu, NOT_ZERO],
  Selu: [selu, tf.selu, NOT_ZERO],
  "Mul and Sigmoid": [silu, (x) => tf.mul(x, tf.sigmoid(x))],
  Softmax: [softmax, (x) => tf.softmax(x)],
  LogSoftmax: [logSoftmax, (x) => tf.logSoftmax(x)],
  "Pow 2": [(x) => pow(x, 2), tf.square],
  "Pow 3": [(x) => pow(x, 3), (x) => tf.pow(x, 3)],
  Clip: [(x) => clip(x, -1, 0.5), (x) => tf.clipByValue(x, -1, 0.5)],
  Floor: [floor, tf.floor],
  Ceil: [ceil, tf.ceil],
  Round: [round, tf.round],
  Sign: [sign, tf.sign],
  "Cast there and back": [(x) => cast(cast(x, "float64"), "float32"), (x) => tf.cast(tf.cast(x, "float32"), "float32")],
  ReduceSum: [(x) => reduceSum(x, { axes: [0, 2] }), (x) => tf.sum(x, [0, 2])],
  ReduceMean: [(x) => reduceMean(x, { axes: [1], keepdims: true }), (x) => tf.mean(x, [1], true)],
  ReduceMax: [(x) => reduceMax(x, { axes: [2] }), (x) => tf.max(x, 2), DISTINCT],
  ReduceMin: [(x) => reduceMin(x, { axes: [0, 1] }), (x) => tf.min(x, [0, 1]), DISTINCT],
  ReduceProd: [(x) => reduceProd(x, { axes: [1] }), (x) => tf.prod(x, 1), NOT_ZERO],
  ReduceLogSumExp: [(x) => reduceLogSumExp(x, { axes: [1, 2] }), (x) => tf.logSumExp(x, [1, 2])],
  ReduceL1: [(x) => reduceL1(x, { axes: [1] }), (x) => tf.norm(x, 1, 1), NOT_ZERO],
  ReduceL2: [(x) => reduceL2(x, { axes: [1, 2] }), (x) => tf.sqrt(tf.sum(tf.square(x), [1, 2]))],
  ReduceSumSquare: [(x) => reduceSumSquare(x, { axes: [2] }), (x) => tf.sum(tf.square(x), 2)],
  Reshape: [(x) => reshape(x, [4, 6]), (x) => tf.reshape(x, [4, 6])],
  Flatten: [flatten, (x) => tf.reshape(x, [2, 12])],
  Transpose: [(x) => transpose(x, [2, 0, 1]), (x) => tf.transpose(x, [2, 0, 1])],
  "Unsqueeze and Squeeze": [
    (x) => squeeze(mul(unsqueeze(x, [1]), 2), [1]),
    (x) => tf.squeeze(tf.mul(tf.expandDims(x, 1), 2), [1]),
  ],
  Expand: [(x) => expand(unsqueeze(x, [0]), [5, 2, 3, 4]), (x) => tf.broadcastTo(tf.expandDims(x, 0), [5, 2, 3, 4])],
  Slice: [
    (x) => slice(x, [1, 1], [3, 4], { axes: [1, 2] }),
    (x) => tf.slice(x, [0, 1, 1], [2, 2, 3]),
  ],
  Tile: [(x) => tile(x, [2, 1, 3]), (x) => tf.tile(x, [2, 1, 3])],
  // TensorFlow.js's gradient of cumsum is right for the last axis only.
  CumSum: [(x) => cumSum(x, 2), (x) => tf.cumsum(x, 2)],
  "CumSum, exclusive and reverse": [
    (x) => cumSum(x, 2, { exclusive: true, reverse: true }),
    (x) => tf.cumsum(x, 2, true, true),
  ],
  Split: [
    (x) => {
      const [a, b] = split(x, [1, 3], { axis: 2 });
      return mul(a!, b!);
    },
    (x) => {
      const [a, b] = tf.split(x, [1, 3], 2);
      return tf.mul(a!, b!);
    },
  ],
};

for (const [name, [ours, theirs, elements]] of Object.entries(UNARY)) {
  Deno.test(`${name} has TensorFlow.js's gradient`, async () => {
    await compareWithTensorFlow(
      { inputs: { x: { shape: [2, 3, 4], ...elements } }, build: ({ x }) => ours(x!) },
      ({ x }) => theirs(x!),
      { random: Random.seeded("tensorflow", name) },
    );
  });
}

/** Functions of several inputs. */
const OTHERS: Readonly<
  Record<
    string,
    [inputs: Record<string, CheckedInput>, ours: (inputs: Record<string, Value>) => Value, theirs: TensorFlowFunction]
  >
> = {
  Add: [{ a: { shape: [2, 3] }, b: { shape: [3] } }, ({ a, b }) => add(a!, b!), ({ a, b }) => tf.add(a!, b!)],
  Sub: [{ a: { shape: [1, 3] }, b: { shape: [2, 1] } }, ({ a, b }) => sub(a!, b!), ({ a, b }) => tf.sub(a!, b!)],
  Mul: [{ a: { shape: [2, 1, 4] }, b: { shape: [3, 1] } }, ({ a, b }) => mul(a!, b!), ({ a, b }) => tf.mul(a!, b!)],
  Div: [
    { a: { shape: [2, 3] }, b: { shape: [2, 1], ...NOT_ZERO } },
    ({ a, b }) => div(a!, b!),
    ({ a, b }) => tf.div(a!, b!),
  ],
  Pow: [
    { a: { shape: [2, 3], ...POSITIVE }, b: { shape: [3] } },
    ({ a, b }) => pow(a!, b!),
    ({ a, b }) => tf.pow(a!, b!),
  ],
  // TensorFlow.js's gradients of minimum and maximum do not undo broadcasting.
  Min: [{ a: { shape: [4, 5] }, b: { shape: [4, 5] } }, ({ a, b }) => min([a!, b!]), ({ a, b }) => tf.minimum(a!, b!)],
  Max: [{ a: { shape: [4, 5] }, b: { shape: [4, 5] } }, ({ a, b }) => max([a!, b!]), ({ a, b }) => tf.maximum(a!, b!)],
  Sum: [
    { a: { shape: [2, 3] }, b: { shape: [2, 3] }, c: { shape: [2, 3] } },
    ({ a, b, c }) => sum([a!, b!, c!]),
    ({ a, b, c }) => tf.addN([a!, b!, c!]),
  ],
  Where: [
    { if: { shape: [2, 3], dtype: "bool", data: [1, 0, 0, 1, 1, 0] }, a: { shape: [2, 3] }, b: { shape: [2, 3] } },
    ({ if: condition, a, b }) => where(condition!, a!, mul(b!, 2)),
    ({ if: condition, a, b }) => tf.where(condition!, a!, tf.mul(b!, 2)),
  ],
  MatMul: [
    { a: { shape: [2, 3, 4] }, b: { shape: [2, 4, 5] } },
    ({ a, b }) => matMul(a!, b!),
    ({ a, b }) => tf.matMul(a!, b!),
  ],
  "MatMul of a batch and a matrix": [
    { a: { shape: [2, 3, 4] }, b: { shape: [4, 5] } },
    ({ a, b }) => matMul(a!, b!),
    ({ a, b }) => tf.reshape(tf.matMul(tf.reshape(a!, [6, 4]), b as tf.Tensor2D), [2, 3, 5]),
  ],
  Gemm: [
    { a: { shape: [4, 3] }, b: { shape: [5, 4] }, c: { shape: [5] } },
    ({ a, b, c }) => gemm(a!, b!, c!, { transA: true, transB: true, alpha: 0.5, beta: 2 }),
    ({ a, b, c }) => tf.add(tf.mul(tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D, true, true), 0.5), tf.mul(c!, 2)),
  ],
  Concat: [
    { a: { shape: [2, 3] }, b: { shape: [2, 1] } },
    ({ a, b }) => concat([a!, b!, a!], 1),
    ({ a, b }) => tf.concat([a!, b!, a!], 1),
  ],
  Gather: [
    { x: { shape: [4, 3] }, i: { shape: [2, 3], dtype: "int64", data: [0, 2, 2, 1, 0, 2] } },
    ({ x, i }) => gather(x!, i!),
    ({ x, i }) => tf.gather(x!, i as tf.Tensor2D),
  ],
  "Gather on the last axis": [
    { x: { shape: [4, 3] }, i: { shape: [4], dtype: "int64", data: [0, 2, 2, 1] } },
    ({ x, i }) => gather(x!, i!, { axis: 1 }),
    ({ x, i }) => tf.gather(x!, i as tf.Tensor1D, 1),
  ],
};

for (const [name, [inputs, ours, theirs]] of Object.entries(OTHERS)) {
  Deno.test(`${name} has TensorFlow.js's gradients`, async () => {
    await compareWithTensorFlow({ inputs, build: ours }, theirs, { random: Random.seeded("tensorflow", name) });
  });
}
