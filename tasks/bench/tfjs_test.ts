/** Tests of tfjs.ts. */

import assert from "node:assert/strict";
import { benchTensorFlow } from "./tfjs.ts";

Deno.test("the rows beside TensorFlow.js hold pictures a second of both and their ratio", async () => {
  const rows = await benchTensorFlow({ size: 16, batch: 4, widths: [4, 8], threads: 1 });
  assert.deepEqual(rows.map(({ peers }) => Object.keys(peers)), [["tfjs-cpu"], ["tfjs-wasm"]]);
  for (const { bench, unit, ours, peers, ratio } of rows) {
    assert.deepEqual([bench, unit], ["tfjs", "img/s"]);
    for (const [peer, value] of Object.entries(peers)) {
      assert.ok(ours > 0 && value > 0);
      assert.ok(Math.abs(ratio[peer]! - ours / value) < 0.01 * ratio[peer]!);
    }
  }
});
