/** Rewrites and sub-graph tools: what comes out computes what went in, by ONNX Runtime. */

import assert from "node:assert/strict";
import { elementCount, openSession, Random, type Tensor, tensor, toNumbers } from "../runtime/mod.ts";
import { assertValid } from "./check.ts";
import { foldBatchNormalization } from "./fold_batch_norm.ts";
import { Graph } from "./graph.ts";
import * as ops from "./ops/mod.ts";
import { fromModel } from "./read.ts";
import { foldConstants, insertAfter, removeDead, sortNodes } from "./rewrite.ts";
import { copyGraph, cutGraph, joinGraphs, prefixValues, renameValues, summarize } from "./subgraph.ts";
import { toModel } from "./write.ts";

function filler(random: Random, low = -1, high = 1) {
  return (shape: readonly number[]) =>
    Float32Array.from({ length: elementCount(shape) }, () => random.uniform(low, high));
}

async function run(graph: Graph, feeds: Record<string, Tensor>): Promise<number[][]> {
  assertValid(graph);
  // No rewriting by ONNX Runtime itself: the comparison is of the graphs as they are written.
  await using session = await openSession(toModel(graph), { threads: 1, optimization: "disabled", name: graph.name });
  const results = await session.run(feeds);
  return graph.outputs.map((output) => toNumbers(results[output.name]!));
}

function assertClose(found: number[][], expected: number[][], tolerance = 1e-5): void {
  assert.deepEqual(found.map((list) => list.length), expected.map((list) => list.length));
  found.forEach((list, i) =>
    list.forEach((x, j) => {
      const y = expected[i]![j]!;
      assert.ok(Math.abs(x - y) <= tolerance * (1 + Math.abs(y)), `output ${i}[${j}]: expected ${y}, found ${x}`);
    })
  );
}

/** Conv – BatchNormalization – ReLU – ConvTranspose – BatchNormalization on [N, 4, 6, 6]. */
function network(seed: number): Graph {
  const random = Random.seeded("network", seed);
  const init = filler(random), positive = filler(random, 0.3, 2);
  const graph = new Graph("net");
  const x = graph.input("x", "float32", ["N", 4, 6, 6]);
  const norm = (y: ReturnType<typeof ops.relu>, name: string, c: number) => {
    const weight = (part: string, fill: typeof init) => graph.parameter(`${name}.${part}`, { shape: [c], init: fill });
    const [mean, variance] = [weight("mean", init), weight("var", positive)];
    return ops.batchNormalization(y, weight("scale", init), weight("bias", init), mean, variance, { name });
  };
  const group = random.pick([1, 2]);
  const bias = random.chance(0.5) ? graph.parameter("conv.bias", { shape: [6], init }) : undefined;
  const w = graph.parameter("conv.weight", { shape: [6, 4 / group, 3, 3], init });
  const y = ops.relu(norm(ops.conv(x, w, { bias, pads: 1, group, name: "conv" }), "bn1", 6));
  const up = graph.parameter("up.weight", { shape: [6, 5, 2, 2], init });
  const z = norm(ops.convTranspose(y, up, { strides: 2, group: 2, name: "up" }), "bn2", 10);
  graph.output(z, "z");
  return graph;
}

const image = (seed: number, n = 2) => {
  const shape = [n, 4, 6, 6];
  return { x: tensor("float32", shape, filler(Random.seeded("image", seed))(shape)) };
};

Deno.test("folding batch normalisation keeps the outputs, with and without bias and groups", async () => {
  for (let seed = 0; seed < 6; seed++) {
    const graph = network(seed), folded = copyGraph(graph);
    assert.equal(foldBatchNormalization(folded), 2);
    assert.deepEqual(Object.keys(summarize(folded).operators).sort(), ["Conv", "ConvTranspose", "Relu"]);
    assert.ok(folded.parameters.some((value) => value.name === "conv.weight"), "the weight keeps its name");
    assertClose(await run(folded, image(seed)), await run(graph, image(seed)), 1e-4);
  }
});

