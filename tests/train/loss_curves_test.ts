/** Loss curves against PyTorch's, on networks that its exporters wrote: trainable, gradients, optimizers and step together. */

import assert from "node:assert/strict";
import { findWeights, trainable } from "../../lib/train/mod.ts";
import {
  largestDifference,
  type OptimizerName,
  ourLosses,
  readRecording,
  recordedBatch,
  recordedGraph,
  recordedStep,
} from "./recorded.ts";

const recording = await readRecording();

Deno.test("the recording has a network of each kind, by both of PyTorch's exporters", async () => {
  assert.deepEqual(Object.keys(recording), ["cnn", "residual", "mobilenet", "vit", "text"]);
  const opTypes = async (name: string) => new Set((await recordedGraph(name)).nodes.map((node) => node.opType));
  // The newer exporter, left unoptimised, writes CastLike; the older never does.
  assert.ok((await opTypes("mobilenet")).has("CastLike") && !(await opTypes("vit")).has("CastLike"));
});

for (const [name, network] of Object.entries(recording)) {
  Deno.test(`${name}: the weights found in the exported file are PyTorch's parameters`, async () => {
    const { parameters, statistics } = trainable(await recordedGraph(name));
    const found = Object.fromEntries(parameters.map((value) => [value.name, value.shape]));
    assert.deepEqual(Object.keys(found).sort(), Object.keys(network.parameters).sort());
    assert.deepEqual(found, Object.fromEntries(Object.keys(found).map((key) => [key, network.parameters[key]])));
    assert.ok(statistics.every((value) => /running_(mean|var)$/.test(value.name)));
    assert.ok(findWeights(await recordedGraph(name)).length > 0);
  });

  Deno.test(`${name}: evaluating the exported file gives PyTorch's outputs`, async () => {
    await using step = await recordedStep(name, "sgd");
    const { logits } = await step.evaluate({ x: recordedBatch(network, 0).x! });
    Array.from(logits!.data as Float32Array).forEach((found, i) => {
      assert.ok(Math.abs(found - network.outputs[i]!) < 2e-5, `output ${i}: ${found}, PyTorch ${network.outputs[i]}`);
    });
  });

  for (const [key, expected] of Object.entries(network.losses)) {
    Deno.test(`${name} with ${key}: 50 losses agree with PyTorch's to 1e-3`, async () => {
      const found = await ourLosses(name, network, key as OptimizerName);
      const difference = largestDifference(found, expected);
      assert.ok(difference < 1e-3, `largest relative difference ${difference}`);
      assert.ok(
        expected.length >= 50 && expected.at(-1)! < 0.9 * expected[0]!,
        "the recording is of 50 steps that learn",
      );
    });
  }
}
