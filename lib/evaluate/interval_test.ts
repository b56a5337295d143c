/** Tests of interval.ts. */

import assert from "node:assert/strict";
import { newcombeInterval, newcombePairedInterval, wilsonInterval } from "./interval.ts";

Deno.test("wilsonInterval() gives the published intervals", () => {
  // Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
  const published: [number, number, number, number][] = [
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ];
  for (const [successes, n, low, high] of published) {
    const found = wilsonInterval(successes, n);
    assert.ok(Math.abs(found[0] - low) < 5e-5 && Math.abs(found[1] - high) < 5e-5, `${successes}/${n}: ${found}`);
    const mirrored = wilsonInterval(n - successes, n);
    assert.ok(Math.abs(mirrored[0] - (1 - found[1])) < 1e-12 && Math.abs(mirrored[1] - (1 - found[0])) < 1e-12);
  }
});

Deno.test("wilsonInterval() refuses counts that cannot be", () => {
  for (const [successes, n] of [[1, 0], [-1, 5], [6, 5], [NaN, 5]] as const) {
    assert.throws(() => wilsonInterval(successes, n), RangeError);
  }
});

Deno.test("newcombeInterval() gives the published intervals of differences", () => {
  // Newcombe 1998, "Interval estimation for the difference between independent proportions", table II, method 10.
  const published: [number, number, number, number, number, number][] = [
    [56, 70, 48, 80, 0.0524, 0.3339],
    [9, 10, 3, 10, 0.1705, 0.8090],
    [6, 7, 2, 7, 0.0582, 0.8062],
    [5, 56, 0, 29, -0.0381, 0.1926],
    [0, 10, 0, 20, -0.1611, 0.2775],
    [0, 10, 0, 10, -0.2775, 0.2775],
    [10, 10, 0, 20, 0.6791, 1],
    [10, 10, 0, 10, 0.6075, 1],
  ];
  for (const [a, m, b, n, low, high] of published) {
    const found = newcombeInterval({ correct: a, n: m }, { correct: b, n });
    assert.ok(Math.abs(found[0] - low) < 5e-5 && Math.abs(found[1] - high) < 5e-5, `${a}/${m}, ${b}/${n}: ${found}`);
    const [l, h] = newcombeInterval({ correct: b, n }, { correct: a, n: m });
    assert.ok(Math.abs(l + found[1]) < 1e-12 && Math.abs(h + found[0]) < 1e-12, "exchanged, the signs change");
  }
});

Deno.test("newcombePairedInterval() gives the published interval of a difference in pairs", () => {
  // Fagerland, Lydersen and Laake 2014, "Recommended tests and confidence intervals for paired binomial proportions":
  // airway hyper-responsiveness before and after stem cell transplantation.
  const [low, high] = newcombePairedInterval({ both: 1, onlyFirst: 1, onlySecond: 7, neither: 12 });
  assert.ok(Math.abs(low + 0.507) < 5e-4 && Math.abs(high + 0.026) < 5e-4, `${low}, ${high}`);
});

Deno.test("newcombePairedInterval() without correlation is the independent one, with it narrower, and exchanged it changes signs", () => {
  // 20 · 20 = 40 · 10: phi is 0
  const found = newcombePairedInterval({ both: 20, onlyFirst: 40, onlySecond: 10, neither: 20 });
  const independent = newcombeInterval({ correct: 60, n: 90 }, { correct: 30, n: 90 });
  assert.ok(found.every((end, i) => Math.abs(end - independent[i]!) < 1e-12), `${found}, ${independent}`);
  const pairs = { both: 80, onlyFirst: 10, onlySecond: 2, neither: 8 };
  const [low, high] = newcombePairedInterval(pairs);
  const [wideLow, wideHigh] = newcombeInterval({ correct: 90, n: 100 }, { correct: 82, n: 100 });
  assert.ok(low > wideLow && high < wideHigh);
  const [l, h] = newcombePairedInterval({ ...pairs, onlyFirst: 2, onlySecond: 10 });
  assert.ok(Math.abs(l + high) < 1e-12 && Math.abs(h + low) < 1e-12);
  assert.throws(() => newcombePairedInterval({ both: 0, onlyFirst: 0, onlySecond: 0, neither: 0 }), RangeError);
});
