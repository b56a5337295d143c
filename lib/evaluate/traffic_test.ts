import assert from "node:assert/strict";
import { conv, flatten, globalAveragePool, Graph, matMul, maxPool, relu, tensor } from "../onnx/mod.ts";
import { bytesMoved, countTraffic } from "./traffic.ts";

const filters = (shape: readonly number[]) =>
  tensor("float32", shape, new Float32Array(shape.reduce((product, size) => product * size, 1)));

Deno.test("a convolution with its Relu reads its input and weights once and writes once, and a change of shape moves nothing", () => {
  const graph = new Graph("small"), images = graph.input("images", "float32", ["N", 3, 8, 8]);
  const weight = graph.constant(filters([4, 3, 3, 3]), { name: "weight" });
  const bias = graph.constant(filters([4]), { name: "bias" });
  const map = relu(conv(images, weight, { bias, pads: [1, 1, 1, 1] }));
  graph.output(flatten(globalAveragePool(maxPool(map, [2, 2], { strides: [2, 2] }))), "features");
  // By hand: 192 in, 256 out of the layer; the pool reads 256 and writes 64; the mean reads 64 and writes 4.
  const found = countTraffic(graph);
  assert.deepEqual(found, {
    ...{ weights: 108 + 4, weightBytes: 448, ports: 192 + 4 },
    activations: 192 + 256 + 256 + 64 + 64 + 4,
  });
  assert.equal(bytesMoved(found, 4), 4 * (112 + 836));
});

Deno.test("what two read is read twice, an activation that others see is written, and a shared weight counts once", () => {
  const graph = new Graph("shared"), images = graph.input("images", "float32", [1, 2, 4, 4]);
  const weight = graph.constant(filters([2, 2, 1, 1]), { name: "weight" });
  const first = conv(images, weight), second = conv(relu(first), weight);
  graph.output(first, "first");
  graph.output(second, "second");
  // Each map has 32 elements: in, first, Relu's in and out, second's in and out.
  assert.deepEqual(countTraffic(graph), { weights: 4, weightBytes: 16, activations: 6 * 32, ports: 96 });
});

Deno.test("pictures of a batch move as often as there are, weights once", () => {
  const graph = new Graph("batch"), x = graph.input("x", "float32", ["N", 3]);
  graph.output(relu(matMul(x, graph.constant(filters([3, 4]), { name: "weight" }))), "y");
  // The product reads 3 and writes 4, the activation reads 4 and writes 4.
  assert.equal(countTraffic(graph).activations, 15);
  assert.deepEqual(countTraffic(graph, { sizes: { N: 2 } }), {
    weights: 12,
    weightBytes: 48,
    activations: 30,
    ports: 14,
  });
});
