/** Tests of bootstrap.ts. */

import assert from "node:assert/strict";
import { bootstrapInterval } from "./bootstrap.ts";

const share = (right: readonly number[]) => (drawn: Int32Array) =>
  drawn.reduce((sum, picture) => sum + right[picture]!, 0) / drawn.length;

/** `successes` ones, then zeros. */
const answers = (successes: number, n: number) => Array.from({ length: n }, (_, i) => i < successes ? 1 : 0);

Deno.test("the interval of a share is that of the binomial distribution, which resampled shares follow", () => {
  // Quantiles 0.025 and 0.975 of Binomial(n, p) / n, from scipy.stats.binom.ppf.
  const exact: [number, number, number, number][] = [
    [60, 100, 0.5, 0.69],
    [100, 400, 0.2075, 0.2925],
    [45, 50, 0.82, 0.98],
  ];
  for (const [successes, n, low, high] of exact) {
    const found = bootstrapInterval(n, share(answers(successes, n)), { seed: 1, resamples: 4000 });
    assert.ok(Math.abs(found[0] - low) < 1.5 / n && Math.abs(found[1] - high) < 1.5 / n, `${successes}/${n}: ${found}`);
  }
});

Deno.test("the same seed gives the same interval, another seed another one", () => {
  const values = Array.from({ length: 60 }, (_, i) => Math.sin(i));
  const interval = (seed: number) => bootstrapInterval(60, share(values), { seed, resamples: 300 });
  assert.deepEqual(interval(1), interval(1));
  assert.notDeepEqual(interval(1), interval(2));
});

Deno.test("pictures of a group are drawn together: groups of ten equal pictures count as one", () => {
  // 10 groups, 6 of them right: as 6 of 10, Binomial(10, 0.6): 0.3 … 0.9.
  const right = Array.from({ length: 100 }, (_, i) => i < 60 ? 1 : 0), groups = right.map((_, i) => Math.floor(i / 10));
  const [low, high] = bootstrapInterval(100, share(right), { seed: 3, groups });
  assert.ok(Math.abs(low - 0.3) < 0.05 && Math.abs(high - 0.9) < 0.05, `${low}, ${high}`);
});

Deno.test("no pictures, too few groups and a statistic that is NaN are refused", () => {
  assert.throws(() => bootstrapInterval(0, () => 0, { seed: 1 }), /expected pictures, found 0$/);
  assert.throws(
    () => bootstrapInterval(2, () => 0, { seed: 1, groups: [1] }),
    /expected 2 groups, one a picture, found 1$/,
  );
  assert.throws(() => bootstrapInterval(2, () => NaN, { seed: 1 }), /expected a number, found NaN$/);
});
