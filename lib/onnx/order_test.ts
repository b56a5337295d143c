/** The order in which ONNX Runtime executes nodes, read from its own profile. */

import assert from "node:assert/strict";
import { openSession, Random, type SessionOptions } from "../runtime/mod.ts";
import { Graph, matMul, orderModel, reduceSum, tanh, tensor, toModel, transpose, type Value } from "./mod.ts";

const DEPTH = 6;

/**
 * A tower x₁ … x₆, and for each layer from the last to the first a product x·xᵀ as an output: the shape of a backward
 * pass. ONNX Runtime fuses the Transpose into the product, which is a new node to it.
 */
function tower(): Graph {
  const graph = new Graph("tower");
  const x = graph.input("x", "float32", [4, 8]);
  const layers: Value[] = [];
  for (let i = 0; i < DEPTH; i++) {
    const random = Random.seeded("tower", i);
    const w = graph.constant(Array.from({ length: 64 }, () => random.normal()), { shape: [8, 8], name: `w${i}` });
    layers.push(tanh(matMul(layers.at(-1) ?? x, w)));
  }
  layers.toReversed().forEach((layer, i) => {
    graph.output(reduceSum(matMul(layer, transpose(layer, [1, 0]), { name: `product${i}` })), `sum${i}`);
  });
  return graph;
}

const feeds = { x: tensor("float32", [4, 8], Array.from({ length: 32 }, (_, i) => Math.sin(i))) };

/** Runs a model once; returns its outputs and which of the sums came first, second, … */
async function execute(model: Uint8Array, options: SessionOptions, folder: string) {
  await using session = await openSession(model, { ...options, threads: 1, profile: `${folder}/profile` });
  const outputs = await session.run(feeds);
  session.endProfile();
  const names: string[] = [];
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.startsWith("profile")) continue;
    const events = JSON.parse(await Deno.readTextFile(`${folder}/${name}`)) as { name: string; cat: string }[];
    for (const event of events) {
      const found = event.cat === "Node" && /^ReduceSum_(\d+)_kernel_time$/.exec(event.name);
      if (found) names.push(found[1]!);
    }
    await Deno.remove(`${folder}/${name}`);
  }
  return { outputs, order: names.map(Number) };
}

Deno.test("a rewritten model that was put in the graph's order runs in that order and gives the same numbers", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const graph = tower(), own = Array.from({ length: DEPTH }, (_, i) => i + 1);
    const plain = await execute(toModel(graph), {}, folder);
    // What there would be no need for this file without: the last node in the file comes first.
    assert.notDeepEqual(plain.order, own);
    const rewritten = `${folder}/rewritten.onnx`;
    await (await openSession(toModel(graph), { threads: 1, optimizedPath: rewritten })).dispose();
    const ordered = await execute(
      orderModel(await Deno.readFile(rewritten), graph),
      { optimization: "disabled" },
      folder,
    );
    assert.deepEqual(ordered.order, own);
    assert.deepEqual(ordered.outputs, plain.outputs);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a model written latest node first runs in the graph's order when nothing is rewritten", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const model = toModel(tower(), { order: "latestFirst" });
    const { order } = await execute(model, { optimization: "disabled" }, folder);
    assert.deepEqual(order, [1, 2, 3, 4, 5, 6]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
