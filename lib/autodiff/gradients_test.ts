/** What `gradients` promises whatever the operators: paths, fan-out, zeros, stops, errors, and no needless nodes. */

import assert from "node:assert/strict";
import {
  add,
  cast,
  Graph,
  matMul,
  mul,
  reduceMean,
  reduceSum,
  sub,
  tensor,
  toNumbers,
  type Value,
} from "../onnx/mod.ts";
import { Random } from "../runtime/mod.ts";
import { checkGradients, runGraph } from "./gradient_check.ts";
import { AutodiffError, defineRule, gradients, stopGradient } from "./mod.ts";

function opTypes(graph: Graph): string[] {
  return graph.nodes.map((node) => node.opType);
}

async function gradientOf(graph: Graph, gradient: Value, x: readonly number[]): Promise<number[]> {
  graph.output(gradient, "dx");
  const { dx } = await runGraph(graph, { x: tensor("float32", [x.length], x) });
  return toNumbers(dx!);
}

Deno.test("the gradient of Σ x·x is 2x, of one Mul and one Add", async () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [3]);
  const loss = reduceSum(mul(x, x));
  const [dx] = gradients(loss, [x]);
  // Each factor's gradient is the other factor itself: g = 1 is not multiplied.
  assert.deepEqual(opTypes(graph), ["Mul", "ReduceSum", "Add"]);
  assert.deepEqual(await gradientOf(graph, dx!, [1, -2, 0.5]), [2, -4, 1]);
});

Deno.test("a value that the loss does not depend on gets zeros of its shape", async () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [2]), other = graph.input("other", "float32", [2, 3]);
  const [zero] = gradients(reduceSum(x), [other]);
  assert.deepEqual(zero!.shape, [2, 3]);
  graph.output(zero!, "zero");
  assert.deepEqual(
    toNumbers(
      (await runGraph(graph, {
        x: tensor("float32", [2], [1, 2]),
        other: tensor("float32", [2, 3], [1, 2, 3, 4, 5, 6]),
      })).zero!,
    ),
    [0, 0, 0, 0, 0, 0],
  );
});

Deno.test("the gradient of the loss itself is one", async () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [1]);
  const loss = reduceSum(x, { axes: 0, keepdims: true });
  const [one] = gradients(loss, [loss]);
  assert.deepEqual(await gradientOf(graph, one!, [7]), [1]);
});

Deno.test("nothing is added for factors that need no gradient", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [4, 5]);
  const w = graph.parameter("w", tensor("float32", [5, 2], new Array(10).fill(0.1)));
  const frozen = graph.parameter("frozen", tensor("float32", [2, 2], [1, 0, 0, 1]));
  gradients(reduceMean(matMul(matMul(x, w), frozen)), [w]);
  const backward = graph.nodes.filter((node) => node.name.startsWith("gradient/")).map((node) => node.opType);
  // The loss's gradient is one number: expanded once, then dH = G · frozenᵀ and dW = xᵀ · dH. None for x and frozen.
  assert.deepEqual(backward, ["Expand", "Gemm", "Gemm"]);
  assert.ok(graph.initialisers.every((value) => graph.nodes.some((node) => node.inputs.includes(value))));
});

Deno.test("stopGradient cuts one path and leaves the others", async () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [2]);
  const loss = reduceSum(mul(x, stopGradient(x)));
  const [dx] = gradients(loss, [x]);
  assert.deepEqual(await gradientOf(graph, dx!, [3, -1]), [3, -1]);
});

Deno.test("no gradient flows through integers", async () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [2]);
  const truncated = cast(cast(x, "int32"), "float32");
  const [dx] = gradients(reduceSum(mul(x, truncated)), [x]);
  assert.deepEqual(await gradientOf(graph, dx!, [3.7, -1.2]), [3, -1]);
});

Deno.test("the gradient of a gradient is the second derivative", async () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [3]);
  const [first] = gradients(reduceSum(mul(mul(x, x), x)), [x]);
  const [second] = gradients(reduceSum(first!), [x]);
  assert.deepEqual(await gradientOf(graph, second!, [1, -2, 0.5]), [6, -12, 3]);
});

Deno.test("an outputGradient of the output's shape gives the vector-Jacobian product", async () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [2]);
  const [dx] = gradients(mul(x, x), [x], { outputGradient: graph.constant([1, 10]) });
  assert.deepEqual(await gradientOf(graph, dx!, [3, 4]), [6, 80]);
});

Deno.test("a symbolic batch is kept through broadcasting and products", async () => {
  await checkGradients(6, Random.seeded("symbolic batch"), (random) => {
    const n = 1 + random.int(4);
    return {
      inputs: {
        x: { shape: [n, 3], declared: ["N", 3] },
        w: { shape: [3, 2] },
        bias: { shape: [2] },
      },
      build: ({ x, w, bias }) => add(matMul(x!, w!), bias!),
    };
  });
});

Deno.test("an operator without a rule is named with its node and with what to do", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [2, 2]);
  const [y] = graph.node("Det", [x], {}, { name: "volume" });
  y!._type ??= { dtype: "float32", shape: [] };
  assert.throws(
    () => gradients(y!, [x]),
    (error) =>
      error instanceof AutodiffError && /operator Det \(node "volume"\).*stopGradient.*defineRule/.test(error.message),
  );
});

Deno.test("a rule of the caller's own is used: a straight-through estimate for Hardmax", async () => {
  defineRule("Hardmax", (ctx) => [ctx.compactGradient]);
  const graph = new Graph();
  const x = graph.input("x", "float32", [3]);
  const [chosen] = graph.node("Hardmax", [x], { axis: 0 });
  const [dx] = gradients(reduceSum(mul(chosen!, graph.constant([5, 6, 7]))), [x]);
  assert.deepEqual(await gradientOf(graph, dx!, [0, 2, 1]), [5, 6, 7]);
});

Deno.test("wrong requests are refused in one line that names what was found", () => {
  const graph = new Graph(), other = new Graph("elsewhere");
  const x = graph.input("x", "float32", [2]), i = graph.input("i", "int64", [2]);
  const refused = (pattern: RegExp, request: () => unknown) =>
    assert.throws(request, (error) => error instanceof AutodiffError && pattern.test(error.message));
  refused(/expected a loss with one element, found "x" \[2\]/, () => gradients(x, [x]));
  refused(/expected floating-point values, found int64 "i"/, () => gradients(reduceSum(x), [i]));
  refused(/of graph "elsewhere"/, () => gradients(reduceSum(x), [other.input("y", "float32", [2])]));
  refused(
    /expected an outputGradient of shape \[2\]/,
    () => gradients(sub(x, 1), [x], { outputGradient: graph.constant(1) }),
  );
});
