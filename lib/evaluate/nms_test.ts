/** Tests of nms.ts, worked by hand. */

import assert from "node:assert/strict";
import type { ScoredBox } from "./detection/box.ts";
import { candidateBoxes, nonMaximumSuppression } from "./nms.ts";

/** A square of side 10. Two of them that are `d` apart overlap by (10 − d) / (10 + d): d = 2 → 2/3, 4 → 3/7, 5 → 1/3. */
const square = (left: number, score: number, classId = 0): ScoredBox => ({
  classId,
  score,
  left,
  top: 0,
  right: left + 10,
  bottom: 10,
});
const lefts = (boxes: readonly ScoredBox[]) => boxes.map(({ left }) => left);

Deno.test("a box goes when it overlaps a surer one by more than the threshold", () => {
  const boxes = [square(0, 0.5), square(2, 0.9), square(6, 0.7), square(30, 0.1)];
  // 2 stays; 6 overlaps it by 3/7 and stays; 0 overlaps 2 by 2/3 and goes.
  assert.deepEqual(lefts(nonMaximumSuppression(boxes)), [2, 6, 30]);
  assert.deepEqual(lefts(nonMaximumSuppression(boxes, { iouThreshold: 0.4 })), [2, 30]);
  assert.deepEqual(lefts(nonMaximumSuppression(boxes, { iouThreshold: 0.7 })), [2, 6, 0, 30]);
});

Deno.test("an overlap equal to the threshold is not more than it", () => {
  const boxes = [square(0, 0.9), square(5, 0.8)];
  assert.equal(nonMaximumSuppression(boxes, { iouThreshold: 50 / 150 }).length, 2);
  assert.equal(nonMaximumSuppression(boxes, { iouThreshold: 0.333 }).length, 1);
});

Deno.test("a box that went suppresses nothing", () => {
  // 4 goes because of 0; 8 overlaps 4, but not 0, so much.
  const boxes = [square(0, 0.9), square(4, 0.8), square(8, 0.7)];
  assert.deepEqual(lefts(nonMaximumSuppression(boxes, { iouThreshold: 0.4 })), [0, 8]);
});

Deno.test("classes do not suppress each other unless asked to", () => {
  const boxes = [square(0, 0.9, 0), square(0, 0.8, 1), square(0, 0.7, 1)];
  assert.deepEqual(nonMaximumSuppression(boxes).map(({ classId, score }) => [classId, score]), [[0, 0.9], [1, 0.8]]);
  assert.deepEqual(nonMaximumSuppression(boxes, { classAgnostic: true }), [boxes[0]!]);
});

Deno.test("boxes below the score and beyond the number are left out; of equal scores the earlier stays", () => {
  const boxes = [square(0, 0.5), square(1, 0.5), square(20, 0.24), square(40, 0.25), square(60, 0.6)];
  assert.deepEqual(lefts(nonMaximumSuppression(boxes, { scoreThreshold: 0.25 })), [60, 0, 40]);
  assert.deepEqual(lefts(nonMaximumSuppression(boxes, { maxDetections: 2 })), [60, 0]);
  assert.deepEqual(nonMaximumSuppression([]), []);
});

Deno.test("a score or an edge that is not a number is refused", () => {
  assert.throws(
    () => nonMaximumSuppression([square(0, NaN)]),
    /^EvaluateError: box 0: expected numbers, found score NaN/,
  );
  assert.throws(() => nonMaximumSuppression([square(NaN, 1)]), /edges NaN, 0, NaN, 10$/);
});

Deno.test("candidateBoxes() takes every class of a place that scores enough, or only its best", () => {
  const edges = Float32Array.from([0, 0, 1, 1, 0, 0, 0.5, 0.25]);
  const scores = { values: Float32Array.from([0.125, 0.5, 0.25, 0, 0.125, 0.75]), classes: 3 };
  const all = candidateBoxes(edges, scores, { scoreThreshold: 0.25 });
  assert.deepEqual(all.map(({ classId, score, bottom }) => [classId, score, bottom]), [[1, 0.5, 1], [2, 0.25, 1], [
    2,
    0.75,
    0.25,
  ]]);
  const best = candidateBoxes(edges, scores, { scoreThreshold: 0.25, classesOfPlace: "best" });
  assert.deepEqual(best.map(({ score }) => score), [0.5, 0.75]);
  const surest = candidateBoxes(edges, scores, { scoreThreshold: 0, maxCandidates: 2 });
  assert.deepEqual(surest.map(({ score }) => score), [0.75, 0.5]);
  assert.throws(() => candidateBoxes(edges, { ...scores, classes: 2 }, { scoreThreshold: 0 }), /found 6 scores$/);
});

Deno.test("10,000 boxes of 1,025 classes are done in less than three seconds", () => {
  const boxes = Array.from({ length: 10_000 }, (_, i) => square((i * 7919) % 1000, (i * 104729) % 997 / 997, i % 1025));
  const begin = performance.now();
  nonMaximumSuppression(boxes, { maxDetections: 10_000 });
  assert.ok(performance.now() - begin < 3000);
});
