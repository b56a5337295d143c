/** Tests of search.ts. */

import assert from "node:assert/strict";
import { bestTrial, judge } from "./search.ts";

Deno.test("judge counts first places and takes the mean cross-entropy", () => {
  const ln3 = Math.log(3);
  // softmax (3/4, 1/4), (1/4, 3/4), and equal scores, of which the first class counts
  const { top1, loss } = judge(
    { shape: [3, 2], data: Float32Array.of(ln3, 0, 100, 100 + ln3, 7, 7) },
    Int32Array.of(0, 0, 1),
  );
  assert.equal(top1, 1 / 3);
  assert.ok(Math.abs(loss - (Math.log(4 / 3) + Math.log(4) + Math.log(2)) / 3) < 1e-5, `${loss}`);
});

Deno.test("of trials with equal top-1 the one with less loss is best, then the first", () => {
  const trial = (a: number, top1: number, loss: number) => ({ settings: { a }, top1, loss });
  const best = bestTrial([trial(1, 0.5, 0.1), trial(2, 0.6, 2), trial(3, 0.6, 1), trial(4, 0.6, 1)]);
  assert.equal(best.settings.a, 3);
});
