/**
 * The gradients of all operators against PyTorch's, recorded by
 * `python tests/peers/record_gradients.py tests/fixtures/gradients.json`.
 */

import assert from "node:assert/strict";
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
  type DType,
  einsum,
  elu,
  erf,
  exp,
  expand,
  flatten,
  floor,
  gather,
  gatherElements,
  gatherND,
  gelu,
  gemm,
  hardSigmoid,
  hardSwish,
  identity,
  log,
  logSoftmax,
  matMul,
  max,
  mean,
  min,
  mish,
  mod,
  mul,
  neg,
  pow,
  reciprocal,
  reduceL1,
  reduceL2,
  reduceLogSum,
  reduceLogSumExp,
  reduceMax,
  reduceMean,
  reduceMin,
  reduceProd,
  reduceSum,
  reduceSumSquare,
  reshape,
  round,
  scatterElements,
  scatterND,
  selu,
  sigmoid,
  sign,
  silu,
  sin,
  slice,
  softmax,
  softplus,
  softsign,
  split,
  sqrt,
  squeeze,
  sub,
  sum,
  tanh,
  tile,
  topK,
  transpose,
  trilu,
  unsqueeze,
  type Value,
  where,
} from "../onnx/mod.ts";
import { Random } from "../runtime/mod.ts";
import { assertClose, runCase } from "./gradient_check.ts";

interface Recorded {
  readonly inputs: Readonly<Record<string, { shape: number[]; data: number[]; dtype?: DType }>>;
  readonly weight: readonly number[];
  readonly output: readonly number[];
  readonly gradients: Readonly<Record<string, readonly number[]>>;
}

const file = new URL("../../tests/fixtures/gradients.json", import.meta.url);
const { cases } = JSON.parse(await Deno.readTextFile(file)) as { cases: Record<string, Recorded> };

type Build = (...inputs: Value[]) => Value;
const named = (opType: string, attributes: Record<string, number> = {}): Build => (x) =>
  x!.graph.node(opType, [x!], attributes)[0]!;

/** The same functions as graphs, in the order of their inputs. */
const FLOAT64: Readonly<Record<string, Build>> = {
  Add: (a, b) => add(a!, b!),
  Sub: (a, b) => sub(a!, b!),
  Mul: (a, b) => mul(a!, b!),
  Div: (a, b) => div(a!, b!),
  Neg: (x) => neg(x!),
  Pow: (a, b) => pow(a!, b!),
  "Pow at 0": (a, b) => pow(a!, b!),
  Sqrt: (x) => sqrt(x!),
  Reciprocal: (x) => reciprocal(x!),
  Exp: (x) => exp(x!),
  Log: (x) => log(x!),
  Abs: (x) => abs(x!),
  Sin: (x) => sin(x!),
  Cos: (x) => cos(x!),
  Min: (a, b) => min([a!, b!]),
  Max: (a, b) => max([a!, b!]),
  Clip: (x) => clip(x!, -1, 0.5),
  Where: (condition, a, b) => where(condition!, a!, b!),
  Floor: (x) => mul(floor(x!), x!),
  Ceil: (x) => mul(ceil(x!), x!),
  Round: (x) => mul(round(x!), x!),
  Sign: (x) => mul(sign(x!), x!),
  Identity: (x) => identity(x!),
  Dropout: (x, mask) => mul(x!, mask!), // the seeded mask is fed in
  Sum: (...inputs) => sum(inputs),
  Sigmoid: (x) => sigmoid(x!),
  Tanh: (x) => tanh(x!),
  Silu: (x) => silu(x!),
  Softmax: (x) => softmax(x!, { axis: 1 }),
  LogSoftmax: (x) => logSoftmax(x!, { axis: 1 }),
  ReduceSum: (x) => reduceSum(x!, { axes: [0, 2] }),
  ReduceMean: (x) => reduceMean(x!, { axes: 1, keepdims: true }),
  ReduceMax: (x) => reduceMax(x!, { axes: 1 }),
  ReduceMin: (x) => reduceMin(x!, { axes: 0 }),
  ReduceLogSumExp: (x) => reduceLogSumExp(x!, { axes: [1, 2] }),
  ReduceL1: (x) => reduceL1(x!, { axes: 1 }),
  ReduceL2: (x) => reduceL2(x!, { axes: 1 }),
  ReduceSumSquare: (x) => reduceSumSquare(x!, { axes: 0 }),
  ReduceLogSum: (x) => reduceLogSum(x!, { axes: 0 }),
  ReduceProd: (x) => reduceProd(x!, { axes: 1 }),
  CumSum: (x) => cumSum(x!, 0),
  TopK: (x) => topK(x!, 2).values,
  MatMul: (a, b) => matMul(a!, b!),
  "MatMul of a batch and a matrix": (a, b) => matMul(a!, b!),
  "MatMul of a vector and a batch": (a, b) => matMul(a!, b!),
  "MatMul of two vectors": (a, b) => matMul(a!, b!),
  Gemm: (a, b, c) => gemm(a!, b!, c!, { transA: true, transB: true, alpha: 0.5, beta: 2 }),
  Einsum: (a, b) => einsum("abc,acd->bd", [a!, b!]),
  "Einsum with a diagonal": (a, b) => einsum("aa,ab->b", [a!, b!]),
  Reshape: (x) => reshape(x!, [4, 3]),
  Flatten: (x) => flatten(x!),
  Transpose: (x) => transpose(x!, [2, 0, 1]),
  Squeeze: (x) => squeeze(x!, [1]),
  Unsqueeze: (x) => unsqueeze(x!, [1]),
  Expand: (x) => expand(x!, [4, 2, 3, 3]),
  Concat: (a, b) => concat([a!, b!, a!], 1),
  Split: (x) => {
    const [first, rest] = split(x!, [1, 3], { axis: 1 });
    return mul(first!, rest!);
  },
  Slice: (x) => slice(x!, [1, 0], [4, 3], { steps: [2, 1] }),
  "Slice backwards": (x) => slice(x!, [3], [undefined], { steps: [-2] }),
  Tile: (x) => tile(x!, [2, 3]),
  Trilu: (x) => trilu(x!, { k: 1 }),
  Gather: (x, i) => gather(x!, i!),
  GatherElements: (x, i) => gatherElements(x!, i!),
  GatherND: (x, i) => gatherND(x!, i!),
  ScatterElements: (x, i, u) => scatterElements(x!, i!, u!),
  ScatterND: (x, i, u) => scatterND(x!, i!, u!),
};

