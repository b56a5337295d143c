/** Tests of rejection.ts: published figures and cases solved by hand. */

import assert from "node:assert/strict";
import {
  acceptedAt,
  auroc,
  aurocInterval,
  confidenceBy,
  hanleyMcNeilVariance,
  riskCoverage,
  rocCurve,
  thresholdAt,
} from "./rejection.ts";

const near = (found: number, expected: number, tolerance = 1e-12) =>
  assert.ok(Math.abs(found - expected) <= tolerance, `expected ${expected}, found ${found}`);

/** Ratings 1 … 5 of computed tomograms of 51 abnormal and 58 normal patients (Hanley and McNeil 1982, table I). */
const rated = (counts: readonly number[]) => counts.flatMap((count, i) => new Array<number>(count).fill(i + 1));
const abnormal = rated([3, 2, 2, 11, 33]), normal = rated([33, 6, 6, 11, 2]);

Deno.test("the area and its standard error are those that Hanley and McNeil, and Stata's roctab, give for rated tomograms", () => {
  const { value, standardError } = auroc(abnormal, normal);
  near(value, 0.8932, 5e-5); // roctab; Hanley and McNeil: 0.893
  near(standardError, 0.0307, 5e-5); // roctab, DeLong's
  near(value - 1.959964 * standardError, 0.83295, 1e-5); // roctab's interval
  near(value + 1.959964 * standardError, 0.95339, 1e-5);
  // Hanley and McNeil give 0.032, with Q₁ and Q₂ counted from the ratings and not from the area alone.
  near(Math.sqrt(hanleyMcNeilVariance(0.893, 51, 58)), 0.032, 1e-3);
});

Deno.test("the curve of four pictures is scikit-learn's example, and its trapezoids' area is the statistic", () => {
  // sklearn.metrics.roc_curve(y = [1, 1, 2, 2], scores = [0.1, 0.4, 0.35, 0.8], pos_label = 2)
  const known = [0.35, 0.8], other = [0.1, 0.4];
  assert.deepEqual(rocCurve(known, other), {
    thresholds: [Infinity, 0.8, 0.4, 0.35, 0.1],
    tpr: [0, 0.5, 0.5, 1, 1],
    fpr: [0, 0, 0.5, 0.5, 1],
  });
  assert.equal(auroc(known, other).value, 0.75);
  const { tpr, fpr } = rocCurve(abnormal, normal);
  assert.equal(tpr.length, 6, "one point a distinct score");
  const area = tpr.slice(1).reduce((sum, t, i) => sum + (t + tpr[i]!) / 2 * (fpr[i + 1]! - fpr[i]!), 0);
  near(area, auroc(abnormal, normal).value);
});

Deno.test("ties count half, sides may be exchanged, a shift of all scores changes nothing", () => {
  assert.equal(auroc([1, 1], [1, 1, 1]).value, 0.5);
  assert.equal(auroc([3, 2], [2, 1]).value, 3.5 / 4);
  near(auroc(normal, abnormal).value, 1 - auroc(abnormal, normal).value);
  near(
    auroc(abnormal.map((x) => 10 * x - 3), normal.map((x) => 10 * x - 3)).standardError,
    auroc(abnormal, normal).standardError,
  );
});

Deno.test("the interval's ends solve |A - found| = z · standard error at A, and hold where all are told apart", () => {
  for (const [area, m, n] of [[0.893, 51, 58], [0.6, 10, 200], [0.99, 300, 300]] as const) {
    const [low, high] = aurocInterval(area, m, n), mid = (m + n) / 2;
    for (const end of [low, high]) {
      // Newcombe 2006, method 5, as printed: θ(1 − θ) / mn · (2N − 1 − (3N − 3) / ((2 − θ)(1 + θ))), N = (m + n) / 2.
      const v = end * (1 - end) / (m * n) * (2 * mid - 1 - (3 * mid - 3) / ((2 - end) * (1 + end)));
      near(Math.abs(end - area), 1.959963984540054 * Math.sqrt(v), 1e-9);
    }
    assert.ok(low < area && area < high);
  }
  const { ci95: [low, high], standardError } = auroc([5, 6, 7], [1, 2, 3]);
  assert.deepEqual([high, standardError], [1, 0]);
  assert.ok(low > 0.3 && low < 0.8, `three against three prove little: ${low}`);
  assert.equal(auroc([1, 2], [3, 4]).ci95[0], 0);
});