Deno.test("a convolution that others read too, or whose weight is shared, folds without changing the others", async () => {
  const random = Random.seeded("shared");
  const init = filler(random), positive = filler(random, 0.5, 1);
  const graph = new Graph("shared");
  const x = graph.input("x", "float32", [1, 2, 4, 4]);
  const w = graph.parameter("w", { shape: [2, 2, 1, 1], init });
  const stat = (name: string, fill: typeof init) => graph.parameter(name, { shape: [2], init: fill });
  const weights = [stat("s", init), stat("b", init), stat("m", init), stat("v", positive)] as const;
  const read = ops.conv(x, w, { name: "read" }), alone = ops.conv(x, w, { name: "alone" });
  graph.output(ops.batchNormalization(read, ...weights), "a");
  graph.output(ops.batchNormalization(alone, ...weights), "other");
  graph.output(ops.relu(read), "c");
  const feeds = { x: tensor("float32", [1, 2, 4, 4], init([1, 2, 4, 4])) };
  const expected = await run(graph, feeds);
  assert.equal(foldBatchNormalization(graph), 1);
  assertClose(await run(graph, feeds), expected);
});

Deno.test("constant folding computes what depends on constants and shapes, and keeps the outputs", async () => {
  const graph = new Graph("fold");
  const x = graph.input("x", "float32", ["N", 4, 6, 6]);
  const table = graph.constant(Float32Array.from({ length: 6 }, (_, i) => i), { name: "table", shape: [6] });
  const scale = ops.exp(ops.mul(table, 0.1)); // two nodes on constants
  const sizes = ops.shape(x, { start: 1 }); // known though x is fed
  const flat = ops.reshape(
    ops.mul(x, scale),
    ops.concat([graph.ints([-1]), ops.reduceProd(sizes, { keepdims: true })], 0),
  );
  graph.output(flat, "flat");
  graph.output(ops.add(scale, 1), "constant");
  graph.output(ops.mul(x, graph.parameter("w", tensor("float32", [], [2]))), "weighted");
  const expected = await run(graph, image(1));
  const before = graph.nodes.length;
  const removed = await foldConstants(graph);
  assert.equal(graph.nodes.length, before - removed);
  assert.deepEqual(summarize(graph).operators, { Mul: 2, Reshape: 1 });
  assertClose(await run(graph, image(1)), expected);
  assert.equal(await foldConstants(graph), 0);
});

Deno.test("what is known from shapes is folded without the inputs that the shapes belong to", async () => {
  const graph = new Graph("shapes");
  const x = graph.input("x", "float32", ["N", 4, 6, 6]);
  const sizes = ops.shape(x); // its first element is not known, the others are
  const channels = ops.gather(sizes, graph.ints([1]));
  const table = ops.range(graph.ints(0), ops.squeeze(channels, [0]), graph.ints(1));
  const scale = ops.reshape(ops.sqrt(ops.cast(table, "float32")), [4, 1, 1]);
  graph.output(ops.mul(x, scale), "scaled");
  const expected = await run(graph, image(1));
  await foldConstants(graph);
  assert.equal(removeDead(graph), 1, "the Shape that nothing reads any more");
  assert.deepEqual(summarize(graph).operators, { Mul: 1 });
  assertClose(await run(graph, image(1)), expected);
});

Deno.test("dead nodes and constants go, parameters stay unless asked for", async () => {
  const graph = network(1);
  const expected = await run(graph, image(1));
  const nodes = graph.nodes.length;
  const y = graph.value("x");
  ops.relu(ops.mul(y, graph.parameter("unused", tensor("float32", [1], [3]))));
  ops.add(y, graph.constant([1, 2, 3, 4, 5, 6], { name: "unread" }));
  assert.equal(removeDead(graph), 3);
  assert.equal(graph.nodes.length, nodes);
  assert.ok(graph.values.has("unused") && !graph.values.has("unread"));
  removeDead(graph, { parameters: true });
  assert.ok(!graph.values.has("unused"));
  assertClose(await run(graph, image(1)), expected);
});

