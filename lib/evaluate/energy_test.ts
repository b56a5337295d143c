/** Bytes and millijoules of small graphs, counted by hand. */

import assert from "node:assert/strict";
import { Graph, matMul, relu, reshape } from "../onnx/mod.ts";
import { countTraffic, energyProxy } from "./energy.ts";

/** [N, 3] · [3, 4] → relu → output, with a weight for each product. */
function small(): Graph {
  const graph = new Graph("small"), x = graph.input("x", "float32", ["N", 3]);
  const w = graph.parameter("w", { shape: [3, 4], init: () => new Float32Array(12) });
  graph.output(relu(matMul(x, w)), "y");
  return graph;
}

Deno.test("traffic counts the weights once and what operators read and write", () => {
  // 12 weights; the product reads 3 and writes 4, the activation reads 4 and writes 4: 15 floats of 4 bytes.
  assert.deepEqual(countTraffic(small()), { weights: 48, activations: 60 });
  assert.deepEqual(countTraffic(small(), { sizes: { N: 2 } }), { weights: 48, activations: 120 });
});

Deno.test("another shape of the same bytes moves nothing", () => {
  const graph = new Graph("view"), x = graph.input("x", "float32", [2, 3]);
  graph.output(reshape(relu(x), [3, 2]), "y");
  assert.deepEqual(countTraffic(graph), { weights: 0, activations: 48 });
});

Deno.test("the proxy is that of the published table: a million products, bytes from memory, bytes from the cache", () => {
  const near = (found: number, expected: number) => assert.ok(Math.abs(found - expected) < 1e-9, `${found}`);
  near(energyProxy({ macs: 1e6, weights: 0, activations: 0 }), 4.6e-3); // 4.6 µJ
  near(energyProxy({ macs: 0, weights: 4, activations: 0 }), 640e-9); // 640 pJ for 32 bits
  near(energyProxy({ macs: 0, weights: 0, activations: 4 }), 5e-9);
});
