/** Gradients that come in parts: joined where they fit, padded and added where they overlap. */

import assert from "node:assert/strict";
import { add, gather, Graph, mul, reduceSum, slice, split, type Value } from "../onnx/mod.ts";
import { Random } from "../runtime/mod.ts";
import { checkGradients } from "./gradient_check.ts";
import { gradients } from "./mod.ts";

Deno.test("the gradients of queries, keys and values taken from one tensor are joined by one Concat, without a Pad", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [3, 4, 5]);
  const [q, k, v] = [0, 1, 2].map((i) => gather(x, graph.ints(i), { axis: 0 }));
  gradients(reduceSum(mul(mul(q!, k!), v!)), [x]);
  const counts = (opType: string) => graph.nodes.filter((node) => node.opType === opType).length;
  assert.deepEqual([counts("Concat"), counts("Pad")], [1, 0]);
});

Deno.test("parts that leave gaps or overlap, on one axis and on several, add up to the central difference", async () => {
  await checkGradients(30, Random.seeded("parts"), (random, index) => {
    const size = 6;
    const symbolic = index % 3 === 2;
    return {
      inputs: { x: { shape: [2, size, size], declared: [symbolic ? "N" : 2, size, size] } },
      build: ({ x }) => {
        const y = mul(x!, x!);
        const terms: Value[] = [];
        for (let i = 0; i < 4; i++) {
          const axis = 1 + random.int(2);
          const start = random.int(size), end = start + 1 + random.int(size - start);
          const part = slice(y, [start], [end], { axes: [axis] });
          terms.push(reduceSum(mul(part, part)));
        }
        terms.push(reduceSum(mul(gather(y, x!.graph.ints(random.int(size)), { axis: 2 }), 3)));
        terms.push(reduceSum(split(y, [2, 4], { axis: 1 })[random.int(2)]!));
        return terms.reduce((sum, term) => add(sum, term));
      },
    };
  });
});
