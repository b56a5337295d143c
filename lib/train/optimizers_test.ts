/** Optimizers against PyTorch's, recorded by tests/peers/record_training.py, on a loss whose gradients are fed: Σ w · c. */

import assert from "node:assert/strict";
import { add, Graph, mul, reduceSum, tensor } from "../onnx/mod.ts";
import {
  adam,
  adamW,
  addDecayedWeights,
  chain,
  clipByGlobalNorm,
  clipByValue,
  compileStep,
  lamb,
  lion,
  type Optimizer,
  scale,
  scaleByLearningRate,
  sgd,
  TrainError,
} from "./mod.ts";

const file = new URL("./pytorch.json", import.meta.url);
const recorded: {
  start: [number[], number[]];
  gradients: [number[], number[]][];
  optimizers: Record<string, [number[], number[]][]>;
} = JSON.parse(await Deno.readTextFile(file));

const OPTIMIZERS: Readonly<Record<string, Optimizer>> = {
  sgd: sgd(),
  momentum: sgd({ momentum: 0.9, weightDecay: 0.05 }),
  nesterov: sgd({ momentum: 0.8, nesterov: true, weightDecay: 0.05 }),
  adam: adam({ weightDecay: 0.05 }),
  adamW: adamW({ weightDecay: 0.05, beta1: 0.8, beta2: 0.95, epsilon: 1e-6 }),
  clipped: sgd({ clipNorm: 1.5 }),
  lion: lion({ weightDecay: 0.05 }),
  lamb: lamb({ weightDecay: 0.05 }),
};

Deno.test("every recorded optimizer is tested", () => {
  assert.deepEqual(Object.keys(OPTIMIZERS).sort(), Object.keys(recorded.optimizers).sort());
});

for (const [name, optimizer] of Object.entries(OPTIMIZERS)) {
  Deno.test(`${name}: the weights after each of 8 steps are the recorded ones, decay on the matrix only`, async () => {
    const path = await follow(optimizer);
    path.forEach((weights, step) => {
      recorded.optimizers[name]![step]!.forEach((expected, i) => close(weights[i]!, expected, `step ${step}, ${i}`));
    });
  });
}

Deno.test("with plain SGD the weights change by exactly the learning rate that is reported times the gradient", async () => {
  await using step = await open(sgd());
  for (const learningRate of [0.25, 0.1, 1e-3, 0]) {
    const before = await step.parameters();
    const ones = { cm: tensor("float32", [2, 3], new Array(6).fill(1)), cv: tensor("float32", [3], [1, 1, 1]) };
    const result = await step.run(ones, { learningRate });
    const after = await step.parameters();
    for (const name of ["matrix", "vector"]) {
      before[name]!.data.forEach((old, i) => {
        assert.equal(after[name]!.data[i], Math.fround(Number(old) - Math.fround(result.learningRate)));
      });
    }
    assert.equal(result.learningRate, learningRate);
  }
});

Deno.test("multipliers scale the learning rate of the parameters they name, the first that matches", async () => {
  const [weights] = await follow(sgd({ multipliers: [{ pattern: "mat*", factor: 0.5 }, { pattern: /./, factor: 0 }] }));
  const expected = recorded.start[0].map((w, i) => w - 0.1 * 0.5 * recorded.gradients[0]![0][i]!);
  close(weights![0], expected, "matrix");
  close(weights![1], recorded.start[1], "vector");
});

Deno.test("clipByValue holds every element of the gradient, and scale multiplies it", async () => {
  const [weights] = await follow(chain(clipByValue(0.5), scale(3), scaleByLearningRate()));
  const expected = recorded.start[0].map((w, i) =>
    w - 0.1 * 3 * Math.max(-0.5, Math.min(0.5, recorded.gradients[0]![0][i]!))
  );
  close(weights![0], expected, "matrix");
});

Deno.test("limits and rates that make no sense are refused", () => {
  assert.throws(() => clipByGlobalNorm(0), TrainError);
  assert.throws(() => clipByValue(-1), TrainError);
  assert.throws(() => addDecayedWeights(-0.1), TrainError);
});

Deno.test("a transform that loses an update or forgets its state is refused when the step is compiled", async () => {
  await assert.rejects(open((updates) => updates.slice(1)), /optimizer: expected 2 updates, found 1/);
  await assert.rejects(
    open((updates, context) => {
      context.like("forgotten", context.parameters[0]!);
      return updates;
    }),
    /optimizer: expected a next value for state "optimizer\/forgotten\/matrix", found none/,
  );
});

function open(optimizer: Optimizer) {
  const graph = new Graph("sum");
  const part = (name: string, shape: readonly number[], start: readonly number[]) =>
    reduceSum(
      mul(graph.parameter(name, tensor("float32", shape, start)), graph.input(`c${name[0]}`, "float32", shape)),
    );
  graph.output(add(part("matrix", [2, 3], recorded.start[0]), part("vector", [3], recorded.start[1])), "sum");
  return compileStep({ model: graph, loss: ({ output }) => output(), optimizer, worker: false, threads: 1 });
}

async function follow(optimizer: Optimizer): Promise<[number[], number[]][]> {
  await using step = await open(optimizer);
  const path: [number[], number[]][] = [];
  for (const [i, [cm, cv]] of recorded.gradients.entries()) {
    const batch = { cm: tensor("float32", [2, 3], cm), cv: tensor("float32", [3], cv) };
    await step.run(batch, { learningRate: 0.1 / (1 + i) });
    const { matrix, vector } = await step.parameters();
    path.push([Array.from(matrix!.data, Number), Array.from(vector!.data, Number)]);
  }
  return path;
}

function close(found: readonly number[], expected: readonly number[], place: string): void {
  assert.equal(found.length, expected.length, place);
  found.forEach((a, i) => {
    const b = expected[i]!;
    assert.ok(Math.abs(a - b) <= 3e-6 * Math.max(1, Math.abs(b)), `${place}[${i}]: found ${a}, expected ${b}`);
  });
}
