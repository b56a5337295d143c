import assert from "node:assert/strict";
import { Random } from "./random.ts";

Deno.test("the same labels give the same stream, other labels another", () => {
  const draw = (random: Random) => Array.from({ length: 20 }, () => random.uint32());
  assert.deepEqual(draw(Random.seeded(7, "a")), draw(Random.seeded(7, "a")));
  assert.notDeepEqual(draw(Random.seeded(7, "a")), draw(Random.seeded(7, "b")));
  assert.notDeepEqual(draw(Random.seeded("ab", "c")), draw(Random.seeded("a", "bc")));
});

Deno.test("fork() does not move the parent and depends on its state", () => {
  const a = Random.seeded(1), b = Random.seeded(1);
  const fork = a.fork("child").uint32();
  assert.equal(a.uint32(), b.uint32());
  assert.notEqual(a.fork("child").uint32(), fork);
});

Deno.test("fromState() continues the stream where state was taken", () => {
  const random = Random.seeded("state");
  for (let i = 0; i < 5; i++) random.uniform();
  const copy = Random.fromState(random.state);
  assert.deepEqual([copy.normal(), copy.int(9), copy.uint32()], [random.normal(), random.int(9), random.uint32()]);
});

Deno.test("sfc32 gives the numbers of the reference implementation's recurrence", () => {
  // The recurrence of PractRand's sfc32, worked in BigInt: t = a + b + d; a = b ^ b>>9; b = c + c<<3; c = rotl(c,21) + t.
  const mask = 0xffffffffn;
  let [a, b, c, d] = [11n, 22n, 33n, 44n];
  const random = Random.fromState([11, 22, 33, 44]);
  for (let i = 0; i < 1000; i++) {
    const t = (a + b + d) & mask;
    d = (d + 1n) & mask;
    a = b ^ (b >> 9n);
    b = (c + (c << 3n)) & mask;
    c = ((((c << 21n) | (c >> 11n)) & mask) + t) & mask;
    assert.equal(BigInt(random.uint32()), t);
  }
});

Deno.test("uniform, normal and int have the moments of their distributions", () => {
  const random = Random.seeded("moments");
  const n = 100_000;
  const mean = (values: number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
  const variance = (values: number[]) => mean(values.map((x) => (x - mean0) ** 2));
  let mean0 = 0;
  const uniform = Array.from({ length: n }, () => random.uniform());
  mean0 = mean(uniform);
  // Five standard errors: sqrt(1/12/n) and about sqrt(1/180/n).
  assert.ok(Math.abs(mean0 - 0.5) < 5 * Math.sqrt(1 / 12 / n));
  assert.ok(Math.abs(variance(uniform) - 1 / 12) < 5 * Math.sqrt(1 / 180 / n));
  const normal = Array.from({ length: n }, () => random.normal(3, 2));
  mean0 = mean(normal);
  assert.ok(Math.abs(mean0 - 3) < 5 * 2 / Math.sqrt(n));
  assert.ok(Math.abs(variance(normal) - 4) < 5 * 4 * Math.sqrt(2 / n));
  const counts = new Array<number>(7).fill(0);
  for (let i = 0; i < n; i++) counts[random.int(7)]!++;
  const chi2 = counts.reduce((sum, count) => sum + (count - n / 7) ** 2 / (n / 7), 0);
  assert.ok(chi2 < 22.46, `chi-squared with 6 degrees of freedom, 99.9 %: expected < 22.46, found ${chi2}`);
});

Deno.test("shuffle() is a permutation and reaches every order", () => {
  const random = Random.seeded("shuffle");
  const orders = new Set(Array.from({ length: 300 }, () => random.shuffle([1, 2, 3]).join("")));
  assert.deepEqual([...orders].sort(), ["123", "132", "213", "231", "312", "321"]);
});

Deno.test("int(n) refuses what is not an integer in 1 … 2^32, pick() an empty list", () => {
  const random = Random.seeded(0);
  for (const n of [0, -1, 1.5, 2 ** 33, NaN]) assert.throws(() => random.int(n), /expected 1 … 2\^32/);
  assert.throws(() => random.pick([]), /at least one item/);
});