Deno.test("Newcombe's interval holds the true area in about 95 of 100 samples", async () => {
  const { Random } = await import("../runtime/mod.ts");
  const random = Random.seeded("coverage");
  const truth = 0.8413447; // of normal scores √2 apart: Φ(1)
  let held = 0;
  for (let sample = 0; sample < 1000; sample++) {
    const { ci95: [low, high] } = auroc(
      Array.from({ length: 40 }, () => random.normal(Math.SQRT2)),
      Array.from({ length: 30 }, () => random.normal()),
    );
    if (low <= truth && truth <= high) held++;
  }
  assert.ok(held > 925 && held < 985, `${held} of 1000`);
});

Deno.test("the threshold accepts at least the share that was asked for, and the highest such", () => {
  const twenty = Array.from({ length: 20 }, (_, i) => i + 1);
  assert.equal(thresholdAt(twenty, 0.95), 2);
  assert.equal(thresholdAt(twenty, 0.951), 1);
  assert.equal(thresholdAt(twenty, 0.05), 20);
  assert.equal(thresholdAt([1, 1, 1, 2], 0.5), 1, "ties are accepted together");
  const { share, correct, n } = acceptedAt([0, 2, 2, 5], 2);
  assert.deepEqual([share, correct, n], [0.75, 3, 4]);
  assert.throws(() => thresholdAt(twenty, 0), /expected a share in 0 … 1, found 0/);
});

Deno.test("confidences of one picture by hand: probability, margin, entropy, energy", () => {
  const p = { values: Float32Array.from([0.5, 0.25, 0.25, 1, 0, 0]), classes: 3 };
  assert.deepEqual([...confidenceBy("probability", p)], [0.5, 1]);
  assert.deepEqual([...confidenceBy("margin", p)], [0.25, 1]);
  near(confidenceBy("entropy", p)[0]!, -1.5 * Math.LN2);
  near(confidenceBy("entropy", p)[1]!, 0);
  // log(e⁰ + e⁰) = log 2; 2 log(e^(4/2) + e^(4/2)) = 4 + 2 log 2; large logits do not overflow.
  near(confidenceBy("energy", { values: Float32Array.from([0, 0]), classes: 2 })[0]!, Math.LN2);
  near(
    confidenceBy("energy", { values: Float32Array.from([4, 4]), classes: 2 }, { temperature: 2 })[0]!,
    4 + 2 * Math.LN2,
  );
  near(confidenceBy("energy", { values: Float32Array.from([1000, 0]), classes: 2 })[0]!, 1000);
  assert.throws(() => confidenceBy("margin", { values: new Float32Array(2), classes: 1 }), /expected two classes/);
});

Deno.test("risk and coverage of four pictures by hand", () => {
  // Right, right, wrong, right from the surest down: risks 0, 0, 1/3, 1/4. The best order: 0, 0, 0, 1/4.
  const { coverage, accuracy, aurc, excessAurc } = riskCoverage([0.4, 0.9, 0.8, 0.6], [true, true, true, false]);
  assert.deepEqual(coverage, [0.25, 0.5, 0.75, 1]);
  accuracy.forEach((share, i) => near(share, [1, 1, 2 / 3, 3 / 4][i]!));
  near(aurc, 7 / 48);
  near(excessAurc, 1 / 12);
  near(riskCoverage([4, 3, 2, 1], [1, 1, 1, 0]).excessAurc, 0);
});

Deno.test("of equal scores each answer is as likely to come first", () => {
  const { accuracy, aurc } = riskCoverage([1, 1, 1, 1], [true, false, true, false]);
  assert.deepEqual(accuracy, [0.5, 0.5, 0.5, 0.5]);
  assert.equal(aurc, 0.5);
});

Deno.test("no pictures, NaN, and answers that are not as many are refused", () => {
  assert.throws(() => rocCurve([], [1]), /expected known pictures, found none/);
  assert.throws(() => auroc([1], []), /expected other pictures, found none/);
  assert.throws(() => auroc([1, NaN], [1]), /found NaN for known picture 1/);
  assert.throws(() => riskCoverage([1, 2], [true]), /expected 2 answers, one a score, found 1/);
});
