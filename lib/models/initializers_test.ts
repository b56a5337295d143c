/** Initialisers: variances of the textbooks within chi-square bounds, ranges, orthogonality, seeds. */

import assert from "node:assert/strict";
import { Random } from "../runtime/mod.ts";
import {
  constant,
  fansOf,
  type Initializer,
  kaimingNormal,
  kaimingUniform,
  ModelError,
  normal,
  orthogonal,
  truncatedNormal,
  xavierNormal,
  xavierUniform,
} from "./mod.ts";

const CONV = [64, 32, 3, 3]; // fan in 288, fan out 576

/** Name, initialiser, variance, and the kurtosis E z⁴ / σ⁴, which gives the spread of the sample variance. */
const CASES: readonly [string, (random: Random) => Initializer, number, number][] = [
  ["kaimingNormal", (r) => kaimingNormal(r), 2 / 288, 3],
  ["kaimingNormal, fan out", (r) => kaimingNormal(r, { fan: "out" }), 2 / 576, 3],
  ["kaimingNormal, slope 0.1", (r) => kaimingNormal(r, { slope: 0.1 }), 2 / (1.01 * 288), 3],
  ["kaimingUniform", (r) => kaimingUniform(r), 2 / 288, 1.8],
  ["xavierNormal", (r) => xavierNormal(r, { gain: 2 }), 4 * 2 / (288 + 576), 3],
  ["xavierUniform", (r) => xavierUniform(r), 2 / (288 + 576), 1.8],
  ["normal", (r) => normal(r, { deviation: 0.3 }), 0.09, 3],
  // 1 − 2 b φ(b) / (2 Φ(b) − 1) at b = 2 is 0.773741 (Johnson, Kotz and Balakrishnan 1994, section 13.10).
  ["truncatedNormal", (r) => truncatedNormal(r, { deviation: 0.02 }), 0.773741 * 0.0004, 2.37],
];

for (const [name, make, variance, kurtosis] of CASES) {
  Deno.test(`${name} has mean 0 and variance ${variance.toPrecision(4)}`, () => {
    const elements = make(Random.seeded("initial", name))(CONV);
    const n = elements.length;
    assert.equal(n, 64 * 32 * 9);
    const mean = elements.reduce((a, b) => a + b, 0) / n;
    const found = elements.reduce((a, b) => a + b * b, 0) / n;
    // 4.5 standard errors: √(variance / n) and variance · √((kurtosis − 1) / n).
    assert.ok(Math.abs(mean) < 4.5 * Math.sqrt(variance / n), `mean ${mean}`);
    const error = variance * Math.sqrt((kurtosis - 1) / n);
    assert.ok(Math.abs(found - variance) < 4.5 * error, `variance ${found}, expected ${variance} ± ${error}`);
  });
}

Deno.test("uniform initialisers stay within √3 deviations, the truncated normal within 2", () => {
  const widest = (init: Initializer) => init(CONV).reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  const limit = Math.sqrt(3 * 2 / 288);
  const found = widest(kaimingUniform(Random.seeded(1)));
  assert.ok(found <= limit && found > 0.99 * limit);
  const cut = widest(truncatedNormal(Random.seeded(1), { deviation: 0.5 }));
  assert.ok(cut <= 1 && cut > 0.98);
});

Deno.test("fans count a kernel's taps on both sides and follow the layout", () => {
  assert.deepEqual(fansOf(CONV), { in: 288, out: 576 });
  assert.deepEqual(fansOf([10, 20]), { in: 20, out: 10 });
  assert.deepEqual(fansOf([10, 20], "io"), { in: 10, out: 20 });
});

for (const shape of [[6, 20], [20, 6], [7, 7], [4, 3, 2, 2]]) {
  Deno.test(`orthogonal [${shape}]: the shorter side's vectors are orthonormal times the gain`, () => {
    const [rows = 0] = shape, columns = shape.slice(1).reduce((a, b) => a * b, 1);
    const w = orthogonal(Random.seeded(3), { gain: 2 })(shape);
    const count = Math.min(rows, columns), length = Math.max(rows, columns);
    const at = (vector: number, i: number) => w[rows <= columns ? vector * columns + i : i * columns + vector]!;
    for (let a = 0; a < count; a++) {
      for (let b = 0; b < count; b++) {
        let dot = 0;
        for (let i = 0; i < length; i++) dot += at(a, i) * at(b, i);
        assert.ok(Math.abs(dot - (a === b ? 4 : 0)) < 1e-5, `${a} · ${b} = ${dot}`);
      }
    }
  });
}

Deno.test("orthogonal matrices have no preferred direction: the first element's mean is 0 and its square's 1/n", () => {
  let sum = 0, squares = 0;
  const trials = 2000, n = 4;
  for (let i = 0; i < trials; i++) {
    const [first = 0] = orthogonal(Random.seeded("haar", i))([n, n]);
    sum += first;
    squares += first * first;
  }
  // For a uniform unit vector in n dimensions E x² = 1/n and E x⁴ = 3 / (n (n + 2)).
  assert.ok(Math.abs(sum / trials) < 4.5 * Math.sqrt(1 / n / trials));
  assert.ok(Math.abs(squares / trials - 1 / n) < 4.5 * Math.sqrt((3 / (n * (n + 2)) - 1 / n ** 2) / trials));
});

Deno.test("the same seed gives the same weights, another seed others; a constant is everywhere the same", () => {
  const draw = (seed: number) => Array.from(kaimingNormal(Random.seeded(seed))([3, 4]));
  assert.deepEqual(draw(5), draw(5));
  assert.notDeepEqual(draw(5), draw(6));
  assert.deepEqual(Array.from(constant(0.5)([2, 2])), [0.5, 0.5, 0.5, 0.5]);
});

Deno.test("orthogonal needs two dimensions, truncatedNormal a bound above 0", () => {
  assert.throws(() => orthogonal(Random.seeded(1))([4]), ModelError);
  assert.throws(() => truncatedNormal(Random.seeded(1), { bound: 0 }), ModelError);
});
