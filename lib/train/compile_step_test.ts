/** The compiled step: its numbers against closed forms, its guard, and its parts together. */

import assert from "node:assert/strict";
import { openSession } from "../runtime/mod.ts";
import {
  add,
  batchNormalization,
  dropout,
  Graph,
  mul,
  reduceMean,
  reduceSum,
  sqrt,
  type Tensor,
  tensor,
  toModel,
  toNumbers,
} from "../onnx/mod.ts";
import { adamW, compileStep, crossEntropy, sgd, trainable } from "./mod.ts";
import { bits, openSmallStep as open, smallBatch, smallNetwork } from "./small_network.ts";

Deno.test("in a worker and on the caller's thread losses and weights are bit-identical", async () => {
  const found: string[] = [];
  for (const worker of [false, true]) {
    await using step = await open({ worker, dropout: 0.3, averageDecay: 0.9, optimizer: adamW() });
    const losses: number[] = [];
    for (let i = 0; i < 5; i++) losses.push((await step.run(smallBatch(i), { learningRate: 0.01 })).loss);
    found.push(losses.join() + await bits(step));
  }
  assert.equal(found[0], found[1]);
});

Deno.test("while a worker computes a step, the caller's thread is free", async () => {
  const turnsDuring = async (worker: boolean) => {
    await using step = await open({ worker });
    const large = smallBatch(0, 20_000);
    await step.run(smallBatch(0), { learningRate: 0.01 });
    let running = true, turns = 0;
    const turn = () => {
      turns++;
      if (running) setTimeout(turn);
    };
    setTimeout(turn);
    await step.run(large, { learningRate: 0.01 });
    running = false;
    return turns;
  };
  const [beside, blocked] = [await turnsDuring(true), await turnsDuring(false)];
  assert.ok(beside > 5 * (blocked + 1), `${beside} turns of the event loop beside the worker, ${blocked} without one`);
});

Deno.test("a step with NaN in the batch changes nothing, bit for bit, says where the NaN was, and the next step is as if it had not been", async () => {
  await using step = await open({ averageDecay: 0.9, optimizer: adamW() });
  await using other = await open({ averageDecay: 0.9, optimizer: adamW() });
  for (const each of [step, other]) await each.run(smallBatch(0), { learningRate: 0.01 });
  const before = await bits(step);
  const bad = smallBatch(1);
  (bad.x!.data as Float32Array)[17] = NaN;
  const result = await step.run(bad, { learningRate: 0.01 });
  assert.equal(result.finite, false);
  assert.match(
    result.problem!,
    /^step 1: expected a finite loss and gradients, found a loss of NaN .*; input "x" holds NaN at place 17; nothing was changed$/,
  );
  assert.equal(await bits(step), before);
  const after = await step.run(smallBatch(2), { learningRate: 0.01 });
  assert.equal(after.finite, true);
  assert.equal(after.problem, undefined);
  assert.equal(after.loss, (await other.run(smallBatch(2), { learningRate: 0.01 })).loss);
  assert.equal(await bits(step), await bits(other));
});

