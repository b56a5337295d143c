/** Tests of infer.ts. */

import assert from "node:assert/strict";
import { benchInfer } from "./infer.ts";

Deno.test("a network has three rows a batch, the rate that of the median run", async () => {
  const rows = await benchInfer({ cases: ["yolov3-tiny-416"], width: 0.125, batches: [1, 2], rounds: 1, runs: 3 });
  assert.deepEqual(rows.map(({ unit }) => unit), ["img/s", "ms", "ms", "img/s", "ms", "ms"]);
  for (const [i, batch] of [1, 2].entries()) {
    const [rate, median, high] = rows.slice(3 * i);
    assert.equal(rate!.case, `yolov3-tiny-416, batch ${batch}, 2 threads`);
    assert.ok(Math.abs(rate!.ours * median!.ours / 1e3 / batch - 1) < 1e-3, `${rate!.ours} ${median!.ours}`);
    assert.ok(high!.ours >= median!.ours);
  }
});

Deno.test("without PyTorch a row has no peer and no ratio", async () => {
  const options = { cases: ["yolov3-tiny-416"], batches: [1], rounds: 1, runs: 3 } as const;
  const [row] = await benchInfer({ ...options, python: "/nowhere/python" });
  assert.deepEqual([row!.bench, row!.peers, row!.ratio], ["infer", {}, {}]);
});
