/** Tests of train.ts. */

import assert from "node:assert/strict";
import { benchTrain, compileBenchStep } from "./train.ts";

Deno.test("a benchmark step learns: the loss of its batch falls from ln 1025 and more to below half in 8 steps", async () => {
  const step = await compileBenchStep("cnn-96", 2);
  try {
    const first = await step.run();
    assert.ok(first > 6 && first < 12, `${first}`);
    let last = first;
    for (let i = 0; i < 7; i++) last = await step.run();
    assert.ok(last < first / 2, `${first} to ${last}`);
  } finally {
    await step.release();
  }
});

Deno.test("without PyTorch the row has no peer and no ratio", async () => {
  const [row] = await benchTrain({ cases: ["vit-64"], rounds: 1, steps: 1, python: "/nowhere/python" });
  assert.deepEqual([row!.bench, row!.case, row!.unit], ["train", "vit-64", "img/s"]);
  assert.deepEqual([row!.peers, row!.ratio], [{}, {}]);
  assert.ok(row!.ours > 0);
});
