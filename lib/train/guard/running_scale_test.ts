/** Tests of running_scale.ts: hand-solved limits, and how often noise of a known kind is taken for a spike. */

import assert from "node:assert/strict";
import { Random } from "../../runtime/mod.ts";
import { median, robustDeviation, spikeLimit } from "./running_scale.ts";

Deno.test("the limit of hand-solved windows: e to the median plus deviations of the logarithms, at least the floor", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.ok(Math.abs(robustDeviation([1, 2, 3, 4, 100], 3) - 1.4826) < 1e-12); // |−2|, |−1|, 0, 1, 97: median 1
  const e = Math.E;
  const spread = spikeLimit([1, e, e ** 2, e ** 3, e ** 4], { deviations: 2, floor: 0.1 });
  assert.ok(Math.abs(spread.median / e ** 2 - 1) < 1e-12);
  assert.ok(Math.abs(spread.limit / e ** (2 + 2 * 1.4826) - 1) < 1e-12);
  const flat = spikeLimit([5, 5, 5], { deviations: 8, floor: 0.1 });
  assert.ok(Math.abs(flat.limit / (5 * e ** 0.8) - 1) < 1e-12);
  assert.equal(spikeLimit([1e-6, 1e-3, 1, 2, 3], { deviations: 100, floor: 0.1 }).limit, 30); // ten times the largest
  const signed = spikeLimit([-1, 0, 1, 2, 3], { deviations: 3, floor: 0.1 });
  assert.deepEqual(signed, { median: 1, limit: 1 + 3 * 1.4826 });
  assert.equal(spikeLimit([0, 0, 0], { deviations: 8, floor: 0.1 }).limit, Infinity);
  assert.equal(spikeLimit([], { deviations: 8, floor: 0.1 }).limit, Infinity);
});

/** How many of `count` values lie above the limit of the 100 before them; such ones are left out of the window, as by the guard. */
function alarms(draw: (i: number) => number, count: number, deviations: number): number {
  const window: number[] = [];
  let found = 0;
  for (let i = 0; i < count; i++) {
    const value = draw(i);
    if (window.length >= 30 && value > spikeLimit(window, { deviations, floor: 0.1 }).limit) {
      found++;
      continue;
    }
    window.push(value);
    if (window.length > 100) window.shift();
  }
  return found;
}

Deno.test("of log-normal noise as many values are above 3 deviations as a normal distribution has there: 1.35 in 1,000", () => {
  const random = Random.seeded("normal"), count = 40_000;
  const share = alarms(() => Math.exp(random.normal(0, 0.5)), count, 3) / count;
  // The deviation itself is known from 100 values only, which widens the tail.
  assert.ok(share > 0.00135 && share < 0.003, `${share}`);
});

Deno.test("with the guard's 8 deviations none of 20,000 values of ordinary training noise is a spike", () => {
  const random = Random.seeded("curves");
  const student = (degrees: number) => {
    let squares = 0;
    for (let i = 0; i < degrees; i++) squares += random.normal(0, 1) ** 2;
    return random.normal(0, 1) / Math.sqrt(squares / degrees);
  };
  const curves: Record<string, (i: number) => number> = {
    "normal, a tenth of the loss": () => 2 + random.normal(0, 0.2),
    "falling as 1 / √t": (i) => (0.1 + 7 / Math.sqrt(1 + i)) * Math.exp(random.normal(0, 0.2)),
    "gradient norms, log-normal with σ = 0.6": () => Math.exp(random.normal(0, 0.6)),
    "rising with a warm-up over 500 steps": (i) => Math.min(1, 0.2 + i / 500) * Math.exp(random.normal(0, 0.3)),
  };
  for (const [name, draw] of Object.entries(curves)) assert.equal(alarms(draw, 20_000, 8), 0, name);
  // Heavy tails: P(t₅ > 8 · 1.4826 · 0.7267) = 1.9e-4, 4 of 20,000. Such a step is skipped, which costs no more than a batch.
  const heavy = alarms(() => Math.exp(0.15 * student(5)), 20_000, 8);
  assert.ok(heavy <= 12, `${heavy}`);
});

Deno.test("a leap to ten times the loss is found a thousand times out of a thousand", () => {
  const random = Random.seeded("leaps");
  for (let trial = 0; trial < 1000; trial++) {
    const window = Array.from({ length: 100 }, () => Math.exp(random.normal(0, 0.15)));
    assert.ok(10 > spikeLimit(window, { deviations: 8, floor: 0.1 }).limit);
  }
});
