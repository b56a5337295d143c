/** Tests of compact_weights.ts: sizes, rounding errors against their bounds, and what stays. */

import assert from "node:assert/strict";
import { openSession, Random, type Tensor, tensor } from "../runtime/mod.ts";
import { compactWeights } from "./compact_weights.ts";
import { conv, convTranspose, flatten, fromModel, gemm, Graph, matMul, relu, toModel } from "./mod.ts";

/** Channels whose weights differ a thousandfold, so that one scale for all would lose the small ones. */
const weights = (shape: readonly number[], axis: number): Tensor => {
  const random = Random.seeded("weights", ...shape);
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const length = shape.reduce((a, b) => a * b, 1);
  const each = Float32Array.from(
    { length },
    (_, i) => random.normal() * 10 ** (-3 * (Math.floor(i / inner) % shape[axis]!) / shape[axis]!),
  );
  return tensor("float32", shape, each);
};

function network(): Graph {
  const graph = new Graph("weights");
  const x = graph.input("x", "float32", ["N", 8, 6, 6]);
  const parameter = (name: string, content: Tensor) =>
    graph.parameter(name, { shape: content.shape as number[], init: () => content.data as Float32Array });
  let y = relu(
    conv(x, parameter("conv", weights([16, 8, 3, 3], 0)), {
      pads: 1,
      bias: graph.constant(new Array(16).fill(0.1), { name: "bias" }),
    }),
  );
  y = convTranspose(y, parameter("up", weights([16, 8, 2, 2], 1)), { strides: 2 });
  y = gemm(flatten(y), parameter("gemm", weights([4, 1152], 0)), undefined, { transB: true });
  y = matMul(y, parameter("small", weights([4, 5], 1)));
  graph.output(matMul(y, parameter("last", weights([5, 200], 1))), "y");
  return graph;
}

Deno.test("mixed: tensors of a million weights and more become int8, smaller ones float16", () => {
  const graph = new Graph("mixed");
  const x = graph.input("x", "float32", ["N", 1000]);
  const parameter = (name: string, shape: [number, number]) =>
    graph.parameter(name, { shape, init: () => new Float32Array(shape[0] * shape[1]).fill(0.5) });
  graph.output(matMul(matMul(x, parameter("large", [1000, 1000])), parameter("small", [1000, 999])), "y");
  assert.equal(compactWeights(graph, "mixed"), 2);
  assert.deepEqual(graph.initialisers.map(({ name, dtype }) => [name, dtype]).sort(), [
    ["large.int8", "int8"],
    ["large.scale", "float32"],
    ["small.float16", "float16"],
  ]);
});

for (const storage of ["float16", "int8"] as const) {
  Deno.test(`${storage} weights: each as near as its channel's scale allows, computed in float32`, async () => {
    const expected = network(), graph = network();
    assert.equal(compactWeights(graph, storage), 4); // "small" and "bias" stay
    const full = toModel(expected), model = toModel(graph);
    assert.ok(model.length < full.length * (storage === "int8" ? 0.4 : 0.6), `${model.length} of ${full.length} bytes`);
    const read = fromModel(model);
    for (const [name, axis] of [["conv", 0], ["up", 1], ["gemm", 0], ["last", 1]] as const) {
      const exact = expected.value(name).tensor!, stored = read.value(`${name}.${storage}`).tensor!;
      const scales = storage === "int8" ? read.value(`${name}.scale`).tensor!.data as Float32Array : undefined;
      const inner = exact.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
      for (const [i, w] of (exact.data as Float32Array).entries()) {
        const scale = scales?.[Math.floor(i / inner) % exact.shape[axis]!] ?? 1;
        const bound = storage === "int8" ? scale / 2 * (1 + 1e-5) : Math.abs(w) * 2 ** -11 + 2 ** -25;
        assert.ok(Math.abs(Number(stored.data[i]) * scale - w) <= bound, `${name}[${i}]`);
      }
    }
    assert.deepEqual(read.value("small").tensor, expected.value("small").tensor);
    const random = Random.seeded("pictures");
    const x = tensor("float32", [2, 8, 6, 6], Float32Array.from({ length: 576 }, () => random.normal()));
    await using a = await openSession(full, { name: "full" });
    await using b = await openSession(model, { name: storage });
    const [wanted, found] = [
      (await a.run({ x })).y!.data as Float32Array,
      (await b.run({ x })).y!.data as Float32Array,
    ];
    const size = Math.sqrt(wanted.reduce((sum, each) => sum + each ** 2, 0));
    const error = Math.sqrt(wanted.reduce((sum, each, i) => sum + (each - found[i]!) ** 2, 0));
    assert.ok(error / size < (storage === "int8" ? 0.06 : 3e-3), `relative error ${error / size}`);
    assert.ok(error > 0);
  });
}
