/** Tests of train.ts. */

import assert from "node:assert/strict";
import { yoloV3Tiny } from "../../lib/models/mod.ts";
import { Random } from "../../lib/runtime/mod.ts";
import { CASES, detector, type TrainCaseParts } from "./networks.ts";
import { benchTrain, compileCase } from "./train.ts";

async function losses(parts: TrainCaseParts, learningRate: number, steps: number): Promise<number[]> {
  await using step = await compileCase(parts, { worker: false, threads: 2 });
  const found: number[] = [];
  for (let i = 0; i < steps; i++) found.push((await step.run(parts.feed, { learningRate })).loss);
  return found;
}

Deno.test("a benchmark step learns: the loss of its batch falls from ln 1025 and more to below half in 8 steps", async () => {
  const [first = 0, ...others] = await losses(CASES["cnn-96"].build(32), 0.01, 8);
  assert.ok(first > 6 && first < 12, `${first}`);
  assert.ok(others.at(-1)! < first / 2, `${first} to ${others.at(-1)}`);
});

Deno.test("the step of a detector learns the boxes of the benchmark: its loss falls in every one of 6 steps", async () => {
  const network = yoloV3Tiny({ classes: 5, size: 96, width: 0.25, batch: 2, random: Random.seeded("tiny") });
  const found = await losses(detector(2, network), 1e-3, 6);
  assert.ok(found.every((loss, i) => i === 0 || loss < found[i - 1]!), found.join(", "));
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
