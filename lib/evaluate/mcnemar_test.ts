/** Tests of mcnemar.ts. */

import assert from "node:assert/strict";
import { mcNemar } from "./mcnemar.ts";

/** Answers of two classifiers that agree on `both` pictures and differ on the others. */
function answers(onlyFirst: number, onlySecond: number, both = 7) {
  const make = (...runs: [boolean, number][]) => runs.flatMap(([answer, n]) => new Array<boolean>(n).fill(answer));
  return [
    make([true, both], [false, both], [true, onlyFirst], [false, onlySecond]),
    make([true, both], [false, both], [false, onlyFirst], [true, onlySecond]),
  ] as const;
}

Deno.test("mcNemar() gives SciPy's exact two-sided binomial p, also of thousands of pictures", async () => {
  // tests/peers/record_calibration.py
  const { mcNemar: recorded } = JSON.parse(
    await Deno.readTextFile(new URL("../../tests/fixtures/evaluate/calibration.json", import.meta.url)),
  );
  for (const { onlyFirst, onlySecond, p } of recorded) {
    const found = mcNemar(...answers(onlyFirst, onlySecond));
    assert.deepEqual([found.onlyFirst, found.onlySecond], [onlyFirst, onlySecond]);
    assert.ok(Math.abs(found.p - p) < 1e-10, `${onlyFirst}, ${onlySecond}: ${found.p} is not ${p}`);
    assert.equal(mcNemar(...answers(onlySecond, onlyFirst)).p, found.p);
  }
});

Deno.test("five differences on one side alone are not significant, six are", () => {
  // 2 · 2⁻⁵ and 2 · 2⁻⁶
  assert.ok(Math.abs(mcNemar(...answers(5, 0)).p - 0.0625) < 1e-15);
  assert.ok(Math.abs(mcNemar(...answers(6, 0)).p - 0.03125) < 1e-15);
});

Deno.test("mcNemar() refuses classifiers with different pictures", () => {
  assert.throws(() => mcNemar([true], [true, false]), /expected 1 answers of the second classifier, found 2$/);
});
