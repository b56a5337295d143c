import assert from "node:assert/strict";
import type { Scores } from "../evaluate/mod.ts";
import { cascadeAnswers, cascadeCurve, chooseThreshold } from "./cascade.ts";
import { compareRight } from "./overlap.ts";

const scores = (rows: number[][]): Scores => ({ values: Float32Array.from(rows.flat()), classes: rows[0]!.length });

// Right answers are class 0. The cheap model is right and sure twice, wrong and unsure twice; the dear one is wrong once.
const cheap = scores([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.45, 0.55]]);
const dear = scores([[0.7, 0.3], [0.1, 0.9], [0.7, 0.3], [0.7, 0.3]]);
const labels = [0, 0, 0, 0], costs = { cheap: 2, dear: 10 };

Deno.test("a cascade asks about the least sure first; cost and accuracy by hand", () => {
  const curve = cascadeCurve({ cheap, dear, labels, costs, points: 5 });
  assert.deepEqual(curve.map(({ asked }) => asked), [0, 0.25, 0.5, 0.75, 1]);
  assert.deepEqual(curve.map(({ cost }) => cost), [2, 4.5, 7, 9.5, 12]);
  assert.deepEqual(curve.map(({ top1 }) => top1.correct), [2, 3, 4, 3, 3]); // both wrong ones mended, then one spoilt
  const chosen = chooseThreshold(curve, { loss: 0 });
  assert.equal(chosen.asked, 0.5);
  assert.equal(chooseThreshold(curve, { loss: 0.25 }).asked, 0.25);
  const { values } = cascadeAnswers(cheap, dear, chosen.threshold);
  assert.deepEqual(values, scores([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.7, 0.3]]).values);
  assert.deepEqual(cascadeAnswers(cheap, dear, curve.at(-1)!.threshold).values, dear.values);
  assert.deepEqual(cascadeAnswers(cheap, dear, curve[0]!.threshold).values, cheap.values);
  assert.throws(
    () => cascadeCurve({ cheap, dear, labels: [0], costs }),
    /cheap model's answers to 1 pictures, found 4/,
  );
});

Deno.test("two models' errors: what only one gets right, and what a perfect choice between them would give", () => {
  const first = [true, true, false, false, true], second = [true, false, true, false, false];
  const found = compareRight(first, second);
  assert.deepEqual([found.both, found.onlyFirst, found.onlySecond, found.neither], [1, 2, 1, 1]);
  assert.equal(found.difference, 0.2);
  assert.ok(found.ci95[0] < 0.2 && 0.2 < found.ci95[1]);
  assert.equal(found.oracle.correct, 4);
  assert.equal(found.p, 1); // one of three: as likely as not
  assert.throws(() => compareRight([true], []), /expected answers to the same pictures, found 1 and 0/);
});
