/** Tests of classification.ts. */

import assert from "node:assert/strict";
import { accuracyBy, accuracyPerClass, judgeClassification, shareWithin } from "./classification.ts";
import { wilsonInterval } from "./interval.ts";

/** Ten pictures of ten classes; picture i has rank i. */
function staircase() {
  const labels = [9, 8, 7, 6, 5, 4, 3, 2, 1, 0], values = new Float32Array(100);
  for (let i = 0; i < 10; i++) {
    const others = labels.filter((label) => label !== labels[i]!);
    const order = [...others.slice(0, i), labels[i]!, ...others.slice(i)];
    order.forEach((classId, place) => values[10 * i + classId] = -place);
  }
  return { scores: { values, classes: 10 }, labels };
}

Deno.test("top-1 and top-5 count the pictures whose right class is among the first, with Wilson's intervals", () => {
  const { scores, labels } = staircase();
  const judged = judgeClassification(scores, labels);
  assert.deepEqual([...judged.ranks], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual(judged.top1, { n: 10, correct: 1, share: 0.1, ci95: wilsonInterval(1, 10) });
  assert.deepEqual(judged.top5, { n: 10, correct: 5, share: 0.5, ci95: wilsonInterval(5, 10) });
  assert.equal(shareWithin(judged.ranks, 10).share, 1);
  assert.deepEqual([judged.n, judged.classes, judged.predicted[0]], [10, 10, 9]);
});

Deno.test("scores that are all equal predict class 0: right for its pictures only", () => {
  const judged = judgeClassification({ values: new Float32Array(30), classes: 10 }, [0, 3, 9]);
  assert.deepEqual([judged.top1.correct, judged.top5.correct], [1, 2]);
});

Deno.test("accuracy by group leaves out pictures without a key and counts each group's pictures", () => {
  const { scores, labels } = staircase();
  const judged = judgeClassification(scores, labels);
  const byHalf = accuracyBy(judged, (picture, label) => label === 9 ? undefined : picture < 5 ? "first" : "second", {
    k: 5,
  });
  assert.deepEqual([...byHalf].map(([key, { n, correct }]) => [key, n, correct]), [["first", 4, 4], ["second", 5, 0]]);
});

Deno.test("accuracy per class has one row for each class with pictures, with its n", () => {
  const values = Float32Array.from([1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0]);
  const judged = judgeClassification({ values, classes: 3 }, [0, 0, 1, 1]);
  assert.deepEqual(accuracyPerClass(judged).map(({ classId, n, correct }) => [classId, n, correct]), [[0, 2, 1], [
    1,
    2,
    2,
  ]]);
});

Deno.test("no pictures give no accuracy", () => {
  assert.throws(
    () => judgeClassification({ values: new Float32Array(0), classes: 3 }, []),
    /expected at least one picture, found none$/,
  );
});