Deno.test("a step beyond a limit of loss or gradients changes nothing, bit for bit; the next step is as if it had not been", async () => {
  for (const [accumulate, worker] of [[1, false], [2, false], [1, true]] as const) {
    const options = { averageDecay: 0.9, optimizer: adamW({ clipNorm: 1 }), accumulate, worker };
    await using step = await open(options);
    await using other = await open(options);
    for (const each of [step, other]) await each.run(smallBatch(0), { learningRate: 0.01 });
    const before = await bits(step);
    const free = await other.run(smallBatch(1), { learningRate: 0 });
    const { loss, gradientNorm } = free; // of the same weights
    for (
      const [limits, message] of [
        [{ lossLimit: 0.99 * loss }, /^step 1: expected a loss up to \d.*, found \d.*; nothing was changed$/],
        [
          { gradientLimit: 0.99 * gradientNorm },
          /^step 2: expected gradients of length up to .*; nothing was changed$/,
        ],
        [{ lossLimit: -Infinity }, /^step 3: expected a loss up to -Infinity, found/],
      ] as const
    ) {
      const found = await step.run(smallBatch(1), { learningRate: 0.01, ...limits });
      assert.deepEqual([found.loss, found.gradientNorm, found.finite, found.applied], [
        loss,
        gradientNorm,
        true,
        false,
      ]);
      assert.match(found.problem!, message);
      assert.equal(await bits(step), before);
    }
    await other.load(await step.state());
    const within = { lossLimit: 1.01 * loss, gradientLimit: 1.01 * gradientNorm };
    const applied = await step.run(smallBatch(1), { learningRate: 0.01, ...within });
    assert.deepEqual(applied, await other.run(smallBatch(1), { learningRate: 0.01 }));
    assert.equal(applied.applied, true);
    assert.equal(await bits(step), await bits(other));
    await assert.rejects(
      step.run(smallBatch(1), { learningRate: 0.01, lossLimit: NaN }),
      /step: lossLimit: expected a number, found NaN/,
    );
  }
});

Deno.test("a NaN does not live on in the statistics of a recomputed normalisation, nor of one that is pooled first", async () => {
  for (const options of [{ recompute: ["activation"] }, { poolFirst: true }, { poolFirst: false }]) {
    await using step = await open(options);
    await using other = await open(options);
    const bad = smallBatch(1);
    (bad.x!.data as Float32Array)[17] = NaN;
    assert.equal((await step.run(bad, { learningRate: 0.01 })).finite, false);
    for (const each of [step, other]) await each.run(smallBatch(2), { learningRate: 0.01 });
    assert.equal(await bits(step), await bits(other), JSON.stringify(options));
  }
});

Deno.test("poolings moved ahead change no loss by more than rounding, and what they replace cannot be recomputed", async () => {
  const losses = async (poolFirst: boolean) => {
    await using step = await open({ poolFirst });
    const found: number[] = [];
    for (let i = 0; i < 8; i++) found.push((await step.run(smallBatch(i), { learningRate: 0.05 })).loss);
    return found;
  };
  const [plain, moved] = [await losses(false), await losses(true)];
  plain.forEach((loss, i) => near(moved[i]!, loss, 1e-5));
  const between = smallNetwork().nodes.find(({ opType }) => opType === "Relu")!.output().name;
  await assert.rejects(open({ recompute: [between], poolFirst: true }), /found that poolFirst took its place/);
});

Deno.test("a gradient that is not finite at a finite loss is found too", async () => {
  const graph = new Graph("root");
  const w = graph.parameter("w", tensor("float32", [2], [0, 4]));
  graph.output(reduceSum(sqrt(w)), "y"); // d√w/dw = ∞ at 0
  await using step = await compileStep({
    model: graph,
    loss: ({ output }) => output(),
    optimizer: sgd(),
    worker: false,
  });
  const result = await step.run({}, { learningRate: 0.1 });
  assert.deepEqual([result.loss, result.gradientNorm, result.finite], [2, Infinity, false]);
  assert.match(result.problem!, /found gradients of length Infinity at a loss of 2/);
  assert.deepEqual(toNumbers((await step.parameters()).w!), [0, 4]);
});

Deno.test("parameters whose gradients read each other are updated from the old values of both", async () => {
  // loss = a · b: a ← a − r b, b ← b − r a. Written one over the other, b would read the new a.
  const graph = new Graph("product");
  const n = 4096;
  const a = graph.parameter("a", tensor("float32", [n], new Array<number>(n).fill(1)));
  const b = graph.parameter("b", tensor("float32", [n], new Array<number>(n).fill(2)));
  graph.output(reduceSum(mul(a, b)), "y");
  await using step = await compileStep({
    model: graph,
    loss: ({ output }) => output(),
    optimizer: sgd(),
    worker: false,
  });
  let [x, y] = [1, 2];
  for (let i = 0; i < 6; i++) {
    await step.run({}, { learningRate: 0.5 });
    [x, y] = [x - 0.5 * y, y - 0.5 * x]; // exact in float32
    const found = await step.parameters();
    assert.ok(toNumbers(found.a!).every((element) => element === x), `a in step ${i}`);
    assert.ok(toNumbers(found.b!).every((element) => element === y), `b in step ${i}`);
  }
});

