/** Tests of rejection_report.ts. */

import assert from "node:assert/strict";
import { judgeRejection } from "./rejection_report.ts";

/** Two classes: the probability of the first. */
const of = (...first: number[]) => ({ values: Float32Array.from(first.flatMap((p) => [p, 1 - p])), classes: 2 });

Deno.test("the threshold of validation is used as it is, and what it accepts is counted on the judged pictures", () => {
  const known = of(0.9, 0.8, 0.75, 0.6), other = of(0.5, 0.625, 0.7, 0.95), validation = of(0.99, 0.85, 0.7, 0.65);
  const found = judgeRejection({
    ...{ known, labels: [0, 0, 1, 0], other, validation, kinds: ["noise", "noise", "emoji", "emoji"] },
  }, { tpr: 0.75 });
  assert.deepEqual(found.map(({ confidence }) => confidence), ["probability", "margin", "entropy"]);
  const [probability] = found;
  const near = (value: number, expected: number) => assert.ok(Math.abs(value - expected) < 1e-6, `${value}`);
  // Of 16 pairs the known picture wins 3 + 3 + 3 + 1.
  near(probability!.auroc.value, 10 / 16);
  assert.deepEqual(probability!.perKind.map(({ kind, n, auroc }) => [kind, n, auroc.value]), [
    ["noise", 2, 7 / 8],
    ["emoji", 2, 3 / 8],
  ]);
  near(probability!.own.value, 0.75);
  assert.deepEqual([probability!.own.known.share, probability!.own.other.share], [0.75, 0.25]);
  near(probability!.chosen!.value, 0.7);
  assert.deepEqual([probability!.chosen!.known.share, probability!.chosen!.other.share], [0.75, 0.5]);
  // Right, right, wrong, right: as in rejection_test.ts.
  near(probability!.riskCoverage.aurc, 7 / 48);
  // With two classes the three confidences order pictures alike.
  for (const each of found) assert.equal(each.auroc.value, probability!.auroc.value);
});

Deno.test("without validation no threshold is chosen; kinds must be as many as pictures", () => {
  const found = judgeRejection({ known: of(0.9), labels: [0], other: of(0.6), kinds: ["noise"] });
  assert.ok(found.every((each) => !("chosen" in each)));
  assert.throws(
    () => judgeRejection({ known: of(0.9), labels: [0], other: of(0.6), kinds: [] }),
    /expected 1 kinds, one a picture, found 0/,
  );
});
