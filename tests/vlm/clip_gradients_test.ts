/** Gradients of exported CLIPs against autograd's, recorded by `python tests/peers/record_clip.py tests/fixtures/clip_export`. */

import assert from "node:assert/strict";
import { compareClip, readClipRecording } from "./recorded_clip.ts";

const recording = await readClipRecording();

for (const [name, network] of Object.entries(recording.networks)) {
  Deno.test(`${name}: loss and gradients of all weights of both exported towers are autograd's to 2e-5`, async () => {
    const found = await compareClip(name, recording);
    assert.ok(Math.abs(found.loss - found.expectedLoss) < 1e-5, `loss ${found.loss}, autograd ${found.expectedLoss}`);
    assert.ok(found.embeddings < 1e-5, `embeddings differ by ${found.embeddings}`);
    for (const [weight, difference] of Object.entries(found.gradients)) {
      assert.ok(difference < 2e-5, `gradient of ${weight} differs by ${difference}`);
    }
    assert.deepEqual(network.missing, { text: [], image: [] });
    assert.equal(Object.keys(found.gradients).length, network.parameters.text + network.parameters.image);
    assert.deepEqual(found.overlooked, [], "findWeights takes every one of them for a weight");
  });
}

for (const name of Object.keys(recording.networks)) {
  Deno.test(`${name}: they are the same where the graph does not know how many rows it will be fed`, async () => {
    const { gradients } = await compareClip(name, recording, { open: true });
    for (const [weight, difference] of Object.entries(gradients)) {
      assert.ok(difference < 2e-5, `gradient of ${weight} differs by ${difference}`);
    }
  });
}

Deno.test("a CLIP of each of PyTorch's exporters is recorded, and both losses", () => {
  assert.deepEqual(Object.keys(recording.networks), ["huggingface", "openai"]);
  assert.deepEqual(Object.values(recording.networks).map(({ objective }) => objective), ["classes", "pairs"]);
});
