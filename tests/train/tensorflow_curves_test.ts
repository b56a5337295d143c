/** Networks that PyTorch's exporters wrote, trained by the second engine, beside the losses recorded from PyTorch. */

import assert from "node:assert/strict";
import { compileTensorFlowStep, crossEntropy, trainable } from "../../lib/train/mod.ts";
import { readRecording, RECORDED_OPTIMIZERS, recordedBatch, recordedGraph } from "./recorded.ts";

/** TensorFlow.js takes a second and more for a step of some of them. */
const STEPS = 4;

for (const [name, network] of Object.entries(await readRecording())) {
  Deno.test(`${name}: TensorFlow.js's first ${STEPS} losses agree with PyTorch's to 1e-4`, async () => {
    const { optimizer, rate } = RECORDED_OPTIMIZERS.sgd;
    await using step = await compileTensorFlowStep({
      model: trainable(await recordedGraph(name), { dropout: false }),
      loss: ({ output, input }) => crossEntropy(output(), input("labels", "int64", ["N"])),
      optimizer,
      backend: "cpu",
    });
    for (const [i, expected] of network.losses.sgd.slice(0, STEPS).entries()) {
      const { loss } = await step.run(recordedBatch(network, i % 4), { learningRate: rate });
      assert.ok(Math.abs(loss - expected) < 1e-4 * expected, `step ${i}: loss ${loss}, PyTorch ${expected}`);
    }
  });
}
