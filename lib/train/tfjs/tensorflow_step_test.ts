/** Whole networks trained by TensorFlow.js with its own gradients, beside the step on ONNX Runtime with ours. */

import assert from "node:assert/strict";
import { stopGradient } from "../../autodiff/mod.ts";
import {
  add,
  averagePool,
  batchNormalization,
  cast,
  conv,
  convTranspose,
  flatten,
  gelu,
  gemm,
  globalAveragePool,
  Graph,
  greater,
  layerNormalization,
  less,
  matMul,
  maxPool,
  mul,
  or,
  reduceMean,
  relu,
  reshape,
  resize,
  softmax,
  tensor,
  toNumbers,
  transpose,
  type Value,
} from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import {
  adamW,
  type Batch,
  compileStep,
  compileTensorFlowStep,
  constant,
  crossEntropy,
  kaimingNormal,
  type Optimizer,
  sgd,
  type StepOptions,
} from "../mod.ts";
import { smallBatch, smallNetwork } from "../small_network.ts";

const loss: StepOptions["loss"] = ({ output, input }) =>
  crossEntropy(output("logits"), input("labels", "int64", ["N"]));

/** Weights by name, drawn once for a network. */
class Weights {
  readonly #random: Random;
  #count = 0;

  constructor(readonly graph: Graph) {
    this.#random = Random.seeded("tfjs", graph.name);
  }

