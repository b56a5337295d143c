/** What of a graph from elsewhere is trained. */

import assert from "node:assert/strict";
import { dropPath } from "../models/mod.ts";
import {
  add,
  batchNormalization,
  concat,
  conv,
  cutGraph,
  expand,
  flatten,
  fromModel,
  gather,
  gemm,
  globalAveragePool,
  Graph,
  identity,
  matMul,
  mul,
  reduceMean,
  relu,
  softmax,
  sub,
  tensor,
  toModel,
  toNumbers,
  transpose,
  type Value,
} from "../onnx/mod.ts";
import {
  compileStep,
  constant,
  crossEntropy,
  findWeights,
  markWeights,
  matchesName,
  Random,
  sgd,
  trainable,
  TrainError,
  uniform,
} from "./mod.ts";
import { smallBatch, smallNetwork } from "./small_network.ts";

/** A constant as files from elsewhere have their weights. */
function fixed(graph: Graph, name: string, shape: readonly number[]): Value {
  const init = uniform(Random.seeded(name), { low: 0.5, high: 1 });
  return graph.constant(tensor("float32", shape, init(shape)), { name });
}

const names = (values: readonly Value[]) => values.map(({ name }) => name);

Deno.test("weights are found by their place: not the colours' mean, masks, scalars or running statistics", () => {
  const graph = new Graph("foreign");
  const x = graph.input("x", "float32", ["N", 3, 4, 4]);
  const coloured = sub(x, fixed(graph, "colour mean", [1, 3, 1, 1]));
  const y = conv(coloured, fixed(graph, "kernel", [4, 3, 4, 4]), { bias: fixed(graph, "conv bias", [4]) });
  const [scale, shift, mean, variance] = ["scale", "shift", "mean", "variance"].map((name) => fixed(graph, name, [4]));
  const tokens = transpose(flatten(batchNormalization(y, scale!, shift!, mean!, variance!)), [0, 1]);
  const projected = matMul(tokens, transpose(fixed(graph, "turned", [5, 4]), [1, 0]));
  const biased = add(mul(projected, 0.5), fixed(graph, "late bias", [5]));
  const mask = graph.constant(tensor("float32", [1, 5], [0, 0, 0, 0, -Infinity]), { name: "mask" });
  graph.output(softmax(add(biased, mask)), "y");
  assert.deepEqual(names(findWeights(graph)).sort(), ["conv bias", "kernel", "late bias", "scale", "shift", "turned"]);
});

Deno.test("embeddings, positions and class tokens that are expanded and joined are weights", () => {
  const graph = new Graph("text");
  const ids = graph.input("ids", "int64", [2, 3]);
  const words = gather(fixed(graph, "words", [10, 4]), ids);
  const token = expand(fixed(graph, "token", [1, 1, 4]), [2, 1, 4]);
  const joined = add(concat([token, words], 1), fixed(graph, "positions", [1, 4, 4]));
  graph.output(reduceMean(joined), "y");
  assert.deepEqual(names(findWeights(graph)).sort(), ["positions", "token", "words"]);
});

Deno.test("a class token that is repeated by adding zeros is a weight, a number is none", () => {
  const graph = new Graph("image");
  const pixels = graph.input("pixels", "float32", [2, 3, 4]);
  const patches = matMul(pixels, fixed(graph, "patches", [4, 4]));
  const zeros = expand(graph.constant(tensor("float32", [], [0]), { name: "zero" }), [2, 1, 4]);
  const joined = concat([add(fixed(graph, "token", [4]), zeros), patches], 1);
  graph.output(reduceMean(joined), "y");
  assert.deepEqual(names(findWeights(graph)).sort(), ["patches", "token"]);
});

Deno.test("of a graph written here only what is marked is trained, and marks survive the file", async () => {
  const graph = smallNetwork();
  const marked = ["conv", "scale", "bias", "hidden", "head"];
  assert.deepEqual(names(findWeights(graph)), marked);
  await using step = await compileStep({
    model: fromModel(toModel(graph)),
    loss: ({ output, input }) => crossEntropy(output(), input("labels", "int64", ["N"])),
    optimizer: sgd(),
    worker: false,
  });
  const saved = fromModel(toModel(await step.model()));
  assert.deepEqual(names(saved.parameters).sort(), [...marked].sort());
});

Deno.test("the graph that is given is not changed by training", async () => {
  const graph = smallNetwork(), before = toModel(graph);
  await using step = await compileStep({
    model: graph,
    loss: ({ output, input }) => crossEntropy(output(), input("labels", "int64", ["N"])),
    optimizer: sgd(),
    worker: false,
  });
  await step.run(smallBatch(0), { learningRate: 0.1 });
  const trained = await step.model();
  assert.deepEqual(toModel(graph), before);
  assert.notDeepEqual(trained.value("head").tensor!.data, graph.value("head").tensor!.data);
});

Deno.test("weights that an exporter kept once because they were equal are trained apart; untie false keeps them tied", async () => {
  const graph = new Graph("equal");
  const x = graph.input("x", "float32", [2, 3]);
  const one = fixed(graph, "first", [3, 3]);
  graph.output(matMul(relu(matMul(x, one)), identity(one, { name: "second" })), "y");
  const model = trainable(graph);
  assert.deepEqual(names(model.parameters).sort(), ["first", "second"]);
  await using step = await compileStep({
    model,
    loss: ({ output }) => reduceMean(output()),
    optimizer: sgd(),
  });
  await step.run({ x: tensor("float32", [2, 3], [1, 2, 3, 4, 5, 6]) }, { learningRate: 0.1 });
  const { first, second } = await step.parameters();
  assert.notDeepEqual(toNumbers(first!), toNumbers(second!));
  assert.deepEqual(names(trainable(graph, { untie: false }).parameters), ["first"]);
});

