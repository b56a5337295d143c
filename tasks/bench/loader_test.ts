/** Tests of loader.ts. */

import assert from "node:assert/strict";
import { benchLoader } from "./loader.ts";

Deno.test("the loader's benchmark measures each size plain and augmented, also without a dataset", async () => {
  const rows = await benchLoader({ dataFolder: "/nowhere", sizes: [16, 24], seconds: 0.15, workers: 1 });
  assert.deepEqual(
    rows.map((row) => row.case),
    [16, 24].flatMap((size) =>
      ["plain", "light augmentation", "full augmentation"].map((name) =>
        `batches at ${size} px, ${name}, drawn pictures`
      )
    ),
  );
  for (const { bench, unit, ours, peers, ratio } of rows) {
    assert.deepEqual([bench, unit], ["data", "img/s"]);
    assert.ok(ours > 0);
    for (const [peer, rate] of Object.entries(peers)) {
      assert.ok(rate > 0 && Math.abs(ratio[peer]! - ours / rate) < 0.02);
    }
  }
  assert.deepEqual(rows.map(({ peers }) => Object.keys(peers).length), [1, 0, 0, 1, 0, 0]);
});
