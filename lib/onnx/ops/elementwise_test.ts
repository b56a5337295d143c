/** Elementwise operators against ONNX Runtime: types and shapes of random broadcasts, and mistakes. */

import assert from "node:assert/strict";
import type { DType } from "../../runtime/mod.ts";
import { Graph } from "../graph.ts";
import type { Value } from "../value.ts";
import type { Bench } from "./oracle.ts";
import { checkCase } from "./oracle.ts";
import * as ops from "./mod.ts";

type Unary = (x: Value) => Value;
type Binary = (a: Value, b: Value) => Value;

const UNARY: Record<string, Unary> = {
  Neg: ops.neg,
  Abs: ops.abs,
  Sign: ops.sign,
  Sqrt: (x) => ops.sqrt(ops.abs(x)),
  Reciprocal: ops.reciprocal,
  Exp: ops.exp,
  Log: (x) => ops.log(ops.abs(x)),
  Erf: ops.erf,
  Sin: ops.sin,
  Cos: ops.cos,
  Atan: ops.atan,
  Floor: ops.floor,
  Ceil: ops.ceil,
  Round: ops.round,
  Clip: (x) => ops.clip(x, -1, 1),
  "Clip above only": (x) => ops.clip(x, undefined, 0.5),
  Relu: ops.relu,
  LeakyRelu: (x) => ops.leakyRelu(x, { alpha: 0.1 }),
  Sigmoid: ops.sigmoid,
  HardSigmoid: (x) => ops.hardSigmoid(x, { alpha: 1 / 6 }),
  HardSwish: ops.hardSwish,
  Tanh: ops.tanh,
  Softplus: ops.softplus,
  Softsign: ops.softsign,
  Elu: ops.elu,
  Selu: ops.selu,
  Gelu: ops.gelu,
  "Gelu tanh": (x) => ops.gelu(x, { approximate: "tanh" }),
  Mish: ops.mish,
  Silu: ops.silu,
  Softmax: ops.softmax,
  "LogSoftmax first axis": (x) => ops.logSoftmax(x, { axis: 0 }),
  Identity: ops.identity,
  IsNaN: ops.isNaN,
  IsInf: ops.isInf,
  "Cast to int64": (x) => ops.cast(x, "int64"),
  "Cast to bool": (x) => ops.cast(x, "bool"),
  "Cast to float16": (x) => ops.cast(x, "float16"),
  "Cast to float64": (x) => ops.cast(x, "float64"),
};

const BINARY: Record<string, readonly [Binary, readonly DType[]]> = {
  Add: [ops.add, ["float32", "int64", "float64", "int32"]],
  Sub: [ops.sub, ["float32", "int64"]],
  Mul: [ops.mul, ["float32", "int64"]],
  Div: [(a, b) => ops.div(a, ops.where(ops.equal(b, 0), 1, b)), ["float32", "int32"]],
  Pow: [(a, b) => ops.pow(ops.abs(a), b), ["float32"]],
  Mod: [(a, b) => ops.mod(a, ops.where(ops.equal(b, 0), 1, b)), ["int64"]],
  "Mod fmod": [(a, b) => ops.mod(a, b, { fmod: true }), ["float32"]],
  Min: [(a, b) => ops.min([a, b]), ["float32", "int64"]],
  Max: [(a, b) => ops.max([a, b, a]), ["float32", "int32"]],
  Sum: [(a, b) => ops.sum([a, b, b]), ["float32"]],
  Mean: [(a, b) => ops.mean([a, b]), ["float32"]],
  Greater: [ops.greater, ["float32", "int64"]],
  Less: [ops.less, ["float32", "int32"]],
  GreaterOrEqual: [ops.greaterOrEqual, ["float32"]],
  LessOrEqual: [ops.lessOrEqual, ["float32"]],
  Equal: [ops.equal, ["float32", "int64", "bool"]],
  And: [ops.and, ["bool"]],
  Or: [ops.or, ["bool"]],
  Xor: [ops.xor, ["bool"]],
};

/** Two shapes that broadcast, with random 1s and missing leading dimensions. */
function broadcastPair({ random, int, shape }: Bench): [number[], number[]] {
  const full = shape(int(0, 4));
  const cut = () =>
    full.map((size) => random.chance(0.3) ? 1 : size).slice(random.chance(0.4) ? int(0, full.length) : 0);
  return [cut(), cut()];
}

for (const [name, op] of Object.entries(UNARY)) {
  Deno.test(`${name}: type and shape are those that ONNX Runtime finds`, async () => {
    for (let trial = 0; trial < 4; trial++) {
      await checkCase((bench) => op(bench.input(bench.shape(bench.int(1, 4)))), name, trial);
    }
  });
}

for (const [name, [op, dtypes]] of Object.entries(BINARY)) {
  Deno.test(`${name}: type and broadcast shape are those that ONNX Runtime finds`, async () => {
    for (const dtype of dtypes) {
      for (let trial = 0; trial < 5; trial++) {
        await checkCase(
          (bench) => {
            const [a, b] = broadcastPair(bench);
            // Symbols that stand for a 1 cannot be told from others, so sizes stay numbers here.
            return op(bench.fixed(a, dtype, -5, 6), bench.fixed(b, dtype, -5, 6));
          },
          name,
          dtype,
          trial,
        );
      }
    }
  });
}

Deno.test("Where and Not: type and broadcast shape are those that ONNX Runtime finds", async () => {
  for (let trial = 0; trial < 8; trial++) {
    await checkCase(
      (bench) => {
        const [a, b] = broadcastPair(bench);
        const condition = ops.not(bench.fixed(a, "bool"));
        return [ops.where(condition, bench.fixed(b), 0), ops.where(condition, 1, bench.fixed(b, "int64"))];
      },
      "Where",
      trial,
    );
  }
});

Deno.test("PRelu: type and shape are those that ONNX Runtime finds", async () => {
  for (let trial = 0; trial < 4; trial++) {
    await checkCase(
      (bench) => {
        const [n, c, h, w] = bench.shape(4) as [number, number, number, number];
        return ops.pRelu(bench.input([n, c, h, w]), bench.fixed([c, 1, 1]));
      },
      "PRelu",
      trial,
    );
  }
});

Deno.test("shapes that do not broadcast are refused with operator, names and shapes", () => {
  const graph = new Graph();
  const a = graph.input("left", "float32", [2, 3]), b = graph.input("right", "float32", ["N", 4]);
  assert.throws(() => ops.add(a, b, { name: "join" }), {
    name: "OnnxError",
    message: `Add "join": expected shapes that broadcast, found a "left" [2, 3] and b "right" [N, 4]`,
  });
  assert.throws(() => ops.add(a, graph.input("whole", "int64", [2, 3])), {
    message:
      /^Add "Add_\d": expected b "whole" \[2, 3\] to have the element type of a "left" \[2, 3\], float32, found int64$/,
  });
  assert.throws(() => ops.and(a, a), { message: /expected a "left" \[2, 3\] to be bool, found float32$/ });
  assert.throws(() => ops.add(1, 2), {
    message: "Add: expected at least one value among its inputs, found numbers only",
  });
});
