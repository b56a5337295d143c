/** Tests of adapters.ts against what Python recorded. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { agreements } from "./adapters.ts";

Deno.test("every adapter gives the logits of its paper's transcription in double precision", async () => {
  const path = fileURLToPath(new URL("../../tests/fixtures/adapters.json", import.meta.url));
  const found = await agreements(path);
  assert.equal(found.length, 8);
  for (const { adapter, difference, sameClass, rows } of found) {
    assert.ok(difference < 1e-4, `${adapter}: ${difference}`);
    assert.equal(sameClass, rows, adapter);
  }
});
