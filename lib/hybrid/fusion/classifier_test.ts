import assert from "node:assert/strict";
import { assertClose, runGraph } from "../../autodiff/gradient_check.ts";
import { Graph, type Graph as OnnxGraph, tensor, toNumbers } from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { speciesByDex, types } from "../../species/mod.ts";
import { factsOf, fusionGraph } from "./classifier.ts";
import { fusionLoss } from "./loss.ts";
import { smallConfig } from "./fixture.ts";
import { momentsOf, standardised } from "./standardise.ts";

const random = Random.seeded("classifier", 0);
const rows = (n: number, width: number) =>
  tensor("float32", [n, width], Float32Array.from({ length: n * width }, () => random.normal(3, 2)));
const visual = [rows(6, 2), rows(6, 3)], embedding = rows(6, 4);
const moments = { visual: visual.map(momentsOf), embedding: momentsOf(embedding) };
const feeds = { features0: visual[0]!, features1: visual[1]!, embedding };
const set = (graph: OnnxGraph, name: string, values: readonly number[]) => {
  const value = graph.value(name);
  graph.setTensor(value, tensor("float32", value.staticShape, values));
};

Deno.test("standardised columns have mean 0 and deviation 1; one that does not vary stays finite", async () => {
  const x = tensor("float32", [4, 2], [1, 7, 3, 7, 5, 7, 7, 7]);
  const { mean, deviation } = momentsOf(x);
  assertClose(toNumbers(mean), [4, 7], 1e-6);
  assertClose(toNumbers(deviation), [Math.sqrt(5), 1], 1e-6); // of 1, 3, 5, 7: (9 + 1 + 1 + 9) / 4
  const graph = new Graph("standardised");
  graph.output(standardised(graph.input("x", "float32", ["N", 2]), { mean, deviation }, "x"), "y");
  const { y } = await runGraph(graph, { x });
  const s = Math.sqrt(5);
  assertClose(toNumbers(y!), [-3 / s, 0, -1 / s, 0, 1 / s, 0, 3 / s, 0], 1e-6);
  assert.throws(() => momentsOf(tensor("float32", [0, 2], [])), /moments: expected rows \[N, D\], found \[0,2\]/);
});

Deno.test("before training, logits with prototypes are the scaled cosines of zero-shot classification plus the linear head's", async () => {
  const prototypes = rows(3, 4);
  const config = smallConfig({ kind: "concatenation", prototypes: true }, {
    tasks: { types: false, generation: false },
  });
  const graph = fusionGraph({ config, moments, classes: 3, prototypes, seed: 1 });
  set(graph, "head.species.weight", new Array(3 * 16).fill(0));
  set(graph, "head.species.bias", [1, 2, 3]);
  const { logits } = await runGraph(graph, feeds);
  const row = (from: { data: Float32Array }, i: number) => from.data.subarray(4 * i, 4 * i + 4);
  const expected = [0, 1, 2, 3, 4, 5].flatMap((n) =>
    [0, 1, 2].map((c) => {
      const e = row(embedding, n), t = row(prototypes, c);
      const dot = e.reduce((sum, value, i) => sum + value * t[i]!, 0);
      return dot / Math.hypot(...e) / Math.hypot(...t) / 0.07 + c + 1;
    })
  );
  assertClose(toNumbers(logits!), expected, 1e-5);
  // e + W · h with a bias alone: the cosine of the moved embedding.
  set(graph, "head.moved.bias", [1, 0, -1, 0]);
  const { logits: moved } = await runGraph(graph, feeds);
  const e = [...row(embedding, 0)].map((value, i) => value + [1, 0, -1, 0][i]!), t = row(prototypes, 0);
  const cosine = e.reduce((sum, value, i) => sum + value * t[i]!, 0) / Math.hypot(...e) / Math.hypot(...t);
  assertClose([toNumbers(moved!)[0]!], [cosine / 0.07 + 1], 1e-5);
});

Deno.test("a graph has the inputs that its fusion reads, and the outputs of its tasks", () => {
  const made = (fusion: Parameters<typeof smallConfig>[0], tasks = {}) =>
    fusionGraph({ config: smallConfig({ prototypes: false, ...fusion }, { tasks }), moments, classes: 3, seed: 1 });
  const names = (graph: Graph) => [graph.inputs, graph.outputs].map((list) => list.map(({ name }) => name).join(" "));
  const all = "logits types generation log_variances";
  assert.deepEqual(names(made({ kind: "film" })), ["features0 features1 embedding", all]);
  assert.deepEqual(names(made({ kind: "visual" })), ["features0 features1", all]);
  assert.deepEqual(names(made({ kind: "embedding" })), ["embedding", all]);
  assert.deepEqual(names(made({ kind: "attention", scales: [1] })), ["features1 embedding", all]);
  assert.deepEqual(names(made({}, { weighting: "sum", generation: false }))[1], "logits types");
  assert.deepEqual(names(made({}, { types: false, generation: false }))[1], "logits");
});

Deno.test("scales that there are not, and prototypes that are missing or of another shape, are refused", () => {
  const make = (fusion: Parameters<typeof smallConfig>[0], prototypes?: ReturnType<typeof rows>) => () =>
    fusionGraph({ config: smallConfig(fusion), moments, classes: 3, prototypes, seed: 1 });
  assert.throws(make({ scales: [2] }), /small: fusion.scales: expected scales below 2, found 2/);
  assert.throws(make({ prototypes: true }), /fusion.prototypes: expected text prototypes \[3, 4\], found none/);
  assert.throws(make({ prototypes: true }, rows(2, 4)), /expected text prototypes \[3, 4\], found \[2,4\]/);
});

Deno.test("the loss by hand: species, types summed over the 18, generation, weighted by learned uncertainty", async () => {
  const classes = [1, 152].map(speciesByDex); // Bulbasaur: Grass and Poison, generation 1; Chikorita: Grass, generation 2
  const facts = factsOf(classes);
  assert.deepEqual([...facts.types].flatMap((value, i) => value ? [[Math.floor(i / 18), types[i % 18]]] : []), [
    [0, "Grass"],
    [0, "Poison"],
    [1, "Grass"],
  ]);
  const { tasks, loss } = smallConfig();
  const graph = new Graph("loss");
  const fed = {
    logits: tensor("float32", [1, 2], [1, -1]),
    types: tensor("float32", [1, 18], new Array(18).fill(0)),
    generation: tensor("float32", [1, 9], [0, 2, 0, 0, 0, 0, 0, 0, 0]),
    "log_variances": tensor("float32", [3], [0.5, 0, -1]),
    targets: tensor("float32", [1, 2], [0, 1]),
  };
  const outputs = new Map(
    Object.entries(fed).slice(0, 4).map(([name, { shape }]) => [name, graph.input(name, "float32", shape)]),
  );
  const result = fusionLoss({ tasks, loss }, classes)({
    graph,
    output: (name = "") => outputs.get(name)!,
    value: (name) => graph.value(name),
    input: (name, dtype, shape) => graph.input(name, dtype, shape),
  });
  assert.ok("loss" in result);
  graph.output(result.loss, "loss");
  const found = await runGraph(graph, fed);
  const species = Math.log(1 + Math.exp(2)), typed = 18 * Math.log(2), born = Math.log(1 + 8 * Math.exp(-2));
  const expected = Math.exp(-0.5) * species + typed + Math.exp(1) * born + 0.5 - 1;
  assertClose(toNumbers(found.loss!), [expected], 1e-5);
});