Deno.test("running statistics follow 0.9 · old + 0.1 · batch with the population variance", async () => {
  const graph = new Graph("norm");
  const x = graph.input("x", "float32", ["N", 2, 3]);
  const each = (value: number) => tensor("float32", [2], [value, value]);
  const y = batchNormalization(
    x,
    graph.parameter("scale", each(1)),
    graph.parameter("bias", each(0)),
    graph.constant(each(0.5), { name: "mean" }),
    graph.constant(each(2), { name: "variance" }),
  );
  graph.output(reduceMean(mul(y, y)), "y");
  const data = Array.from({ length: 4 * 2 * 3 }, (_, i) => Math.sin(i * i) * 3 + i);
  await using step = await compileStep({
    model: graph,
    loss: ({ output }) => output(),
    optimizer: sgd(),
    worker: false,
  });
  await step.run({ x: tensor("float32", [4, 2, 3], data) }, { learningRate: 0.1 });
  const found = await step.parameters();
  for (const channel of [0, 1]) {
    const own = data.filter((_, i) => Math.floor(i / 3) % 2 === channel);
    const mean = own.reduce((p, q) => p + q) / own.length;
    const variance = own.reduce((p, q) => p + (q - mean) ** 2, 0) / own.length;
    near(Number(found.mean!.data[channel]), 0.9 * 0.5 + 0.1 * mean, 1e-6);
    near(Number(found.variance!.data[channel]), 0.9 * 2 + 0.1 * variance, 1e-6);
  }
});

Deno.test("three micro-batches give the step of the whole batch", async () => {
  const frozen = () => trainable(smallNetwork(), { batchNormalization: "frozen" });
  await using whole = await open({ model: frozen() });
  await using parts = await open({ model: frozen(), accumulate: 3 });
  for (let i = 0; i < 3; i++) {
    const expected = await whole.run(smallBatch(i, 12), { learningRate: 0.05 });
    const found = await parts.run(smallBatch(i, 12), { learningRate: 0.05 });
    near(found.loss, expected.loss, 1e-6);
    near(found.gradientNorm, expected.gradientNorm, 1e-6);
  }
  const expected = await whole.parameters(), found = await parts.parameters();
  for (const [name, { data }] of Object.entries(expected)) {
    data.forEach((element, i) => near(Number(found[name]!.data[i]), Number(element), 1e-6));
  }
});

Deno.test("NaN in the second of two micro-batches changes nothing, running statistics included", async () => {
  await using step = await open({ accumulate: 2 });
  await step.run(smallBatch(0), { learningRate: 0.05 });
  const before = await bits(step);
  const second = smallBatch(2);
  (second.x!.data as Float32Array)[0] = Infinity;
  const result = await step.run([smallBatch(1), second], { learningRate: 0.05 });
  assert.equal(result.finite, false);
  assert.equal(await bits(step), before);
  assert.equal((await step.run(smallBatch(3), { learningRate: 0.05 })).finite, true);
});

