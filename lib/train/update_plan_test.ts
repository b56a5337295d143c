/** Which kept tensors an update may write over, judged by hand-made graphs. */

import assert from "node:assert/strict";
import { add, Graph, mul, reduceSum, reshape, type Value } from "../onnx/mod.ts";
import { mayOverwrite } from "./update_plan.ts";

/** The kept tensor "old" [8] and the fresh one that `write` makes of it and a gradient. */
function judge(write: (old: Value, gradient: Value, graph: Graph) => Value): boolean {
  const graph = new Graph("update");
  const old = graph.input("old", "float32", [8]), gradient = graph.input("gradient", "float32", [8]);
  const next = write(old, gradient, graph);
  return mayOverwrite(old, next);
}

Deno.test("a tensor is written over when all that reads it comes before its next elements", () => {
  assert.equal(judge((old, gradient) => add(mul(old, 0.9), gradient)), true);
  assert.equal(judge((old, gradient) => add(old, mul(gradient, reduceSum(mul(old, old), { keepdims: false })))), true);
});

Deno.test("a tensor that something else reads is not written over, also through a view", () => {
  assert.equal(
    judge((old, gradient, graph) => {
      graph.output(mul(old, 2), "seen");
      return add(mul(old, 0.9), gradient);
    }),
    false,
  );
  assert.equal(
    judge((old, gradient, graph) => {
      graph.output(mul(reshape(old, [2, 4]), 2), "seen");
      return add(mul(old, 0.9), gradient);
    }),
    false,
  );
});

Deno.test("an operator that mixes elements, or repeats a smaller tensor, does not write over what it reads", () => {
  assert.equal(judge((old) => reshape(old, [2, 4])), false);
  assert.equal(judge((old, gradient) => add(reduceSum(old, { axes: [0] }), gradient)), true); // the sum came before
  assert.equal(
    (() => {
      const graph = new Graph("update");
      const old = graph.input("old", "float32", [1]), gradient = graph.input("gradient", "float32", [8]);
      return mayOverwrite(old, add(old, gradient));
    })(),
    false,
  );
});
