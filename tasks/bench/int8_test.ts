/** Tests of int8.ts. */

import assert from "node:assert/strict";
import { benchInt8 } from "./int8.ts";

Deno.test("int8 stands beside float32, rate and time of the same run", async () => {
  const rows = await benchInt8({ batches: [2], size: 32, width: 0.25, rounds: 1, runs: 3 });
  assert.deepEqual(rows.map(({ unit }) => unit), ["img/s", "ms"]);
  const [rate, time] = rows;
  assert.ok(Math.abs(rate!.ours * time!.ours / 2000 - 1) < 1e-3, `${rate!.ours} ${time!.ours}`);
  assert.ok(Math.abs(rate!.ratio.float32! * time!.ratio.float32! - 1) < 1e-2);
});