Deno.test("the moving average of weights and statistics is d · a + (1 − d) · w with d = min(decay, (1 + t) / (10 + t))", async () => {
  await using step = await open({ averageDecay: 0.15 });
  let average = await step.parameters();
  for (let t = 0; t < 4; t++) {
    await step.run(smallBatch(t), { learningRate: 0.05 });
    const d = Math.min(0.15, (1 + t) / (10 + t)), now = await step.parameters();
    average = Object.fromEntries(
      Object.entries(now).map(([name, { dtype, shape, data }]) => {
        const old = average[name]!.data;
        return [name, tensor(dtype, shape, Array.from(data, Number).map((w, i) => d * Number(old[i]) + (1 - d) * w))];
      }),
    );
  }
  const found = await step.parameters({ weights: "average" });
  assert.ok(Object.keys(found).includes("mean"));
  const now = await step.parameters();
  const trained = Object.keys(now).filter((name) => name !== "mean" && name !== "variance");
  const numbers = (of: typeof now) => trained.flatMap((name) => toNumbers(of[name]!));
  const w = numbers(now), a = numbers(average);
  near(await step.averageDistance(), Math.hypot(...w.map((each, i) => a[i]! - each)) / Math.hypot(...w), 1e-5);
  for (const [name, { data }] of Object.entries(average)) {
    data.forEach((element, i) => near(Number(found[name]!.data[i]), Number(element), 1e-6));
  }
  const { x } = smallBatch(9);
  const [current, averaged] = [await step.evaluate({ x: x! }), await step.evaluate({ x: x! }, { weights: "average" })];
  assert.notDeepEqual(current.logits!.data, averaged.logits!.data);
});

Deno.test("frozen parameters stay, and a normalisation whose scale is frozen keeps its statistics", async () => {
  const model = trainable(smallNetwork(), { freeze: ["conv", "scale", "bias"] });
  assert.deepEqual(model.parameters.map(({ name }) => name), ["hidden", "head"]);
  assert.deepEqual(model.statistics, []);
  await using step = await open({ model });
  const { logits: before } = await step.evaluate({ x: smallBatch(0).x! });
  const { loss } = await step.run(smallBatch(0), { learningRate: 0.1 });
  assert.deepEqual(Object.keys(await step.parameters()).sort(), ["head", "hidden"]);
  // With all normalisation by running statistics, the loss in training is the loss of evaluating.
  near(loss, meanCrossEntropy(before!, smallBatch(0).labels!), 1e-6);
  const saved = await step.model();
  for (const name of ["conv", "scale", "bias", "mean", "variance"]) {
    assert.deepEqual(saved.value(name).tensor!.data, smallNetwork().value(name).tensor!.data);
  }
});

Deno.test("the saved model, run by onnxruntime-node, gives what evaluate gives", async () => {
  await using step = await open();
  for (let i = 0; i < 3; i++) await step.run(smallBatch(i), { learningRate: 0.05 });
  const { x } = smallBatch(7);
  const { logits } = await step.evaluate({ x: x! });
  await using session = await openSession(toModel(await step.model()), { threads: 1 });
  const found = await session.run({ x: x! });
  toNumbers(found.logits!).forEach((element, i) => near(element, Number(logits!.data[i]), 1e-5));
});

Deno.test("a state goes back into a fresh step, which goes on bit-identically; another model's is refused and changes nothing", async () => {
  await using step = await open({ averageDecay: 0.9, dropout: 0.2, optimizer: adamW() });
  await using fresh = await open({ averageDecay: 0.9, dropout: 0.2, optimizer: adamW() });
  for (let i = 0; i < 3; i++) await step.run(smallBatch(i), { learningRate: 0.01 });
  await fresh.load(await step.state());
  for (let i = 3; i < 6; i++) {
    const [a, b] = [
      await step.run(smallBatch(i), { learningRate: 0.01 }),
      await fresh.run(smallBatch(i), { learningRate: 0.01 }),
    ];
    assert.deepEqual(a, b);
  }
  assert.equal(await bits(step), await bits(fresh));
  await using plain = await open();
  const before = await bits(plain);
  await assert.rejects(
    plain.load(await step.state()),
    /state: expected a tensor "optimizer\/momentum\/conv", found none/,
  );
  const { tensors } = await plain.state();
  const wrong = { ...tensors, head: tensor("float32", [1], [0]) };
  await assert.rejects(
    plain.load({ step: 0, tensors: wrong }),
    /state: "head": expected float32 \[3, 8\], found float32 \[1\]/,
  );
  const more = { ...tensors, other: tensor("float32", [1], [0]) };
  await assert.rejects(plain.load({ step: 0, tensors: more }), /found "other"/);
  assert.equal(await bits(plain), before);
});

