/** The rewrite `poolFirst` against the graph as it was: same outputs, running statistics and gradients. */

import assert from "node:assert/strict";
import {
  add,
  batchNormalizationTraining,
  clip,
  conv,
  Graph,
  leakyRelu,
  maxPool,
  mul,
  reduceSum,
  relu,
  tensor,
  toNumbers,
  type Value,
} from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { assertClose, runGraph } from "../gradient_check.ts";
import { gradients, poolFirst } from "../mod.ts";

interface Built {
  readonly graph: Graph;
  readonly wrt: readonly Value[];
}

/** Two blocks of convolution, normalisation, activation and pooling; γ of every sign. */
function network(momentum: number, seed: number): Built {
  const random = Random.seeded("pool first", seed);
  const graph = new Graph();
  const weight = (name: string, shape: number[], draw = () => random.normal()) =>
    graph.parameter(name, { shape, init: () => Array.from({ length: shape.reduce((a, b) => a * b, 1) }, draw) });
  let x = graph.input("x", "float32", [3, 2, 13, 12]);
  const activations = [
    (y: Value) => leakyRelu(y, { alpha: 0.1 }),
    (y: Value) => relu(y),
    (y: Value) => clip(y, -0.5, 0.7),
    (y: Value) => y,
  ];
  for (let block = 0; block < 2; block++) {
    const c = conv(x, weight(`w${block}`, [4, x.shape[1] as number, 3, 3]), { pads: 1 });
    const scale = graph.parameter(`scale${block}`, tensor("float32", [4], [0.8, -1.2, -0.3, 1.5]));
    const statistics = [
      weight(`mean${block}`, [4]),
      weight(`variance${block}`, [4], () => random.uniform(0.5, 2)),
    ] as const;
    const normal = batchNormalizationTraining(c, scale, weight(`bias${block}`, [4]), ...statistics, { momentum });
    graph.output(normal.runningMean, `running mean ${block}`);
    graph.output(normal.runningVariance, `running variance ${block}`);
    x = maxPool(activations[(seed + block) % 4]!(normal.y), block ? 2 : 3, {
      strides: block ? 2 : 1,
      pads: block ? 0 : 1,
    });
  }
  const loss = reduceSum(mul(x, graph.constant(tensor("float32", [4, 1, 1], [1, -2, 0.5, 3]))));
  graph.output(loss, "loss");
  return { graph, wrt: graph.parameters.filter(({ name }) => !/^(mean|variance)/.test(name)) };
}

async function results({ graph, wrt }: Built) {
  const names = wrt.map(({ name }) => name);
  gradients(graph.value("loss"), wrt).forEach((gradient, i) => graph.output(gradient, `gradient ${names[i]}`));
  const random = Random.seeded("images");
  const x = tensor("float32", [3, 2, 13, 12], Array.from({ length: 936 }, () => random.normal()));
  return await runGraph(graph, { x });
}

for (const momentum of [0, 0.9]) {
  Deno.test(`poolFirst changes neither loss, statistics nor gradients, also where γ < 0 (momentum ${momentum})`, async () => {
    for (let seed = 0; seed < 4; seed++) {
      const before = await results(network(momentum, seed));
      const built = network(momentum, seed);
      assert.equal(poolFirst(built.graph), 2);
      const after = await results(built);
      assert.deepEqual(Object.keys(after).sort(), Object.keys(before).sort());
      for (const [name, expected] of Object.entries(before)) {
        const numbers = toNumbers(expected), largest = Math.max(...numbers.map(Math.abs));
        // A maximum may go to another of two elements that differ by rounding only: see the tolerance on the largest.
        assertClose(toNumbers(after[name]!), numbers, 2e-4 * Math.max(1, largest), `${seed}: ${name}`);
      }
    }
  });
}

Deno.test("an activation alone moves behind the pooling with exactly the same numbers", async () => {
  const build = () => {
    const graph = new Graph();
    const x = graph.input("x", "float32", [2, 3, 6, 6]);
    graph.output(maxPool(relu(leakyRelu(x, { alpha: 0.3 })), 2, { strides: 2 }), "y");
    return graph;
  };
  const random = Random.seeded("activation");
  const x = tensor("float32", [2, 3, 6, 6], Array.from({ length: 216 }, () => random.normal()));
  const rewritten = build();
  assert.equal(poolFirst(rewritten), 1);
  assert.deepEqual(rewritten.nodes.map(({ opType }) => opType), ["MaxPool", "LeakyRelu", "Relu"]);
  assert.deepEqual((await runGraph(rewritten, { x })).y!.data, (await runGraph(build(), { x })).y!.data);
});

Deno.test("what others read, what is an output, and what does not keep the order stays where it is", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [1, 1, 4, 4]);
  const shared = relu(x);
  graph.output(add(maxPool(shared, 2), reduceSum(shared)), "a");
  graph.output(maxPool(graph.output(leakyRelu(x), "b"), 2), "c");
  graph.output(maxPool(leakyRelu(x, { alpha: -0.1 }), 2), "d");
  assert.equal(poolFirst(graph), 0);
});