Deno.test("a graph cut in two computes through both halves what it computed whole", async () => {
  const graph = network(2);
  const middle = graph.nodes.find((node) => node.opType === "Relu")!.output().name;
  const head = cutGraph(graph, { outputs: [middle] });
  const tail = cutGraph(graph, { inputs: [middle], outputs: ["z"] });
  assert.ok(!head.values.has("up.weight") && !tail.values.has("conv.weight"));
  assert.equal(head.outputs[0]!.name, middle);
  const [features] = await run(head, image(2));
  const fed = { [middle]: tensor("float32", [2, 6, 6, 6], features!) };
  const expected = await run(graph, image(2));
  assertClose(await run(tail, fed), expected);
  const joined = joinGraphs(head, tail, { [middle]: middle }, { prefix: "tail/" });
  assertClose(await run(joined, image(2)), expected);
  assert.throws(() => cutGraph(graph, { inputs: [], outputs: ["z"] }), /found no "x" \[N, 4, 6, 6\]$/);
  assert.throws(() => cutGraph(graph, { outputs: ["nothing"] }), /expected a value named "nothing", found none/);
});

Deno.test("renaming, prefixing and reading back change names only", async () => {
  const graph = network(3);
  const expected = await run(graph, image(3));
  prefixValues(graph, "backbone/");
  assert.ok(graph.values.has("backbone/conv.weight") && graph.values.has("x"));
  const swap: Record<string, string> = {
    "backbone/bn1.mean": "backbone/bn1.bias",
    "backbone/bn1.bias": "backbone/bn1.mean",
  };
  renameValues(graph, (name) => swap[name] ?? name);
  assertClose(await run(fromModel(toModel(graph)), image(3)), expected);
  assert.throws(
    () => renameValues(graph, (name) => name === "backbone/conv.weight" ? "x" : name),
    /taken by input "x"/,
  );
});

Deno.test("a copy on other sizes infers all shapes anew", async () => {
  const graph = network(4);
  const fixed = copyGraph(graph, { symbols: { N: 3 } });
  assert.deepEqual(fixed.value("z").staticShape, [3, 10, 12, 12]);
  assertClose(await run(fixed, image(4, 3)), await run(graph, image(4, 3)));
  const small = copyGraph(graph, { shapes: { x: [1, 4, 8, 10] } });
  assert.deepEqual(small.value("z").staticShape, [1, 10, 16, 20]);
  assert.throws(
    () => copyGraph(graph, { shapes: { x: [1, 3, 8, 8] } }),
    /Conv "conv": expected x "x" \[1, 3, 8, 8\] to have/,
  );
  assert.throws(() => copyGraph(graph, { shapes: { y: [1] } }), /expected an input of graph "net", found "y"/);
});

Deno.test("a graph read from a file can be extended and written again", async () => {
  const graph = fromModel(toModel(network(5)));
  const z = graph.value("z");
  graph.output(ops.softmax(ops.reshape(ops.globalAveragePool(z), [0, -1])), "probabilities");
  const [, probabilities] = await run(graph, image(5));
  assert.equal(probabilities!.length, 20);
  assert.ok(Math.abs(probabilities!.slice(0, 10).reduce((a, b) => a + b) - 1) < 1e-5);
});

Deno.test("what is put behind a value is read by all that read it, and the nodes are in order again", async () => {
  const graph = new Graph("line");
  const x = graph.input("x", "float32", [2]);
  const doubled = ops.mul(x, 2, { name: "doubled" });
  graph.output(ops.add(doubled, 1), "one");
  graph.output(ops.mul(doubled, doubled), "square");
  const made = insertAfter(graph, doubled, (value) => ops.add(value, ops.mul(x, 10)));
  assert.deepEqual(graph.nodes.map(({ opType }) => opType), ["Mul", "Mul", "Add", "Add", "Mul"]);
  assert.equal(made.producer?.input(0), doubled);
  const found = await run(graph, { x: tensor("float32", [2], [1, -1]) });
  assert.deepEqual(found, [[13, -11], [144, 144]]);
});

Deno.test("sorted nodes stand behind what they read, and else as they stood", () => {
  const graph = new Graph("mixed");
  const x = graph.input("x", "float32", [1]);
  const [a, b] = [ops.relu(x, { name: "a" }), ops.neg(x, { name: "b" })];
  const c = ops.add(a, b, { name: "c" });
  graph.output(ops.exp(c, { name: "d" }));
  const names = () => graph.nodes.map(({ name }) => name).join("");
  graph._internals().setNodes(graph.nodes.toReversed());
  sortNodes(graph);
  assert.equal(names(), "bacd");
  graph._internals().setNodes(["b", "d", "a", "c"].map((name) => graph.value(name).producer!));
  sortNodes(graph);
  assert.equal(names(), "bacd");
});
