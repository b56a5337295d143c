/** Tests of adapters.ts. */

import assert from "node:assert/strict";
import { benchAdapters } from "./adapters.ts";

Deno.test("an adapter has one row, in seconds, under the size that was asked for", async () => {
  const sizes = { pictures: 60, validation: 20, classes: 10, dimension: 16, threads: 1 };
  const rows = await benchAdapters({ ...sizes, adapters: ["gda", "lp++"] });
  assert.deepEqual(rows.map(({ case: title, unit }) => `${title}: ${unit}`), [
    "gda, 60 x 16, 10 classes, 1 threads: s",
    "lp++, 60 x 16, 10 classes, 1 threads: s",
  ]);
  assert.ok(rows.every(({ ours }) => ours > 0 && ours < 60));
});
