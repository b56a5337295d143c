/** Tests of validation_fall.ts: a published collapse, ordinary curves, and hand-solved limits. */

import assert from "node:assert/strict";
import { Random } from "../../runtime/mod.ts";
import { fallLimit } from "./validation_fall.ts";

const options = { mode: "max", share: 0.5, deviations: 4, least: 0 } as const;

/** The first place at which a curve has fallen, as the guard looks at it. */
function firstFall(curve: readonly number[], own = options as Parameters<typeof fallLimit>[2]): number | undefined {
  for (let i = 3; i < curve.length; i++) {
    const before = curve.slice(Math.max(0, i - 20), i), best = Math.max(...curve.slice(0, i));
    if (curve[i]! < fallLimit(before, best, own)) return i;
  }
  return undefined;
}

Deno.test("the limit is the share of the best, or what noise asks for, or nine tenths of the best", () => {
  assert.equal(fallLimit([0.2, 0.4, 0.8], 0.8, options), 0.4);
  assert.equal(fallLimit([], 0.8, options), 0.4);
  // Falls 0, 0.3, 0, 0.2, 0: the third quartile is 0.2.
  const noisy = [0.6, 0.8, 0.5, 0.9, 0.7, 0.8];
  assert.ok(Math.abs(fallLimit(noisy, 0.9, { ...options, deviations: 3 }) - (0.9 - 3 * 0.2)) < 1e-12);
  assert.ok(Math.abs(fallLimit(noisy, 0.9, options) - (0.9 - 4 * 0.2)) < 1e-12);
  assert.ok(Math.abs(fallLimit(noisy, 0.9, { ...options, deviations: 9 }) - 0.09) < 1e-12);
  assert.equal(fallLimit([0.01, 0.02], 0.02, { ...options, least: 0.02 }), 0);
  assert.equal(fallLimit([4, 2, 1], 1, { ...options, mode: "min" }), 1.5);
  assert.equal(fallLimit([-4, -6, -8], -8, { ...options, mode: "min" }), -4);
});

Deno.test("of few pictures the limit is what chance leaves of the best", () => {
  // From 1 to 1/3, with the mean 2/3: (1 − 1/3) / √(2 · 2/9 / 16) = 4.
  assert.ok(Math.abs(fallLimit([], 1, { ...options, share: 1, pictures: 16 }) - 1 / 3) < 1e-12);
  // From 3/4 to 1/4, with the mean 1/2: (1/2) / √(1/2 / 32) = 4.
  assert.ok(Math.abs(fallLimit([], 0.75, { ...options, share: 1, pictures: 32 }) - 0.25) < 1e-12);
  assert.equal(fallLimit([], 0.8, { ...options, pictures: 10_000 }), 0.4); // the half is less
  assert.ok(!(0 < fallLimit([], 1, { ...options, pictures: 3 })), "three of three and none of three are no collapse");
  assert.ok(fallLimit([], 1, { ...options, pictures: 10 }) > 0, "ten of ten and none of ten are one");
  // Losses: 4 · √(2 / 32) times the best.
  assert.equal(fallLimit([], 0.5, { ...options, mode: "min", pictures: 32 }), 1);
});

Deno.test("in 4,000 trainings with a handful of pictures chance is no collapse; without their number it is one", () => {
  const random = Random.seeded("few");
  const alarms = { told: 0, untold: 0 };
  for (let trial = 0; trial < 4000; trial++) {
    const pictures = 3 + random.int(28), top = random.uniform(0.1, 0.95);
    const right = (share: number) => {
      let count = 0;
      for (let i = 0; i < pictures; i++) count += Number(random.uniform() < share);
      return count / pictures;
    };
    const curve = Array.from({ length: 20 }, (_, i) => right(top * (1 - Math.exp(-(i + 1) / 3))));
    const own = { ...options, least: 0.02 };
    alarms.told += Number(firstFall(curve, { ...own, pictures }) !== undefined);
    alarms.untold += Number(firstFall(curve, own) !== undefined);
  }
  assert.ok(alarms.told <= 4, `${alarms.told}`); // 1 in 1,000 trainings of 20 validations
  assert.ok(alarms.untold > 400, `${alarms.untold}`);
});

Deno.test("the published collapse, from 0.97 to 0.0004 after 44 epochs, is found at once and nothing before", () => {
  const random = Random.seeded("published");
  const curve = Array.from({ length: 44 }, (_, i) => 0.9746 * (1 - Math.exp(-(i + 1) / 8)) + random.normal(0, 0.01));
  assert.equal(firstFall([...curve, 0.0004]), 44);
});

Deno.test("in 300 noisy curves that rise nothing is found, in each that collapses the collapse", () => {
  const random = Random.seeded("noisy");
  for (let trial = 0; trial < 300; trial++) {
    const noise = random.uniform(0, 0.06), rate = random.uniform(2, 15);
    const curve = Array.from(
      { length: 40 },
      (_, i) => Math.min(1, Math.max(0, 0.7 * (1 - Math.exp(-(i + 1) / rate)) + random.normal(0, noise))),
    );
    const own = { ...options, least: 0.02 };
    assert.equal(firstFall(curve, own), undefined, `noise ${noise}, rate ${rate}: ${curve}`);
    assert.equal(firstFall([...curve, 0.01], own), 40);
  }
});
