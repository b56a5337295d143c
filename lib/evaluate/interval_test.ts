/** Tests of interval.ts. */

import assert from "node:assert/strict";
import { newcombeInterval, wilsonInterval } from "./interval.ts";

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
