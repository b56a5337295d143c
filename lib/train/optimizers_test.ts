/** Optimizers against PyTorch's, recorded by tests/peers/record_training.py, on a loss whose gradients are fed: Σ w · c. */

import assert from "node:assert/strict";
import { convolution, linear } from "../models/mod.ts";
import { add, Graph, mul, reduceSum, sum, tensor, toNumbers } from "../onnx/mod.ts";
import {
  adam,
  adamW,
  addDecayedWeights,
  chain,
  clipByGlobalNorm,
  clipByValue,
  compileStep,
  constant,
  lamb,
  lion,
  type Optimizer,
  Random,
  scale,
  scaleByLearningRate,
  sgd,
  trainable,
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

/** Four parameters of a network, their gradients fed, and what decays and learns at rates of its own. */
const PARAMETERS: Readonly<Record<string, { shape: number[]; start: number[]; gradient: number[] }>> = {
  "stem.weight": { shape: [1, 2], start: [2, -4], gradient: [0.5, -1] },
  "stem.bias": { shape: [2], start: [3, 1], gradient: [-0.25, 2] },
  "body.weight": { shape: [2, 1], start: [-1, 5], gradient: [1, 0.125] },
  "head.bias": { shape: [1], start: [8], gradient: [-3] },
};
const GROUPS = {
  weightDecay: 0.1,
  decayGroups: [{ pattern: "stem.weight", rate: 0 }, { pattern: ["head.*", "stem.*"], rate: 0.4 }],
  multipliers: [{ pattern: "stem.*", factor: 0.5 }, { pattern: /weight/, factor: 2 }],
};
/** Of PyTorch's parameter groups that say the same: weight_decay, and lr as a factor of the common one. */
const RATES: Readonly<Record<string, [decay: number, factor: number]>> = {
  "stem.weight": [0, 0.5],
  "stem.bias": [0.4, 0.5],
  "body.weight": [0.1, 2],
  "head.bias": [0.4, 1],
};

function openGroups(optimizer: Optimizer, parameters = PARAMETERS) {
  const graph = new Graph("groups");
  const parts = Object.entries(parameters).map(([name, { shape, start, gradient }]) =>
    reduceSum(
      mul(graph.parameter(name, tensor("float32", shape, start)), graph.constant(tensor("float32", shape, gradient))),
    )
  );
  graph.input("pictures", "float32", [1]);
  graph.output(sum(parts), "sum");
  return compileStep({ model: graph, loss: ({ output }) => output(), optimizer, worker: false, threads: 1 });
}

const noPictures = { pictures: tensor("float32", [1], [0]) };

/** What the parameters are after each of two steps with a rate of 0.1, worked out by a rule for one element. */
async function followGroups(
  optimizer: Optimizer,
  rule: (name: string, gradient: number) => (w: number) => number,
): Promise<void> {
  await using step = await openGroups(optimizer);
  const rules = Object.entries(PARAMETERS).map(([name, { gradient }]) => gradient.map((g) => rule(name, g)));
  const expected = Object.values(PARAMETERS).map(({ start }) => start);
  for (const place of ["first step", "second step"]) {
    await step.run(noPictures, { learningRate: 0.1 });
    const found = await step.parameters();
    Object.keys(PARAMETERS).forEach((name, i) => {
      expected[i] = expected[i]!.map((w, k) => rules[i]![k]!(w));
      close(Array.from(found[name]!.data, Number), expected[i]!, `${name} after the ${place}`);
    });
  }
}

Deno.test("groups of decay and rate in SGD are those of PyTorch's parameter groups: decay goes through the momentum", async () => {
  // torch.optim.SGD: g ← g + λ · w; v ← μ · v + g (v = g at first); w ← w − lr · v
  await followGroups(sgd({ momentum: 0.9, ...GROUPS }), (name, gradient) => {
    const [decay, factor] = RATES[name]!;
    let velocity = 0;
    return (w) => w - 0.1 * factor * (velocity = 0.9 * velocity + gradient + decay * w);
  });
});

Deno.test("groups of decay and rate in AdamW are those of PyTorch's parameter groups: decay is times the group's rate", async () => {
  // torch.optim.AdamW: w ← w − lr · λ · w; w ← w − lr · m̂ / (√v̂ + ε); for a constant gradient m̂ = g and v̂ = g².
  await followGroups(adamW({ ...GROUPS }), (name, gradient) => {
    const [decay, factor] = RATES[name]!;
    return (w) => w * (1 - 0.1 * factor * decay) - 0.1 * factor * gradient / (Math.abs(gradient) + 1e-8);
  });
});

Deno.test("of layers with normalisation only kernels and matrices decay: no biases, no scales", async () => {
  const graph = new Graph("layers"), random = Random.seeded("decay");
  const x = graph.input("x", "float32", [2, 3, 4, 4]);
  const y = convolution(convolution(x, { name: "a", filters: 4, random }), {
    ...{ name: "b", filters: 2, random, batchNormalize: false, bias: constant(0.5) },
  });
  graph.output(linear(y, { name: "head", outputs: 3, random, bias: constant(0.25) }), "logits");
  await using step = await compileStep({
    model: trainable(graph, { batchNormalization: "frozen" }), // so that running statistics stay
    loss: ({ output }) => mul(reduceSum(output()), 0),
    optimizer: adamW({ weightDecay: 0.5 }),
    ...{ worker: false, threads: 1 },
  });
  const before = await step.parameters();
  await step.run({ x: tensor("float32", [2, 3, 4, 4], Array.from({ length: 96 }, (_, i) => i % 7)) }, {
    learningRate: 1,
  });
  const after = await step.parameters();
  const decayed = Object.keys(before).filter((name) => String(before[name]!.data) !== String(after[name]!.data));
  assert.deepEqual(decayed, ["a.weight", "b.weight", "head.weight"]);
  for (const name of decayed) {
    close(toNumbers(after[name]!), toNumbers(before[name]!).map((w) => w / 2), name);
  }
});

Deno.test("a pattern of a group that names no parameter is refused when the step is compiled", async () => {
  const missing = { pattern: "haed.*", rate: 0.1 };
  await assert.rejects(
    openGroups(sgd({ decayGroups: [missing] })),
    /addDecayedWeights: expected a pattern that names a parameter \(such as stem.weight, .*\), found haed\.\*/,
  );
  await assert.rejects(
    openGroups(adam({ multipliers: [{ pattern: /haed/, factor: 2 }] })),
    /scaleByLearningRate: expected a pattern .* found \/haed\//,
  );
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
  assert.throws(() => sgd({ decayGroups: [{ pattern: "*", rate: -1 }] }), TrainError);
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
