/** Tests of find_learning_rate.ts: a quadratic, on which the largest rate of SGD is known. */

import assert from "node:assert/strict";
import { Graph, matMul, tensor } from "../onnx/mod.ts";
import { Random } from "../runtime/mod.ts";
import type { Batch } from "./batch.ts";
import { compileStep, type Step } from "./compile_step.ts";
import { findLearningRate } from "./find_learning_rate.ts";
import { meanSquaredError } from "./losses/mod.ts";
import { sgd } from "./optimizers.ts";
import { bits, openSmallStep, smallBatch } from "./small_network.ts";

/** (x · w − y)² for one weight that begins at `start`: the curvature is 2 x², so SGD diverges above 1 / x². */
async function openQuadratic(start: number): Promise<Step> {
  const graph = new Graph("quadratic");
  const x = graph.input("x", "float32", [1, 1]);
  const weight = graph.parameter("w", { shape: [1, 1], init: () => Float32Array.of(start) });
  graph.output(matMul(x, weight), "y");
  return await compileStep({
    model: graph,
    loss: ({ output, input }) => meanSquaredError(output("y"), input("target", "float32", [1, 1])),
    optimizer: sgd({ momentum: 0 }),
    worker: false,
    threads: 1,
  });
}

/** Targets that are normal around 0: the loss has a floor, as that of a network. */
function* noisy(x: number): Generator<Batch> {
  const random = Random.seeded("quadratic", x);
  for (;;) yield { x: tensor("float32", [1, 1], [x]), target: tensor("float32", [1, 1], [random.normal()]) };
}

Deno.test("without noise the loss falls at every rate below 2 / L and rises at every one above", async () => {
  await using step = await openQuadratic(1);
  const x = 3, critical = 2 / (2 * x ** 2);
  const batches = function* (): Generator<Batch> {
    for (;;) yield { x: tensor("float32", [1, 1], [x]), target: tensor("float32", [1, 1], [0]) };
  };
  const { rates, losses } = await findLearningRate({
    ...{ step, batches: batches(), lowest: critical / 30, highest: critical * 3, steps: 40, divergence: Infinity },
  });
  assert.equal(rates.length, 40);
  assert.ok(Math.abs(rates[0]! / (critical / 30) - 1) < 1e-9 && Math.abs(rates[39]! / (critical * 3) - 1) < 1e-9);
  for (let i = 0; i + 1 < losses.length; i++) {
    if (losses[i]! < 1e-30) continue; // below what float32 can tell
    assert.equal(
      losses[i + 1]! < losses[i]!,
      rates[i]! < critical,
      `step ${i}, rate ${rates[i]! / critical} of critical`,
    );
  }
});

Deno.test("with noise the divergence is found within a factor of two of 2 / L, whatever the curvature", async () => {
  for (const x of [0.3, 1, 10]) {
    await using step = await openQuadratic(10 / x);
    const critical = 2 / (2 * x ** 2);
    const { diverged, tenth, steepest, smoothed } = await findLearningRate({
      ...{ step, batches: noisy(x), lowest: critical / 1e4, highest: critical * 1e3, steps: 400 },
    });
    assert.ok(diverged! > critical / 2 && diverged! < 2 * critical, `${x}: ${diverged! / critical} of critical`);
    assert.equal(tenth, diverged! / 10);
    assert.ok(smoothed.length < 400, "it stops when it diverges");
    assert.ok(steepest! < critical && steepest! > critical / 1000, `${x}: ${steepest! / critical} of critical`);
  }
});

Deno.test("the step is afterwards as it was, also when a batch does not fit or the signal ends the test", async () => {
  await using step = await openSmallStep();
  const batches = Array.from({ length: 30 }, (_, i) => smallBatch(i));
  for (const batch of batches.slice(0, 3)) await step.run(batch, { learningRate: 0.01 });
  const before = await bits(step);
  const { losses } = await findLearningRate({ step, batches, lowest: 1e-4, steps: 30 });
  assert.ok(losses.length > 10);
  assert.deepEqual([await bits(step), step.step], [before, 3]);
  await assert.rejects(findLearningRate({ step, batches: [batches[0]!, {}] }), /TrainError/);
  const interrupt = new AbortController();
  const cut = await findLearningRate({
    ...{ step, batches, signal: interrupt.signal, onStep: ({ step }) => step === 4 ? interrupt.abort() : undefined },
  });
  assert.equal(cut.rates.length, 5);
  assert.deepEqual([await bits(step), step.step], [before, 3]);
});

Deno.test("a loss that is not finite is a divergence; wrong settings and no batch are refused", async () => {
  await using step = await openQuadratic(1e15);
  const found = await findLearningRate({ step, batches: noisy(1e5), lowest: 1, highest: 10, divergence: Infinity });
  assert.ok(found.diverged !== undefined);
  const wrong: [Parameters<typeof findLearningRate>[0], RegExp][] = [
    [{ step, batches: noisy(1), lowest: 0 }, /expected a lowest rate above 0, found 0/],
    [{ step, batches: noisy(1), lowest: 1, highest: 0.1 }, /expected a highest rate above the lowest, 1, found 0\.1/],
    [{ step, batches: noisy(1), steps: 1 }, /steps from 2, found 1/],
    [{ step, batches: noisy(1), smoothing: 1 }, /smoothing of 0 … 1, less than 1, found 1/],
    [{ step, batches: noisy(1), divergence: 1 }, /divergence above 1, found 1/],
    [{ step, batches: [] }, /expected batches, found none/],
  ];
  for (const [options, message] of wrong) await assert.rejects(findLearningRate(options), message);
});
