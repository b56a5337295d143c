/** The penalty of Network Slimming against its closed form. */

import assert from "node:assert/strict";
import { Random, tensor, toNumbers } from "../../runtime/mod.ts";
import { compileStep, sgd } from "../../train/mod.ts";
import { trainingConfigSchema } from "../config.ts";
import { buildTask } from "./task.ts";

const config = (loss: Record<string, unknown>) =>
  trainingConfigSchema.parse({
    name: "sparse",
    model: { family: "residual", width: 0.125, depth: 0.5, size: 32 },
    loss,
    optimizer: { name: "sgd" },
    schedule: { kind: "constant", learningRate: 0.1 },
    training: { epochs: 1, batch: 4, monitor: "top1" },
  });

/** The weights after one step of plain gradient descent, and what the step told; the first scale's elements start as ±0.5. */
async function stepped(loss: Record<string, unknown>) {
  const task = buildTask(config(loss), { classes: 3, seed: 5 }), { graph } = task, random = Random.seeded("sparsity");
  const scale = graph.value("stem0.scale"), channels = scale.staticShape[0]!;
  graph.setTensor(
    scale,
    tensor("float32", [channels], Float32Array.from({ length: channels }, (_, i) => i % 2 ? 0.5 : -0.5)),
  );
  const images = tensor("float32", [4, 3, 32, 32], Float32Array.from({ length: 4 * 3 * 1024 }, () => random.normal()));
  const targets = tensor("float32", [4, 3], [1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0]);
  await using step = await compileStep({
    model: graph,
    loss: task.loss,
    optimizer: sgd({ momentum: 0 }),
    worker: false,
    threads: 1,
  });
  const result = await step.run({ images, targets }, { learningRate: 0.1 });
  const all = graph.initialisers.filter(({ name }) => name.endsWith(".scale"));
  const sum = all.flatMap((value) => toNumbers(value.tensor!)).reduce((total, each) => total + Math.abs(each), 0);
  return { result, sum, weights: await step.parameters() };
}

Deno.test("sparsity adds λ Σ|γ| to the loss, and λ · sign(γ) to the gradients of scales alone", async () => {
  const plain = await stepped({}), sparse = await stepped({ sparsity: 0.01 });
  assert.ok(Math.abs(sparse.result.loss - plain.result.loss - 0.01 * plain.sum) < 1e-4);
  assert.ok(Math.abs(Number(sparse.result.metrics.sparsity) - plain.sum) < 1e-3);
  for (const [name, content] of Object.entries(plain.weights)) {
    const before = toNumbers(content), after = toNumbers(sparse.weights[name]!);
    const signs = name === "stem0.scale"
      ? before.map((_, i) => i % 2 ? 1 : -1)
      : before.map(() => name.endsWith(".scale") ? 1 : 0);
    // A step of 0.1 against a gradient of 0.01 · sign(γ).
    after.forEach((each, i) => assert.ok(Math.abs(each - before[i]! + 0.001 * signs[i]!) < 1e-6, `${name} ${i}`));
  }
});
