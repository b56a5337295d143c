/** Fusions against finite differences, with respect to inputs and weights, and against cases worked by hand. */

import assert from "node:assert/strict";
import { assertClose, checkGradients, runGraph } from "../../autodiff/gradient_check.ts";
import { Graph, inline, tensor, toNumbers } from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { type FusionKind, fusionOf, FUSIONS } from "./fusions.ts";

const random = Random.seeded("fusions", 0);

/** A fusion of two scales of 2 and 3 numbers and an embedding of 2, in double precision. */
function built(kind: FusionKind, { width = 4, heads = 2 } = {}) {
  const graph = new Graph(kind);
  const visual = [2, 3].map((size, i) => graph.input(`features${i}`, "float64", ["N", size]));
  const embedding = graph.input("embedding", "float64", ["N", 2]);
  graph.output(fusionOf[kind]({ visual, embedding }, { width, heads, random: Random.seeded(kind) }), "joined");
  return graph;
}

for (const kind of FUSIONS) {
  Deno.test(`${kind}: gradients of inputs and weights are those of finite differences`, async () => {
    const source = built(kind);
    const read = (name: string) => kind !== (name === "embedding" ? "visual" : "embedding");
    const inputs = source.inputs.filter(({ name }) => read(name));
    await checkGradients(3, random, (own) => ({
      inputs: Object.fromEntries([
        ...inputs.map(({ name, shape }) => [name, { shape: [3, shape[1] as number] }]),
        ...source.parameters.map(({ name, staticShape }) => [name, {
          shape: staticShape,
          data: Array.from({ length: staticShape.reduce((a, b) => a * b, 1) }, () => own.normal(0, 0.7)),
        }]),
      ]),
      build: (values, graph) => {
        const feeds = new Map(
          [...source.inputs, ...source.parameters].flatMap((value) =>
            values[value.name] ? [[value, values[value.name]!] as const] : []
          ),
        );
        return inline(graph, source, feeds, { outputs: source.outputs }).get(source.outputs[0]!)!;
      },
    }));
  });
}

/** The joined vector of one picture, with weights that the test gives. */
async function joined(
  kind: FusionKind,
  features: Readonly<Record<string, readonly number[]>>,
  weights: Readonly<Record<string, readonly number[]>>,
  options: { width: number; heads?: number },
): Promise<number[]> {
  const graph = built(kind, options);
  for (const value of graph.parameters) {
    const given = weights[value.name] ?? new Array(value.tensor!.data.length).fill(0);
    graph.setTensor(value, tensor("float64", value.staticShape, given));
  }
  const feeds = Object.fromEntries(graph.inputs.map(({ name, shape }) => [
    name,
    tensor("float64", [1, shape[1] as number], features[name]!),
  ]));
  return toNumbers((await runGraph(graph, feeds)).joined!);
}

const features = { features0: [1, -2], features1: [0.5, 0, 3], embedding: [2, -1] };
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

Deno.test("concatenation by hand: relu(W · [v; t] + b)", async () => {
  const found = await joined("concatenation", features, {
    "joint.weight": [1, 1, 2, 0, 0, 0.5, 0, /**/ 0, 0, 0, 0, -1, 0, 0],
    "joint.bias": [0.25, 1],
  }, { width: 2 });
  assertClose(found, [1 - 2 + 1 + 1 + 0.25, 0], 1e-12); // 1.25, and relu(1 − 3)
});

Deno.test("the gated sum by hand: z · tanh(W_v · v) + (1 − z) · tanh(W_t · t)", async () => {
  const found = await joined("gated", features, {
    "visual.weight": [0.5, 0, 0, 0, 0],
    "embedding.weight": [0, 1],
    "gate.weight": [0, 0, 0, 0, 1, 0.25, 0],
    "gate.bias": [-3],
  }, { width: 1 });
  const z = sigmoid(3 + 0.5 - 3);
  assertClose(found, [z * Math.tanh(0.5) + (1 - z) * Math.tanh(-1)], 1e-12);
});

Deno.test("FiLM by hand: relu((1 + Δγ(t)) · W · v + β(t))", async () => {
  const found = await joined("film", features, {
    "visual.weight": [1, 0, 0, 0, 0, /**/ 0, 0, 0, 0, 1],
    "visual.bias": [0, 1],
    "scale.weight": [0.5, 0, /**/ 0, 3],
    "shift.weight": [0, 0, /**/ 1, 0],
    "shift.bias": [0.5, 0],
  }, { width: 2 });
  // γ = 1 + (1, −3) = (2, −2); W v + b = (1, 4); β = (0.5, 2)
  assertClose(found, [2.5, 0], 1e-12);
});

Deno.test("cross-attention by hand: softmax(q · kᵀ / √d) · v over the scales in each head, added and normalised", async () => {
  const found = await joined("attention", features, {
    "query.weight": [1, 0, 0, 0, /**/ 0, 1, 0, 0], // q = (2, 0) and (−1, 0) of the two heads
    "key0.weight": [1, 0, 0, 0, /**/ 1, 0, 0, 0], // (1, 0) and (1, 0)
    "key1.weight": [0, 0, 1, 0, 0, 0, /**/ 0, 0, 0, 0, 0, 0], // (3, 0) and (0, 0)
    "value0.weight": [0, 1, 1, 0, /**/ 0, 1, 0, 0], // (−2, 1) and (−2, 0)
    "value1.weight": [1, 0, 0, 0, 0, 0, /**/ 0, 0, 1, 2, 0, 0], // (0.5, 0) and (3, 1)
    "embedding.weight": [1, 0, 0, 0, /**/ 0, 0, 0, 0], // (2, 0, 0, 0)
    "attended.weight": [0, 1, 2, 3].flatMap((row) => [0, 1, 2, 3].map((column) => Number(row === column))),
    "norm.scale": [1, 3, 1, 1],
    "norm.bias": [0, 1, 0, 0],
  }, { width: 4, heads: 2 });
  const first = (a: number, b: number) => 1 / (1 + Math.exp((b - a) / Math.SQRT2));
  const p = first(2, 6), r = first(-1, 0);
  const y = [2 - 2 * p + 0.5 * (1 - p), p, -2 * r + 3 * (1 - r), 1 - r];
  const mean = y.reduce((sum, each) => sum + each) / 4;
  const deviation = Math.sqrt(y.reduce((sum, each) => sum + (each - mean) ** 2, 0) / 4 + 1e-5);
  const normal = y.map((each) => (each - mean) / deviation);
  assertClose(found, [normal[0]!, 3 * normal[1]! + 1, normal[2]!, normal[3]!], 1e-6);
});

Deno.test("attention refuses heads that do not divide the width", () => {
  assert.throws(() => built("attention", { width: 4, heads: 3 }), /expected heads that divide the width 4, found 3/);
});
