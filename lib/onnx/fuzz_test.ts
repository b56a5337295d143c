/** A thousand mutants of real files; `deno task fuzz onnx` runs more. */

import assert from "node:assert/strict";
import { fuzzReaders, memoryHeld } from "./fuzz.ts";

Deno.test("a thousand mutated files are read or refused with one OnnxError line each, fast and in bounded memory", () => {
  const before = memoryHeld();
  const report = fuzzReaders({ count: 1000, seed: 2026 });
  assert.deepEqual(report.failures, []);
  assert.equal(report.read + report.refused, 1000);
  assert.ok(report.refused > 500 && report.read > 10, `${report.refused} refused, ${report.read} read`);
  assert.ok(report.memory - before < 512 * 2 ** 20, `grew by ${(report.memory - before) >> 20} MiB`);
});
