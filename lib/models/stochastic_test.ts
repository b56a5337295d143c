/** Dropout and stochastic depth: what a training step and an inference session make of them, and how they are taken out. */

import assert from "node:assert/strict";
import {
  assertValid,
  copyGraph,
  Graph,
  reduceSum,
  relu,
  removeDead,
  summarize,
  tensor,
  toModel,
  toNumbers,
  type Value,
} from "../onnx/mod.ts";
import { gradients } from "../autodiff/mod.ts";
import { openSession, Random } from "../runtime/mod.ts";
import {
  c2fNet,
  darknet53,
  dropout,
  dropPath,
  dropPathRatios,
  efficientNet,
  mobileNet,
  ModelError,
  projectionHead,
  residual,
  residualNet,
  withoutDropout,
} from "./mod.ts";

async function run(graph: Graph, feeds: Record<string, [shape: number[], data: number[]]>) {
  await using session = await openSession(toModel(graph), { threads: 1 });
  const tensors = Object.entries(feeds).map(([name, [shape, data]]) => [name, tensor("float32", shape, data)] as const);
  const found = await session.run(Object.fromEntries(tensors));
  return Object.fromEntries(Object.entries(found).map(([name, value]) => [name, toNumbers(value)]));
}

const random = Random.seeded("stochastic");
/** Two of [4, 3, 3]. */
const pictures = Array.from({ length: 2 * 4 * 3 * 3 }, () => random.normal());

function blocks(): Graph {
  const graph = new Graph("blocks"), weights = Random.seeded("blocks");
  let x = graph.input("x", "float32", ["N", 4, 3, 3]);
  for (const [i, ratio] of [0, 0.25, 0.5].entries()) {
    x = residual(x, { names: [`a${i}`, `b${i}`], filters: 4, random: weights, dropPath: ratio });
  }
  graph.output(dropout(relu(x), { name: "last", ratio: 0.4 }), "y");
  return graph;
}

Deno.test("at inference both are the identity, for any number of pictures, and the file is valid", async () => {
  const graph = new Graph("identity"), x = graph.input("x", "float32", ["N", 4, 3, 3]);
  graph.output(dropPath(relu(x), { name: "branch", ratio: 0.5 }), "path");
  graph.output(dropout(relu(x), { name: "drop", ratio: 0.5 }), "out");
  assertValid(graph);
  assert.deepEqual(graph.outputs.map(({ shape }) => shape), [["N", 4, 3, 3], ["N", 4, 3, 3]]);
  const { path, out } = await run(graph, { x: [[2, 4, 3, 3], pictures] });
  const expected = Array.from(new Float32Array(pictures), (element) => Math.max(0, element));
  assert.deepEqual(path, expected);
  assert.deepEqual(out, expected);
});

Deno.test("with its mask fed, a picture's branch is there or not as a whole, and so is its gradient", async () => {
  // The Dropout node's place taken by a mask, as a training step has it: picture 0 dropped, picture 1 kept, 1 / (1 − 0.5).
  const graph = new Graph("masked"), x = graph.input("x", "float32", ["N", 2, 1, 1]);
  const y = dropPath(relu(x), { name: "path", ratio: 0.5 });
  const node = graph.nodes.find(({ opType }) => opType === "Dropout")!;
  assert.deepEqual(node.output().shape, ["N", 1, 1, 1], "one number a picture");
  const mask = graph.input("mask", "float32", ["N", 1, 1, 1]);
  const product = y.producer!;
  product._inputs = product._inputs.map((input) => input === node.output() ? mask : input);
  graph.output(gradients(reduceSum(y), [x])[0]!, "gradient");
  graph.output(y, "y");
  removeDead(graph);
  const found = await run(graph, { x: [[2, 2, 1, 1], [1, 2, 3, 4]], mask: [[2, 1, 1, 1], [0, 2]] });
  assert.deepEqual(found, { y: [0, 0, 6, 8], gradient: [0, 0, 2, 2] });
});

Deno.test("the linear decay rule: block l of L is left out with probability last · l / L", () => {
  assert.deepEqual(dropPathRatios(4, 0.5), [0.125, 0.25, 0.375, 0.5]);
  assert.deepEqual(dropPathRatios(0, 0.5), []);
});

Deno.test("Darknet-53 has dropout before its last layer and stochastic depth in its 23 blocks; its weights are as without", () => {
  const make = (options: { dropout?: number; dropPath?: number }) =>
    darknet53({ classes: 3, size: 32, width: 0.125, random: Random.seeded("darknet"), ...options });
  const plain = make({}), dropping = make({ dropout: 0.3, dropPath: 0.23 });
  const ratios = dropping.nodes.filter(({ opType }) => opType === "Dropout")
    .map((node) => Number(Number(node.input(1).tensor!.data[0]).toFixed(4)));
  assert.deepEqual(ratios, [...Array.from({ length: 23 }, (_, i) => (i + 1) / 100), 0.3]);
  const weights = (graph: Graph) => graph.parameters.map(({ name, tensor }) => [name, tensor!.data]);
  assert.deepEqual(weights(dropping), weights(plain));
  assert.equal(summarize(plain).operators.Dropout, undefined);
});

