/** Schedules against PyTorch's, recorded by tests/peers/record_training.py, and closed forms. */

import assert from "node:assert/strict";
import { constantRate, cosineRate, linearRate, oneCycle, type Schedule, stepRate, TrainError, warmUp } from "./mod.ts";

const file = new URL("./pytorch.json", import.meta.url);
const recorded: Record<string, number[]> = JSON.parse(await Deno.readTextFile(file)).schedules;

const SCHEDULES: Readonly<Record<string, Schedule>> = {
  oneCycle: oneCycle({ peak: 0.4, steps: 40 }),
  cosine: cosineRate({ peak: 0.4, steps: 30, floor: 0.01 }),
  linear: linearRate({ from: 0.4, to: 0.04, steps: 20 }),
  steps: stepRate({ rate: 0.4, factor: 0.2, at: [5, 12] }),
  every: stepRate({ rate: 0.4, factor: 0.5, at: 6 }),
};

for (const [name, schedule] of Object.entries(SCHEDULES)) {
  Deno.test(`${name}: the rate of every step is PyTorch's`, () => {
    const expected = recorded[name]!;
    assert.ok(expected.length >= 20);
    expected.forEach((rate, step) => {
      assert.ok(Math.abs(schedule(step) - rate) < 1e-9, `step ${step}: found ${schedule(step)}, expected ${rate}`);
    });
  });
}

Deno.test("warm-up rises in a straight line to the schedule's first rate and then follows it", () => {
  const inner = cosineRate({ peak: 0.2, steps: 10 });
  const schedule = warmUp(inner, { steps: 4, from: 0.5 });
  assert.deepEqual([0, 2, 4].map((step) => +schedule(step).toFixed(12)), [0.1, 0.15, 0.2]);
  for (let step = 0; step <= 12; step++) assert.equal(schedule(4 + step), inner(step));
  assert.equal(warmUp(inner, { steps: 0 })(0), 0.2);
});

Deno.test("after its last step a schedule keeps its last rate", () => {
  assert.equal(cosineRate({ peak: 1, steps: 5, floor: 0.1 })(50), 0.1);
  assert.equal(linearRate({ from: 1, to: 0.2, steps: 5 })(6), 0.2);
  assert.ok(Math.abs(oneCycle({ peak: 1, steps: 10 })(100) - 1 / 25 / 1e4) < 1e-12);
  assert.equal(constantRate(0.3)(1e9), 0.3);
});

Deno.test("steps that are no whole number from 1 are refused", () => {
  for (const steps of [0, -1, 1.5, NaN]) {
    assert.throws(() => cosineRate({ peak: 1, steps }), TrainError);
    assert.throws(() => oneCycle({ peak: 1, steps }), TrainError);
  }
  assert.throws(() => warmUp(constantRate(1), { steps: -1 }), TrainError);
  assert.throws(() => oneCycle({ peak: 1, steps: 10, rise: 1 }), TrainError);
});
