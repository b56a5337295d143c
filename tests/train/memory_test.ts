/** A step does not grow. In a process of its own, because the tests of a run share one. */

import assert from "node:assert/strict";

Deno.test("over 1,000 steps the process grows by less than a fiftieth of the weights and states that passed", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", new URL("memory.ts", import.meta.url).pathname],
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  const grown = Number(new TextDecoder().decode(stdout).trim());
  const kept = 1000 * 3 * 256 * 256 * 4; // 786 MB: weights and both moments, 1,000 times
  assert.ok(grown < kept / 50, `${grown} bytes`);
});
