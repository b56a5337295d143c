/** Tests of ranking.ts. */

import assert from "node:assert/strict";
import { EvaluateError } from "./errors.ts";
import { ranksOf, type Scores, topK } from "./ranking.ts";

const scores = (...rows: number[][]): Scores => ({ values: Float32Array.from(rows.flat()), classes: rows[0]!.length });

Deno.test("ranksOf() counts the classes that come before the right one", () => {
  const given = scores([0.1, 0.7, 0.2], [0.5, 0.2, 0.3]);
  assert.deepEqual([...ranksOf(given, [1, 1])], [0, 2]);
  assert.deepEqual([...ranksOf(given, [0, 0])], [2, 0]);
});

Deno.test("of equal scores the lower class id comes first, in ranks and in predictions", () => {
  const given = scores([1, 1, 1], [0, 2, 2], [-Infinity, -Infinity, 0]);
  assert.deepEqual([...topK(given, 3)], [0, 1, 2, 1, 2, 0, 2, 0, 1]);
  for (let place = 0; place < 3; place++) {
    const labels = [0, 1, 2].map((row) => topK(given, 3)[3 * row + place]!);
    assert.deepEqual([...ranksOf(given, labels)], [place, place, place]);
  }
});

Deno.test("topK() gives what sorting gives", () => {
  const rows = Array.from({ length: 20 }, (_, i) => Array.from({ length: 50 }, (_, c) => (i * 37 + c * c * 11) % 23));
  const sorted = rows.flatMap((row) =>
    row.map((value, c) => [value, c] as const).sort(([a, i], [b, j]) => b - a || i - j).slice(0, 7).map(([, c]) => c)
  );
  assert.deepEqual([...topK(scores(...rows), 7)], sorted);
});

Deno.test("scores and labels that do not fit are refused", () => {
  const refused: [() => unknown, RegExp][] = [
    [() => ranksOf(scores([1, NaN]), [0]), /found NaN for class 1 of picture 0$/],
    [() => ranksOf(scores([1, 2]), [2]), /expected a class in 0 … 1, found 2 for picture 0$/],
    [() => ranksOf(scores([1, 2]), [0.5]), /found 0.5 for picture 0$/],
    [() => ranksOf(scores([1, 2]), [0, 1]), /expected 1, one a picture, found 2$/],
    [
      () => ranksOf({ values: new Float32Array(5), classes: 2 }, [0, 1]),
      /expected rows of 2 classes, found 5 numbers$/,
    ],
    [() => topK(scores([1, 2]), 3), /expected k in 1 … 2, found 3$/],
  ];
  for (const [judge, message] of refused) {
    assert.throws(judge, (error: Error) => error instanceof EvaluateError && message.test(error.message));
  }
});