  kernel(...shape: number[]): Value {
    return this.graph.parameter(`kernel${this.#count++}`, { shape, init: kaimingNormal(this.#random) });
  }

  vector(length: number, value: number): Value {
    return this.graph.parameter(`vector${this.#count++}`, { shape: [length], init: constant(value) });
  }

  normalised(x: Value): Value {
    const channels = x.shape[1] as number;
    const running = (value: number) =>
      this.graph.constant(tensor("float32", [channels], new Array<number>(channels).fill(value)), {
        name: `running${this.#count++}`,
      });
    return batchNormalization(x, this.vector(channels, 1), this.vector(channels, 0), running(0), running(1));
  }
}

/** A stem, strided, grouped, depthwise and dilated convolutions around two sums, average pooling. */
function residual(): Graph {
  const graph = new Graph("residual"), layers = new Weights(graph);
  let x = relu(
    layers.normalised(conv(graph.input("x", "float32", ["N", 1, 8, 8]), layers.kernel(4, 1, 3, 3), { pads: 1 })),
  );
  x = add(x, layers.normalised(conv(x, layers.kernel(4, 2, 3, 3), { pads: 1, group: 2 })));
  const short = conv(x, layers.kernel(8, 4, 1, 1), { strides: 2, bias: layers.vector(8, 0.1) });
  const wide = conv(x, layers.kernel(8, 1, 3, 3), { pads: [0, 0, 1, 1], strides: 2, group: 4 });
  x = relu(add(short, layers.normalised(wide)));
  x = add(x, conv(x, layers.kernel(8, 8, 3, 3), { pads: 2, dilations: 2 }));
  x = averagePool(x, 3, { strides: 2, pads: 1, ceilMode: true });
  graph.output(gemm(flatten(globalAveragePool(x)), layers.kernel(8, 3), layers.vector(3, 0)), "logits");
  return graph;
}

/** Down and up again: overlapping maxima, transposed convolution, linear resizing. */
function hourglass(): Graph {
  const graph = new Graph("hourglass"), layers = new Weights(graph);
  const x = conv(graph.input("x", "float32", ["N", 1, 8, 8]), layers.kernel(4, 1, 3, 3), { pads: 1 });
  const low = maxPool(x, 3, { strides: 2, pads: 1 });
  const up = convTranspose(low, layers.kernel(4, 4, 3, 3), { strides: 2, pads: 1, outputPadding: 1 });
  const large = resize(low, { scales: [1, 1, 2, 2], mode: "linear" });
  const joined = globalAveragePool(add(relu(add(up, large)), x));
  graph.output(gemm(flatten(joined), layers.kernel(4, 3), layers.vector(3, 0)), "logits");
  return graph;
}

function perceptron(): Graph {
  const graph = new Graph("perceptron"), layers = new Weights(graph);
  const x = flatten(graph.input("x", "float32", ["N", 1, 8, 8]));
  const hidden = relu(gemm(x, layers.kernel(64, 16), layers.vector(16, 0)));
  graph.output(gemm(hidden, layers.kernel(16, 3), layers.vector(3, 0)), "logits");
  return graph;
}

/** One block of attention over the rows of the picture. */
function attention(): Graph {
  const graph = new Graph("attention"), layers = new Weights(graph);
  const norm = (x: Value) => layerNormalization(x, layers.vector(8, 1), layers.vector(8, 0));
  let x = reshape(graph.input("x", "float32", ["N", 1, 8, 8]), [-1, 8, 8]);
  const tokens = norm(x);
  const [q, k, v] = [0, 1, 2].map(() => matMul(tokens, layers.kernel(8, 8)));
  x = add(x, matMul(softmax(mul(matMul(q!, transpose(k!, [0, 2, 1])), Math.sqrt(1 / 8))), v!));
  x = add(x, matMul(gelu(matMul(norm(x), layers.kernel(8, 16))), layers.kernel(16, 8)));
  graph.output(gemm(reduceMean(x, { axes: [1] }), layers.kernel(8, 3), layers.vector(3, 0)), "logits");
  return graph;
}

const NETWORKS: Readonly<Record<string, () => Graph>> = {
  "a CNN with batch normalisation": smallNetwork,
  "a residual network": residual,
  "an hourglass": hourglass,
  "a perceptron": perceptron,
  "an attention block": attention,
};

async function both(model: Graph, optimizer: Optimizer, options: Partial<StepOptions> = {}) {
  const { averageDecay, accumulate, seed } = options;
  const shared = {
    model,
    loss,
    optimizer,
    ...(averageDecay === undefined ? {} : { averageDecay }),
    ...(accumulate === undefined ? {} : { accumulate }),
    ...(seed === undefined ? {} : { seed }),
  };
  const ours = await compileStep({ ...shared, worker: false, threads: 1 });
  const theirs = await compileTensorFlowStep({ ...shared, backend: "cpu" });
  return {
    ours,
    theirs,
    async [Symbol.asyncDispose]() {
      await ours.dispose();
      await theirs.dispose();
    },
  };
}

type Named = Readonly<Record<string, { readonly data: unknown }>>;

/** The largest difference of two tensors' elements beside the largest element, over all names. */
function worstDifference(found: Named, expected: Named): number {
  return Math.max(
    ...Object.entries(expected).map(([name, { data }]) => {
      const a = data as Float32Array, b = found[name]!.data as Float32Array;
      const scale = Math.max(1e-3, ...a.map(Math.abs));
      return Math.max(...a.map((element, i) => Math.abs(element - b[i]!))) / scale;
    }),
  );
}

for (const [name, build] of Object.entries(NETWORKS)) {
  Deno.test(`${name}: TensorFlow.js gives the same loss, gradients and statistics`, async () => {
    const model = build();
    await using steps = await both(model, sgd());
    const before = await steps.ours.parameters();
    const [ours, theirs] = [
      await steps.ours.run(smallBatch(0), { learningRate: 1 }),
      await steps.theirs.run(smallBatch(0), { learningRate: 1 }),
    ];
    assert.ok(Math.abs(ours.loss - theirs.loss) < 1e-5 * Math.abs(ours.loss), `loss ${ours.loss} and ${theirs.loss}`);
    assert.ok(Math.abs(ours.gradientNorm - theirs.gradientNorm) < 1e-4 * ours.gradientNorm);
    // With plain descent at rate 1 the change is the gradient.
    const change = (after: Awaited<typeof before>) =>
      Object.fromEntries(
        Object.entries(after).map(([key, { data }]) => {
          const start = before[key]!.data as Float32Array;
          return [key, { data: (data as Float32Array).map((element, i) => element - start[i]!) }];
        }),
      );
    const worst = worstDifference(
      change(await steps.theirs.parameters()),
      change(await steps.ours.parameters()),
    );
    assert.ok(worst < 2e-4, `gradients differ by ${worst} of the largest`);
  });

  Deno.test(`${name}: 20 steps of descent follow the same curve on both engines`, async () => {
    await using steps = await both(build(), sgd({ momentum: 0.9 }));
    const losses: number[] = [];
    for (let i = 0; i < 20; i++) {
      const batch = smallBatch(i % 4);
      const ours = await steps.ours.run(batch, { learningRate: 0.01 });
      const theirs = await steps.theirs.run(batch, { learningRate: 0.01 });
      assert.ok(Math.abs(ours.loss - theirs.loss) < 1e-3 * ours.loss, `step ${i}: ${ours.loss} and ${theirs.loss}`);
      losses.push(theirs.loss);
    }
    assert.ok(losses.at(-1)! < losses[0]!, `losses ${losses.join(", ")}`);
    const [ours, theirs] = [await steps.ours.evaluate(onlyPictures(9)), await steps.theirs.evaluate(onlyPictures(9))];
    assert.ok(worstDifference(theirs, ours) < 1e-2);
  });
}

function onlyPictures(number: number): Batch {
  return { x: smallBatch(number).x! };
}

Deno.test("AdamW with dropout, a moving average and micro-batches gives the same weights on both engines", async () => {
  await using steps = await both(smallNetwork(0.5), adamW({ clipNorm: 1 }), {
    averageDecay: 0.9,
    accumulate: 2,
    seed: 5,
  });
  for (let i = 0; i < 10; i++) {
    const ours = await steps.ours.run(smallBatch(i), { learningRate: 0.01 });
    const theirs = await steps.theirs.run(smallBatch(i), { learningRate: 0.01 });
    assert.ok(Math.abs(ours.loss - theirs.loss) < 1e-3 * ours.loss, `step ${i}: ${ours.loss} and ${theirs.loss}`);
  }
  for (const weights of ["current", "average"] as const) {
    const worst = worstDifference(await steps.theirs.parameters({ weights }), await steps.ours.parameters({ weights }));
    assert.ok(worst < 2e-3, `${weights} weights differ by ${worst} of the largest`);
  }
});

Deno.test("training begun on ONNX Runtime goes on in TensorFlow.js from the same state", async () => {
  await using steps = await both(smallNetwork(), adamW());
  for (let i = 0; i < 3; i++) await steps.ours.run(smallBatch(i), { learningRate: 0.01 });
  await steps.theirs.load(await steps.ours.state());
  assert.equal(steps.theirs.step, 3);
  const ours = await steps.ours.run(smallBatch(3), { learningRate: 0.01 });
  const theirs = await steps.theirs.run(smallBatch(3), { learningRate: 0.01 });
  assert.ok(Math.abs(ours.loss - theirs.loss) < 1e-5 * ours.loss, `${ours.loss} and ${theirs.loss}`);
  assert.ok(worstDifference(await steps.theirs.parameters(), await steps.ours.parameters()) < 1e-4);
});

Deno.test("a step with NaN in the batch, or beyond a limit, changes nothing in TensorFlow.js either", async () => {
  await using step = await compileTensorFlowStep({ model: smallNetwork(), loss, optimizer: adamW(), backend: "cpu" });
  await step.run(smallBatch(0), { learningRate: 0.01 });
  const spell = async () =>
    JSON.stringify(Object.entries((await step.state()).tensors).map(([name, content]) => [name, toNumbers(content)]));
  const before = await spell();
  const bad = smallBatch(1);
  (bad.x!.data as Float32Array)[17] = NaN;
  const { finite, problem } = await step.run(bad, { learningRate: 0.01 });
  assert.equal(finite, false);
  assert.match(problem!, /input "x" holds NaN at place 17; nothing was changed/);
  assert.equal(await spell(), before);
  for (const limits of [{ lossLimit: 0.01 }, { gradientLimit: 0.001 }]) {
    const beyond = await step.run(smallBatch(1), { learningRate: 0.01, ...limits });
    assert.deepEqual([beyond.finite, beyond.applied], [true, false]);
    assert.equal(await spell(), before);
  }
});

Deno.test("TensorFlow.js holds no more tensors after ten steps than after two", async () => {
  const tf = await import("@tensorflow/tfjs");
  await using step = await compileTensorFlowStep({
    model: smallNetwork(0.5),
    loss,
    optimizer: adamW(),
    averageDecay: 0.9,
  });
  const counts: number[] = [];
  for (let i = 0; i < 10; i++) {
    await step.run(smallBatch(i), { learningRate: 0.01 });
    await step.evaluate(onlyPictures(i));
    counts.push(tf.memory().numTensors);
  }
  assert.equal(counts[9], counts[1]);
});

Deno.test("stopGradient stops TensorFlow.js's gradient, and a parameter that the loss does not read stays", async () => {
  const graph = new Graph("stopped");
  const a = graph.parameter("a", tensor("float32", [2], [1, 2]));
  const b = graph.parameter("b", tensor("float32", [2], [3, 4]));
  graph.output(mul(a, graph.parameter("c", tensor("float32", [2], [5, 6]))), "beside");
  graph.output(reduceMean(mul(a, stopGradient(b)), { axes: [0] }), "y");
  await using step = await compileTensorFlowStep({
    model: graph,
    loss: ({ output }) => output("y"),
    optimizer: sgd(),
    backend: "cpu",
  });
  const { loss: found } = await step.run({}, { learningRate: 2 });
  assert.equal(found, 5.5); // (1 · 3 + 2 · 4) / 2
  const weights = Object.fromEntries(
    Object.entries(await step.parameters()).map(([key, each]) => [key, toNumbers(each)]),
  );
  assert.deepEqual(weights, { a: [-2, -2], b: [3, 4], c: [5, 6] });
});

Deno.test("truth values made of weights, joined by a logical operator, have no gradient and stop none beside them", async () => {
  const graph = new Graph("logical");
  const a = graph.parameter("a", tensor("float32", [2], [1, 2]));
  const large = or(greater(a, 1.5), less(a, 0));
  graph.output(reduceMean(mul(a, cast(large, "float32")), { axes: [0] }), "y");
  await using step = await compileTensorFlowStep({
    model: graph,
    loss: ({ output }) => output("y"),
    optimizer: sgd(),
    backend: "cpu",
  });
  const { loss: found } = await step.run({}, { learningRate: 2 });
  assert.equal(found, 1); // (1 · 0 + 2 · 1) / 2
  assert.deepEqual(toNumbers((await step.parameters())["a"]!), [1, 1]); // the gradient is (0, ½)
});

Deno.test("the engine says which TensorFlow.js it picked and why not a faster one", async () => {
  await using step = await compileTensorFlowStep({ model: perceptron(), loss, optimizer: sgd(), backend: "cpu" });
  assert.deepEqual(
    { ...step.engine },
    { backend: "cpu", package: "@tensorflow/tfjs", version: "4.22.0", skipped: {} },
  );
  await using picked = await compileTensorFlowStep({ model: perceptron(), loss, optimizer: sgd() });
  const { backend, skipped } = picked.engine;
  const passed = ["node-gpu", "node", "webgpu", "cpu"];
  assert.deepEqual(Object.keys(skipped), passed.slice(0, passed.indexOf(backend)));
  for (const cause of Object.values(skipped)) assert.match(cause, /tfjs/);
});

Deno.test("an operator that TensorFlow.js lacks is named in one line", async () => {
  const graph = new Graph("lacking");
  const x = graph.input("x", "float32", ["N", 1, 8, 8]);
  const w = graph.parameter("w", tensor("float32", [1], [1]));
  graph.output(graph.node("LRN", [mul(x, w)], { size: 3 }, { name: "local" })[0]!, "logits");
  await assert.rejects(
    compileTensorFlowStep({ model: graph, loss: ({ output }) => output(), optimizer: sgd(), backend: "cpu" }),
    /^TrainError: graph "lacking": expected operators that TensorFlow\.js runs, found LRN \(first in LRN "local"\)$/,
  );
});

Deno.test("a backend that is not installed fails in one line", async () => {
  await assert.rejects(
    compileTensorFlowStep({ model: perceptron(), loss, optimizer: sgd(), backend: "node-gpu" }),
    /^TrainError: TensorFlow\.js: expected a backend that starts, found node-gpu: .*@tensorflow\/tfjs-node-gpu/,
  );
});
