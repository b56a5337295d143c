/** Tests of results.ts: differences and intervals against published and hand-computed ones. */

import assert from "node:assert/strict";
import { wilsonInterval } from "../../evaluate/mod.ts";
import type { TrialEntry } from "./log.ts";
import { ablationDifferences, variantResults } from "./results.ts";
import { sweepConfigSchema } from "./settings.ts";
import { planTrials } from "./trials.ts";

const sweep = sweepConfigSchema.parse({
  ...{ name: "a", base: "b.yaml", method: "ablation", seeds: [1, 2] },
  switches: { "without x": { data: { augmentation: "none" } } },
});
const trials = planTrials(sweep, { seed: 1 });

function entry(label: string, seed: number, answers: string, more: Partial<TrialEntry> = {}): TrialEntry {
  const correct = [...answers].filter((answer) => answer === "1").length, n = answers.length;
  const interval = wilsonInterval(correct, n);
  const { number } = trials.find((trial) => trial.label === label && trial.seed === seed)!;
  return {
    ...{
      trial: number,
      rung: 0,
      label,
      seed,
      status: "done",
      epochs: 3,
      answers,
      pictures: "p",
      seconds: 1,
      time: "t",
    },
    validation: { n, top1: correct / n, top1_ci95: interval, top5: 1, top5_ci95: [1, 1], ece: 0, nll: 1 },
    ...more,
  };
}

// Fagerland, Lydersen and Laake 2014: of 21 children 1 both times, 1 only before, 7 only after, 12 never; −28.6 % with Newcombe's
// interval −50.7 … −2.6 % and McNemar's exact p = 2 · (C(8,0) + C(8,1)) / 2^8 = 18 / 256.
const before = "1" + "1" + "0".repeat(7) + "0".repeat(12);
const after = "1" + "0" + "1".repeat(7) + "0".repeat(12);

Deno.test("a switch's difference is paired picture by picture, with the published interval and test", () => {
  const [found] = ablationDifferences(trials, [entry("base", 1, after), entry("without x", 1, before)]);
  assert.ok(Math.abs(found!.difference + 6 / 21) < 1e-12);
  assert.ok(Math.abs(found!.ci95[0] + 0.507) < 5e-4 && Math.abs(found!.ci95[1] + 0.026) < 5e-4, String(found!.ci95));
  assert.ok(Math.abs(found!.p! - 18 / 256) < 1e-12);
  assert.deepEqual([found!.paired, found!.trainings], [true, 1]);
});

Deno.test("on other pictures, or without answers, the shares are independent", () => {
  // Newcombe 1998, table II, method 10: 56 of 70 and 48 of 80.
  const many = (correct: number, n: number) => "1".repeat(correct) + "0".repeat(n - correct);
  const [found] = ablationDifferences(trials, [entry("base", 1, many(48, 80)), entry("without x", 1, many(56, 70))]);
  assert.ok(Math.abs(found!.difference - 0.2) < 1e-12);
  assert.ok(Math.abs(found!.ci95[0] - 0.0524) < 5e-5 && Math.abs(found!.ci95[1] - 0.3339) < 5e-5, String(found!.ci95));
  assert.deepEqual([found!.paired, found!.p], [false, undefined]);
  const moved = [entry("base", 1, after), entry("without x", 1, before, { pictures: "other" })];
  assert.equal(ablationDifferences(trials, moved)[0]!.paired, false);
});

Deno.test("several seeds are compared seed by seed, and a seed that only one was trained with is left out", () => {
  const answers = (n: number, right: (i: number) => boolean) =>
    Array.from({ length: n }, (_, i) => Number(right(i))).join("");
  const n = 400;
  const entries = [
    entry("base", 1, answers(n, (i) => i % 4 !== 0)), // 75 %
    entry("base", 2, answers(n, (i) => i % 2 === 0)), // 50 %
    entry("without x", 1, answers(n, (i) => i % 2 === 0)), // 50 %
    entry("without x", 2, answers(n, (i) => i % 4 === 0)), // 25 %
  ];
  const [found] = ablationDifferences(trials, entries);
  assert.deepEqual([found!.difference, found!.trainings, found!.p], [-0.25, 2, undefined]);
  // mean differences of the pictures, i mod 4: (1−0 + 1−1)/2, (0−1 + 0−0)/2, (1−1 + 0−1)/2, (0−1 + 0−0)/2 = ½, −½, −½, −½:
  // their standard deviation is √3/4, that of the mean of 400 √3/80, times 1.96: 0.0424
  const half = 1.96 * Math.sqrt(3) / 80;
  assert.ok(Math.abs(found!.ci95[0] - (-0.25 - half)) < 0.006 && Math.abs(found!.ci95[1] - (-0.25 + half)) < 0.006);
  const [alone] = ablationDifferences(trials, entries.slice(0, 3));
  assert.deepEqual([alone!.difference, alone!.trainings], [-0.25, 1]);
  const [base] = variantResults(trials, entries, "top1");
  assert.deepEqual([base!.label, base!.value, base!.lowest, base!.highest, base!.trainings], [
    "base",
    0.625,
    0.5,
    0.75,
    2,
  ]);
  // means of the pictures 0 mod 4 … 3 mod 4: ½, ½, 1, ½: deviation √3/8, of the mean √3/160
  assert.ok(Math.abs(base!.top1_ci95![0] - (0.625 - half / 2)) < 0.004, String(base!.top1_ci95));
});

Deno.test("a failed base or switch has no difference, and a variant failed only when all its seeds did", () => {
  const failed = { status: "failed", cause: "out of memory", validation: undefined, answers: undefined } as const;
  const base = entry("base", 1, "10"), other = entry("without x", 1, "11", failed);
  assert.deepEqual(ablationDifferences(trials, [base, other]), []);
  const results = variantResults(trials, [base, other, entry("base", 2, "11", failed)], "top1");
  assert.deepEqual(results.map(({ label, status, trainings, causes }) => [label, status, trainings, causes]), [
    ["base", "done", 1, ["out of memory"]],
    ["without x", "failed", 0, ["out of memory"]],
  ]);
});