Deno.test("classifiers have dropout before the last layer, and stochastic depth on their short cuts, rising to the last", () => {
  const ratios = (graph: Graph) =>
    graph.nodes.filter(({ opType }) => opType === "Dropout")
      .map((node) => Number(Number(node.input(1).tensor!.data[0]).toFixed(4)));
  const options = { random: "zeros" as const, classes: 3, size: 32, width: 0.125, dropout: 0.3, dropPath: 0.1 };
  assert.deepEqual(ratios(residualNet(options).graph), [0.02, 0.04, 0.06, 0.08, 0.1, 0.3]);
  assert.deepEqual(ratios(c2fNet(options).graph), [0.02, 0.04, 0.06, 0.08, 0.1, 0.3]);
  assert.deepEqual(ratios(mobileNet(options).graph), [0.3]); // no short cuts
  // Of its ten blocks 3, 5, 7, 8 and 10 keep stride and channels.
  const all = ratios(efficientNet({ ...options, width: 1 }).graph);
  assert.deepEqual(all, [0.03, 0.05, 0.07, 0.08, 0.1, 0.3]);
  for (const build of [residualNet, efficientNet, c2fNet, mobileNet]) {
    const { graph } = build(options), plain = build({ ...options, dropout: 0, dropPath: 0 }).graph;
    withoutDropout(graph);
    assert.deepEqual(summarize(graph), summarize(plain));
  }
});

Deno.test("withoutDropout leaves the network as if it never had any, with the same outputs", async () => {
  const graph = blocks(), before = await run(copyGraph(graph), { x: [[2, 4, 3, 3], pictures] });
  assert.equal(graph.nodes.filter(({ opType }) => opType === "Dropout").length, 3);
  assert.equal(withoutDropout(graph), 2, "the one that is the graph's output stays");
  const { operators } = summarize(graph);
  assert.deepEqual([operators.Dropout, operators.Mul, operators.ConstantOfShape, operators.Shape], [
    1,
    undefined,
    undefined,
    undefined,
  ]);
  assertValid(graph);
  assert.deepEqual(await run(graph, { x: [[2, 4, 3, 3], pictures] }), before);
  const network = (dropPath: number) => darknet53({ classes: 3, size: 32, width: 0.125, random: "zeros", dropPath });
  const dropping = network(0.2);
  assert.equal(withoutDropout(dropping), 23);
  assert.deepEqual(summarize(dropping).operators, summarize(network(0)).operators);
});

Deno.test("withoutDropout lets alone what trains, a mask that is read, and products that change the shape", async () => {
  const graph = new Graph("kept"), x = graph.input("x", "float32", ["N", 1, 1, 1]);
  const [y, mask] = graph.node("Dropout", [x], {}, { outputs: 2 }) as [Value, Value];
  graph.output(relu(y), "a");
  graph.output(mask, "mask");
  const training = graph.constant(true, { dtype: "bool" });
  const [z] = graph.node("Dropout", [x, undefined, training]) as [Value];
  graph.output(relu(z), "b");
  assert.equal(withoutDropout(graph), 0);
  const wide = new Graph("wide"), one = wide.input("x", "float32", [1, 3]);
  const ones = wide.constant(tensor("float32", [2, 1], [1, 1]));
  const [kept] = wide.node("Dropout", [ones]) as [Value];
  wide.output(relu(wide.node("Mul", [one, kept])[0]!), "y");
  assert.equal(withoutDropout(wide), 1);
  assert.deepEqual((await run(wide, { x: [[1, 3], [1, 2, 3]] })).y, [1, 2, 3, 1, 2, 3]);
});

Deno.test("a projection head is two connected layers with a rectifier between", async () => {
  const graph = new Graph("head"), x = graph.input("x", "float32", ["N", 2, 1, 1]);
  graph.output(projectionHead(x, { name: "projection", hidden: 2, outputs: 1, random: Random.seeded(1) }), "z");
  for (const [name, data] of [["hidden.weight", [1, 1, 1, -1]], ["output.weight", [2, 3]]] as const) {
    const value = graph.value(`projection.${name}`);
    graph.setTensor(value, tensor("float32", value.staticShape, data));
  }
  assert.deepEqual((await run(graph, { x: [[2, 2, 1, 1], [5, 2, 1, 4]] })).z, [2 * 7 + 3 * 3, 2 * 5]);
  const wide = new Graph("wide"), y = wide.input("y", "float32", ["N", 6, 2, 2]);
  assert.deepEqual(projectionHead(y, { name: "p", random: "zeros" }).shape, ["N", 128]);
  assert.deepEqual(wide.value("p.hidden.weight").shape, [24, 24]);
});

Deno.test("ratios out of range are refused, and 0 makes no node", () => {
  const graph = new Graph("refused"), x = graph.input("x", "float32", [1, 2]);
  for (const ratio of [1, -0.1, NaN]) {
    assert.throws(() => dropout(x, { name: "d", ratio }), ModelError);
    assert.throws(() => dropPath(x, { name: "d", ratio }), /layer "d": expected a ratio from 0, below 1, found/);
  }
  assert.equal(dropout(x, { name: "d", ratio: 0 }), x);
  assert.equal(dropPath(x, { name: "d", ratio: 0 }), x);
});
