/** Layers: shapes, Darknet's pools, the connected layer, activations, in numbers small enough to do by hand. */

import assert from "node:assert/strict";
import { Graph, toModel, type Value } from "../onnx/mod.ts";
import { openSession, Random, tensor } from "../runtime/mod.ts";
import { activate, convolution, darknetMaxPool, linear, ModelError, residual, upsample } from "./mod.ts";

async function compute(shape: number[], elements: number[], layer: (x: Value) => Value): Promise<[number[], number[]]> {
  const graph = new Graph("layer");
  graph.output(layer(graph.input("x", "float32", shape)), "y");
  await using session = await openSession(toModel(graph), { threads: 1 });
  const { y } = await session.run({ x: tensor("float32", shape, elements) });
  return [[...y!.shape], Array.from(y!.data as Float32Array, (value) => Number(value.toFixed(5)))];
}

const nine = [1, 2, 3, 4, 5, 6, 7, 8, 9];

Deno.test("Darknet's pool of 2 looks right and down: stride 1 keeps the size, stride 2 rounds an odd size up", async () => {
  const pool = (stride: number) => (x: Value) => darknetMaxPool(x, { size: 2, stride });
  assert.deepEqual(await compute([1, 1, 3, 3], nine, pool(1)), [[1, 1, 3, 3], [5, 6, 6, 8, 9, 9, 8, 9, 9]]);
  assert.deepEqual(await compute([1, 1, 3, 3], nine, pool(2)), [[1, 1, 2, 2], [5, 6, 8, 9]]);
});

Deno.test("Darknet's pool of 3 with stride 1 is centred, and one without padding is an ordinary one", async () => {
  const centred = await compute([1, 1, 3, 3], nine, (x) => darknetMaxPool(x, { size: 3, stride: 1 }));
  assert.deepEqual(centred, [[1, 1, 3, 3], [5, 6, 6, 8, 9, 9, 8, 9, 9]]);
  const plain = await compute([1, 1, 3, 3], nine, (x) => darknetMaxPool(x, { size: 2, stride: 1, padding: 0 }));
  assert.deepEqual(plain, [[1, 1, 2, 2], [5, 6, 8, 9]]);
});

Deno.test("upsample repeats each element along both axes", async () => {
  const found = await compute([1, 1, 1, 2], [1, 2], (x) => upsample(x, { factor: 3 }));
  assert.deepEqual(found, [[1, 1, 3, 6], [1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2]]);
});

Deno.test("activations have the values of their definitions at −1 and 2", async () => {
  const expected = {
    linear: [-1, 2],
    leaky: [-0.1, 2],
    logistic: [0.26894, 0.8808], // 1 / (1 + e), 1 / (1 + e⁻²)
    relu: [0, 2],
    mish: [-0.3034, 1.94396], // x · tanh(ln(1 + eˣ))
  } as const;
  for (const [name, values] of Object.entries(expected)) {
    // An identity in front, for the linear activation adds no node.
    const [, found] = await compute([2], [-1, 2], (x) => activate(activate(x, "linear"), name as "leaky"));
    assert.deepEqual(found, [...values], name);
  }
});

Deno.test("a connected layer flattens maps and multiplies weights [outputs, inputs]", async () => {
  const weight = () => () => new Float32Array([1, 0, 0, 1, 1, 1, 1, 1]);
  const layer = (x: Value) =>
    linear(x, { name: "fc", outputs: 2, random: Random.seeded(1), weight, bias: () => new Float32Array([0.5, 0]) });
  assert.deepEqual(await compute([1, 1, 2, 2], [1, 2, 3, 4], layer), [[1, 2], [5.5, 10]]);
});

Deno.test("convolution keeps the size by default, halves it with stride 2, groups its channels and names its weights", () => {
  const graph = new Graph("shapes");
  const x = graph.input("x", "float32", ["N", 8, 10, 14]);
  const random = Random.seeded(1);
  assert.deepEqual(convolution(x, { name: "a", filters: 16, random }).shape, ["N", 16, 10, 14]);
  assert.deepEqual(convolution(x, { name: "b", filters: 4, stride: 2, groups: 4, random }).shape, ["N", 4, 5, 7]);
  assert.deepEqual(graph.value("b.weight").shape, [4, 2, 3, 3]);
  assert.deepEqual(residual(x, { names: ["c", "d"], filters: 8, random }).shape, x.shape);
  assert.deepEqual(graph.value("c.weight").shape, [4, 8, 1, 1]);
  assert.deepEqual(graph.parameters.slice(0, 3).map(({ name }) => name), ["a.weight", "a.bias", "a.scale"]);
  assert.deepEqual([graph.value("a.mean").kind, graph.value("a.variance").kind], ["constant", "constant"]);
});

Deno.test("fresh weights have Kaiming's variance for the slope 0.1, and are zeros where they are loaded next", () => {
  const graph = new Graph("start");
  const x = graph.input("x", "float32", [1, 64, 4, 4]);
  convolution(x, { name: "drawn", filters: 64, random: Random.seeded(2) });
  convolution(x, { name: "zero", filters: 64, random: "zeros" });
  const weights = (name: string) => graph.value(`${name}.weight`).tensor!.data as Float32Array;
  const drawn = weights("drawn"), n = drawn.length;
  const variance = drawn.reduce((sum, w) => sum + w * w, 0) / n, expected = 2 / (1.01 * 64 * 9);
  assert.ok(Math.abs(variance / expected - 1) < 4.5 * Math.sqrt(2 / n), `${variance}, expected ${expected}`);
  assert.ok(weights("zero").every((w) => w === 0));
});

Deno.test("a pool over a map of unknown size and a layer on unknown channels are refused", () => {
  const graph = new Graph("refused");
  const x = graph.input("x", "float32", [1, 3, "H", "W"]), y = graph.input("y", "float32", [1, "C", 4, 4]);
  assert.throws(() => darknetMaxPool(x, { size: 2, stride: 2 }), ModelError);
  assert.throws(() => convolution(y, { name: "c", filters: 1, random: "zeros" }), ModelError);
});