Deno.test("a new head on the features of another's file: only the head is trained when all else is frozen", async () => {
  const foreign = new Graph("foreign");
  const x = foreign.input("x", "float32", ["N", 1, 8, 8]);
  const pooled = globalAveragePool(relu(conv(x, fixed(foreign, "kernel", [6, 1, 3, 3]))));
  const features = flatten(pooled, { name: "features" });
  foreign.output(gemm(features, fixed(foreign, "old head", [6, 10])), "logits");

  const graph = cutGraph(fromModel(toModel(foreign)), { outputs: ["features"] });
  assert.deepEqual(names(markWeights(graph)), ["kernel"]);
  const head = graph.parameter("head", { shape: [6, 3], init: constant(0) });
  const from = graph.value("features");
  graph.removeOutput(from);
  graph.output(matMul(from, head), "logits");
  const model = trainable(graph, { freeze: "kernel" });
  await using step = await compileStep({
    model,
    loss: ({ output, input }) => crossEntropy(output(), input("labels", "int64", ["N"])),
    optimizer: sgd(),
  });
  const { loss } = await step.run(smallBatch(0), { learningRate: 0.1 });
  assert.ok(Math.abs(loss - Math.log(3)) < 1e-6, "a head of zeros gives every class the same");
  assert.deepEqual(Object.keys(await step.parameters()), ["head"]);
  assert.deepEqual((await step.model()).value("kernel").tensor!.data, foreign.value("kernel").tensor!.data);
});

Deno.test("batch normalisation goes back to training, or stays frozen, also by the node's name", () => {
  assert.equal(trainable(smallNetwork()).normalizations.size, 1);
  assert.equal(trainable(smallNetwork(), { batchNormalization: "frozen" }).normalizations.size, 0);
  const model = (name: string) =>
    trainable(smallNetwork(), { batchNormalization: (node) => node.startsWith(name) ? "frozen" : "train" });
  assert.equal(model("BatchNorm").normalizations.size, 0);
  assert.equal(model("other").normalizations.size, 1);
});

Deno.test("stochastic depth leaves out whole branches of pictures in training, with the mean of the branch, and none in evaluation", async () => {
  const graph = new Graph("depth"), pictures = 64, ratio = 0.25;
  const x = graph.input("x", "float32", ["N", 1, 2, 2]);
  const branch = mul(x, graph.parameter("w", { shape: [1, 1, 1, 1], init: constant(1) }));
  graph.output(dropPath(branch, { name: "branch", ratio }), "y");
  const open = () =>
    compileStep({
      model: graph,
      loss: ({ output }) => ({ loss: reduceMean(output()), metrics: { square: reduceMean(mul(output(), output())) } }),
      optimizer: sgd(),
      ...{ worker: false, threads: 1 },
    });
  await using step = await open();
  await using again = await open();
  const batch = { x: tensor("float32", [pictures, 1, 2, 2], new Array(pictures * 4).fill(1)) };
  let sum = 0;
  const counts = new Set<number>();
  for (let i = 0; i < 50; i++) {
    const { loss, metrics } = await step.run(batch, { learningRate: 0 });
    assert.equal((await again.run(batch, { learningRate: 0 })).loss, loss, "masks follow from the seed and the step");
    const kept = loss * pictures * (1 - ratio); // each that stays counts 4/3 in all its elements
    assert.ok(Math.abs(kept - Math.round(kept)) < 1e-4, `${kept}`);
    assert.ok(Math.abs(Number(metrics.square) - loss / (1 - ratio)) < 1e-5);
    counts.add(Math.round(kept));
    sum += loss;
  }
  // The mean of 3,200 draws of 0 or 4/3: its standard deviation is √(1/3 / 3200), four of them 0.041.
  assert.ok(Math.abs(sum / 50 - 1) < 0.041, `${sum / 50}`);
  assert.ok(counts.size > 5);
  assert.ok(toNumbers((await step.evaluate(batch)).y!).every((element) => element === 1));
});

Deno.test("what cannot be trained is one line: half precision, whole numbers, a ratio of dropout that is not known", async () => {
  const half = new Graph("half");
  const x = half.input("x", "float16", [1, 2]);
  half.output(matMul(x, half.parameter("w", { dtype: "float16", shape: [2, 2], init: constant(1) })), "y");
  assert.throws(() => trainable(half), /expected float32 or float64 for parameter "w", found float16/);
  assert.throws(
    () => trainable(smallNetwork(), { parameters: "nothing*" }),
    (error) => error instanceof TrainError && /parameters: expected a pattern/.test(error.message),
  );
  const { dropout } = await import("../onnx/mod.ts");
  const odd = smallNetwork();
  odd.output(dropout(odd.outputs[0]!, { ratio: 1 }).y, "dropped");
  assert.throws(() => trainable(odd), /expected a constant ratio in 0 … 1, found 1/);
});

Deno.test("patterns: a text covers the whole name with * for anything, a regular expression is found anywhere", () => {
  assert.ok(matchesName("layer1.conv.weight", "layer1.*"));
  assert.ok(!matchesName("xlayer1.conv", "layer1.*"));
  assert.ok(!matchesName("layer10conv", "layer1.*"), "a dot is a dot");
  assert.ok(matchesName("layer1.conv.weight", /conv/));
  assert.ok(matchesName("b", ["a", (name) => name === "b"]));
  const every = /a/g;
  assert.ok(matchesName("a", every) && matchesName("a", every), "a global expression keeps no place");
});