/** Those that ONNX Runtime's CPU provider has in float32 only. */
const FLOAT32: Readonly<Record<string, Build>> = {
  Tan: named("Tan"),
  Asin: named("Asin"),
  Acos: named("Acos"),
  Atan: (x) => atan(x!),
  Sinh: named("Sinh"),
  Cosh: named("Cosh"),
  Asinh: named("Asinh"),
  Acosh: named("Acosh"),
  Atanh: named("Atanh"),
  Erf: (x) => erf(x!),
  Mod: (a, b) => mod(a!, b!, { fmod: true }),
  Cast: (x) => mul(cast(cast(x!, "float64"), "float32"), 2),
  Mean: (...inputs) => mean(inputs),
  HardSigmoid: (x) => hardSigmoid(x!, { alpha: 1 / 6 }),
  HardSwish: (x) => hardSwish(x!),
  Softplus: (x) => softplus(x!),
  Softsign: (x) => softsign(x!),
  Gelu: (x) => gelu(x!),
  "Gelu by tanh": (x) => gelu(x!, { approximate: "tanh" }),
  Elu: (x) => elu(x!, { alpha: 0.7 }),
  Selu: (x) => selu(x!),
  Celu: named("Celu", { alpha: 0.7 }),
  Mish: (x) => mish(x!),
  ThresholdedRelu: named("ThresholdedRelu", { alpha: 0.5 }),
};

for (const [dtype, builds, tolerance] of [["float64", FLOAT64, 1e-9], ["float32", FLOAT32, 1e-5]] as const) {
  for (const [name, build] of Object.entries(builds)) {
    Deno.test(`${name} has the gradients that PyTorch recorded`, async () => {
      const recorded = cases[name];
      assert.ok(recorded, `${name} is recorded`);
      const names = Object.keys(recorded.inputs);
      const { output, gradients } = await runCase(
        {
          dtype,
          inputs: recorded.inputs,
          build: (inputs) => build(...names.map((input) => inputs[input]!)),
        },
        recorded.weight,
        Random.seeded("pytorch", name),
      );
      assertClose(output, recorded.output, tolerance, "output");
      assert.deepEqual(Object.keys(gradients), Object.keys(recorded.gradients));
      for (const [input, expected] of Object.entries(recorded.gradients)) {
        assertClose(gradients[input]!, expected, tolerance, `gradient of ${input}`);
      }
    });
  }
}

Deno.test("every recorded case is compared", () => {
  assert.deepEqual(Object.keys(cases).sort(), [...Object.keys(FLOAT64), ...Object.keys(FLOAT32)].sort());
});
