/** Loss curves against PyTorch's, on networks that its exporters wrote: trainable, gradients, optimizers and step together. */

import assert from "node:assert/strict";
import { compileStep, crossEntropy, trainable } from "./mod.ts";
import { readRecording, RECORDED_OPTIMIZERS, recordedBatch, recordedGraph } from "./recorded.ts";

const recording = await readRecording();

for (const [name, network] of Object.entries(recording)) {
  Deno.test(`${name}: evaluating the exported file gives PyTorch's outputs`, async () => {
    const model = trainable(await recordedGraph(name), { dropout: false });
    await using step = await compileStep({
      model,
      loss: ({ output, input }) => crossEntropy(output(), input("labels", "int64", ["N"])),
      optimizer: RECORDED_OPTIMIZERS.sgd.optimizer,
      worker: false,
      threads: 1,
    });
    const { logits } = await step.evaluate({ x: recordedBatch(network, 0).x! });
    Array.from(logits!.data as Float32Array).forEach((found, i) => {
      assert.ok(Math.abs(found - network.outputs[i]!) < 2e-5, `output ${i}: ${found}, PyTorch ${network.outputs[i]}`);
    });
  });

  for (const [key, { optimizer, rate }] of Object.entries(RECORDED_OPTIMIZERS)) {
    Deno.test(`${name} with ${key}: 50 losses agree with PyTorch's to 1e-4`, async () => {
      const losses = network.losses[key as keyof typeof network.losses];
      const model = trainable(await recordedGraph(name), { dropout: false });
      await using step = await compileStep({
        model,
        loss: ({ output, input }) => crossEntropy(output(), input("labels", "int64", ["N"])),
        optimizer,
        worker: false,
        threads: 1,
      });
      let worst = 0;
      for (const [i, expected] of losses.entries()) {
        const { loss } = await step.run(recordedBatch(network, i % 4), { learningRate: rate });
        const difference = Math.abs(loss - expected) / expected;
        worst = Math.max(worst, difference);
        assert.ok(difference < 1e-4, `step ${i}: loss ${loss}, PyTorch ${expected}`);
      }
      assert.ok(losses.length >= 50 && losses.at(-1)! < losses[0]!, "the recording is of 50 steps that learn");
      if (Deno.env.has("VERBOSE")) console.log(worst);
    });
  }
}
