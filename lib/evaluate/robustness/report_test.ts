/** Tests of report.ts. */

import assert from "node:assert/strict";
import { summariseCorruptions } from "./report.ts";

Deno.test("accuracies, their mean and the ratio to the clean accuracy of the same pictures, by hand", () => {
  const clean = [true, true, true, false];
  const found = summariseCorruptions(clean, [
    { corruption: "noise", severity: 3, answers: [true, false, false, false] },
    { corruption: "noise", severity: 1, answers: [true, true, false, false] },
    // Two cut-outs, of which one is right when clean.
    { corruption: "background", severity: 1, answers: [undefined, undefined, true, false] },
    { corruption: "background", severity: 2, answers: [undefined, undefined, false, false] },
    { corruption: "scale", severity: 1, answers: [undefined, undefined, undefined, undefined] },
  ]);
  assert.deepEqual([found.clean.correct, found.clean.n, found.clean.share], [3, 4, 0.75]);
  const [noise, background] = found.corruptions;
  assert.equal(found.corruptions.length, 2, "what could be done to no picture is left out");
  assert.deepEqual(noise!.severities.map(({ severity, strength, share }) => [severity, strength, share]), [
    [1, 0.04, 0.5],
    [3, 0.12, 0.25],
  ]);
  assert.deepEqual([noise!.mean, noise!.relative], [0.375, 0.5]);
  assert.deepEqual([background!.clean.n, background!.clean.share, background!.mean, background!.relative], [
    2,
    0.5,
    0.25,
    0.5,
  ]);
  assert.deepEqual([found.mean, found.relative], [0.3125, 0.5]);
  // Wilson's interval of 2 of 4 (Newcombe 1998, method 3).
  const [low, high] = noise!.severities[0]!.ci95;
  assert.ok(Math.abs(low - 0.1500) < 5e-5 && Math.abs(high - 0.8500) < 5e-5, `${low} … ${high}`);
});

Deno.test("a model that is never right has no ratio; answers that are too few are refused", () => {
  const none = summariseCorruptions([false], [{ corruption: "jpeg", severity: 1, answers: [false] }]);
  assert.deepEqual([none.mean, "relative" in none, "relative" in none.corruptions[0]!], [0, false, false]);
  assert.throws(
    () => summariseCorruptions([true, true], [{ corruption: "jpeg", severity: 2, answers: [true] }]),
    /jpeg 2: expected 2 answers, one a picture, found 1/,
  );
  assert.throws(() => summariseCorruptions([], []), /expected at least one picture, found none/);
});