Deno.test("dropout differs from step to step, is the same for the same seed, and is off when evaluating", async () => {
  const losses = async (seed: number) => {
    await using step = await open({ dropout: 0.5, seed });
    const found: number[] = [];
    for (let i = 0; i < 3; i++) found.push((await step.run(smallBatch(0), { learningRate: 0 })).loss);
    return found;
  };
  const [first, again, other] = [await losses(1), await losses(1), await losses(2)];
  assert.deepEqual(first, again);
  assert.notDeepEqual(first, other);
  assert.equal(new Set(first).size, 3);
  await using step = await open({ dropout: 0.5 });
  await using plain = await open();
  const { x } = smallBatch(0);
  assert.deepEqual((await step.evaluate({ x: x! })).logits!.data, (await plain.evaluate({ x: x! })).logits!.data);
});

Deno.test("dropout keeps the mean: over many elements it is 1 within four standard errors", async () => {
  const graph = new Graph("mean");
  const n = 40_000, ratio = 0.25;
  const w = graph.parameter("w", tensor("float32", [1], [1]));
  graph.output(reduceMean(mul(dropout(graph.input("x", "float32", [n]), { ratio }).y, w)), "y");
  await using step = await compileStep({
    model: graph,
    loss: ({ output }) => output(),
    optimizer: sgd(),
    worker: false,
  });
  const { loss } = await step.run({ x: tensor("float32", [n], new Float32Array(n).fill(1)) }, { learningRate: 0 });
  assert.ok(Math.abs(loss - 1) < 4 * Math.sqrt(ratio / (1 - ratio) / n), `mean ${loss}`);
  assert.notEqual(loss, 1);
});

Deno.test("metrics come back beside the loss, and values of the model can be read by name", async () => {
  await using step = await open({
    loss: ({ output, input, value }) => {
      const loss = crossEntropy(output("logits"), input("labels", "int64", ["N"]));
      return { loss, metrics: { twice: add(loss, loss), hidden: value("activation") } };
    },
  });
  const { loss, metrics } = await step.run(smallBatch(0), { learningRate: 0.1 });
  near(Number(metrics.twice), 2 * loss, 1e-6);
  assert.deepEqual((metrics.hidden as Tensor).shape, [6, 8]);
});

Deno.test("recomputing a segment changes no loss", async () => {
  const losses = async (recompute: string[]) => {
    await using step = await open({ recompute });
    const found: number[] = [];
    for (let i = 0; i < 4; i++) found.push((await step.run(smallBatch(i), { learningRate: 0.05 })).loss);
    return found;
  };
  const [plain, recomputed] = [await losses([]), await losses(["activation"])];
  plain.forEach((loss, i) => near(recomputed[i]!, loss, 1e-6));
});

function near(found: number, expected: number, tolerance: number): void {
  assert.ok(
    Math.abs(found - expected) <= tolerance * Math.max(1, Math.abs(expected)),
    `found ${found}, expected ${expected}`,
  );
}

function meanCrossEntropy(logits: Tensor, labels: Tensor): number {
  const [n = 0, classes = 0] = logits.shape, x = toNumbers(logits), ids = toNumbers(labels);
  let sum = 0;
  for (let i = 0; i < n; i++) {
    const row = x.slice(i * classes, (i + 1) * classes);
    sum += Math.log(row.reduce((total, each) => total + Math.exp(each), 0)) - row[ids[i]!]!;
  }
  return sum / n;
}
