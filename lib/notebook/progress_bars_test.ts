/** Tests of progress_bars.ts. */

import assert from "node:assert/strict";
import { type ProgressState, type ProgressSurface } from "./progress.ts";
import { progressBars } from "./progress_bars.ts";

Deno.test("parts that take turns keep one surface each, and a count that begins anew gets its time anew", async () => {
  let at = 0;
  const surfaces: ProgressState[][] = [];
  const make = (): ProgressSurface => {
    const states: ProgressState[] = [];
    surfaces.push(states);
    return { interval: 0, tenths: false, draw: (state) => void states.push(state) };
  };
  const bars = progressBars(make, () => at);
  const report = (label: string, done: number, total: number) => {
    at += 1000;
    bars({ label, done, total });
  };
  report("train", 1, 4);
  report("train", 2, 4);
  report("validate", 1, 2);
  report("validate", 2, 2);
  report("train", 3, 4);
  report("train", 4, 4);
  report("validate", 1, 2);
  report("validate", 2, 2);
  await bars.end();
  assert.equal(surfaces.length, 2);
  const [train, validate] = surfaces as [ProgressState[], ProgressState[]];
  assert.deepEqual(train.map(({ done }) => done), [1, 2, 3, 4]);
  assert.deepEqual(validate.map(({ done, seconds }) => [done, seconds]), [[1, 0], [2, 1], [1, 0], [2, 1]]);
});
