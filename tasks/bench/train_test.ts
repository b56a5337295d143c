/** Tests of train.ts. */

import assert from "node:assert/strict";
import { buildBatch, buildYolo, NETWORKS } from "./networks.ts";
import { benchTrain, compileCase } from "./train.ts";

Deno.test("a benchmark step learns: the loss of its batch falls from ln 1025 and more to below half in 8 steps", async () => {
  await using step = await compileCase("cnn-96", { worker: false, threads: 2 });
  const batch = buildBatch(NETWORKS["cnn-96"]);
  const run = async () => (await step.run(batch, { learningRate: 0.01 })).loss;
  const first = await run();
  assert.ok(first > 6 && first < 12, `${first}`);
  let last = first;
  for (let i = 0; i < 7; i++) last = await run();
  assert.ok(last < first / 2, `${first} to ${last}`);
});

Deno.test("without PyTorch a row has no peer and no ratio", async () => {
  const rows = await benchTrain({ cases: ["vit-64"], rounds: 1, steps: 1, python: "/nowhere/python", large: false });
  assert.deepEqual(rows.map(({ bench, unit }) => [bench, unit]), [["train", "img/s"], ["train", "ms"]]);
  for (const { ours, peers, ratio, case: name } of rows) {
    assert.ok(ours > 0 && name.startsWith("vit-64, batch 32"), name);
    assert.deepEqual([peers, ratio], [{}, {}]);
  }
  const [rate, time] = rows;
  assert.ok(Math.abs(rate!.ours * time!.ours / 1e3 / 32 - 1) < 1e-3, "both are of the same step");
});

Deno.test("the YOLOv3 that is compiled has 75 convolutions and three maps of 13, 26 and 52 places a side", () => {
  const graph = buildYolo();
  assert.equal(graph.nodes.filter(({ opType }) => opType === "Conv").length, 75);
  assert.deepEqual(graph.outputs.map(({ shape }) => shape), [[1, 3090, 13, 13], [1, 3090, 26, 26], [1, 3090, 52, 52]]);
});
