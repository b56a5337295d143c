/** Tests of key figures. */

import assert from "node:assert/strict";
import { figureDetail, figureValue, makeKeyFigure } from "./key_figure.ts";

Deno.test("a key figure shows value, unit, interval, n and split", () => {
  const figure = makeKeyFigure("top-1", 41.27, { unit: "%", n: 1530, ci95: [38.8, 43.7], split: "test" });
  assert.equal(figureValue(figure), "41.3\u00a0%");
  assert.equal(figureDetail(figure), "95\u00a0% interval 38.8\u2009…\u200943.7 · n\u00a0=\u00a01,530 · test");
  assert.equal(figure.value, 41.27, "results.json keeps every digit");
});

Deno.test("a key figure that is no number, or outside its interval, is refused", () => {
  assert.throws(() => makeKeyFigure("x", NaN), /key figure "x": expected a finite number, found NaN/);
  assert.throws(() => makeKeyFigure("x", 5, { ci95: [1, 2] }), /expected a 95 % interval that holds 5, found 1 … 2/);
});
