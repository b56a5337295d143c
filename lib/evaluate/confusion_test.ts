/** Tests of confusion.ts. */

import assert from "node:assert/strict";
import { confusion, mostConfused } from "./confusion.ts";

const labels = [0, 0, 0, 1, 1, 1, 1, 2, 1000];
const predicted = [0, 2, 2, 0, 0, 1, 2, 1, 0];

Deno.test("confusion() counts each pair of true and predicted class, the right ones too", () => {
  const table = confusion({ labels, predicted });
  assert.deepEqual([table.count(0, 2), table.count(0, 0), table.count(2, 0), table.count(5, 5)], [2, 1, 0, 0]);
  assert.deepEqual([table.total(1), table.total(7)], [4, 0]);
  assert.deepEqual(table.pairs.map(([truth, guess, { length }]) => [truth, guess, length]), [
    [0, 0, 1],
    [0, 2, 2],
    [1, 0, 2],
    [1, 1, 1],
    [1, 2, 1],
    [2, 1, 1],
    [1000, 0, 1],
  ]);
});

Deno.test("mostConfused() lists wrong pairs only, by count, then by share of the class, with the surest mistakes first", () => {
  const confidences = [0.9, 0.3, 0.8, 0.5, 0.6, 1, 0.2, 0.1, 0.7];
  const pairs = mostConfused(confusion({ labels, predicted }), { confidences });
  assert.deepEqual(pairs.map(({ truth, predicted }) => [truth, predicted]), [[0, 2], [1, 0], [2, 1], [1000, 0], [
    1,
    2,
  ]]);
  assert.deepEqual(pairs[0], { truth: 0, predicted: 2, count: 2, share: 2 / 3, reverse: 0, pictures: [2, 1] });
  assert.deepEqual(pairs[2], { truth: 2, predicted: 1, count: 1, share: 1, reverse: 1, pictures: [7] });
  const cut = mostConfused(confusion({ labels, predicted }), { limit: 2, examples: 1 });
  assert.deepEqual(cut.map(({ count, pictures }) => [count, pictures]), [[2, [1]], [2, [3]]]);
});

Deno.test("confusion() refuses other numbers of predictions than of labels", () => {
  assert.throws(
    () => confusion({ labels, predicted: [1] }),
    /^EvaluateError: confusion: expected 9 predictions, found 1$/,
  );
});
