/** Tests of share_figure.ts. */

import assert from "node:assert/strict";
import { shareOf } from "../evaluate/mod.ts";
import { shareFigure } from "./share_figure.ts";

const words = { title: "t", caption: "c", by: "style" };

Deno.test("shares become percent with their intervals, and keys are followed by the number that all series agree on", () => {
  const { chart } = shareFigure({
    ours: new Map([["a", shareOf(81, 263)], ["b", shareOf(1, 4)]]),
    theirs: new Map([["a", shareOf(15, 148)], ["b", shareOf(2, 4)]]),
  }, words);
  assert.ok(chart.kind === "bar");
  assert.deepEqual(chart.categories, ["a", "b (4)"]);
  const [ours] = chart.series;
  assert.equal(ours!.values[1], 25);
  // Newcombe 1998: Wilson's interval of 81 of 263
  assert.deepEqual([ours!.low![0]!.toFixed(2), ours!.high![0]!.toFixed(2)], ["25.53", "36.62"]);
  assert.deepEqual([chart.x.title, chart.y.unit], ["style", "%"]);
});

Deno.test("bars to the right have the percentages on the x axis", () => {
  const { chart } = shareFigure({ one: new Map([["a", shareOf(1, 2)]]) }, { ...words, horizontal: true });
  assert.ok(chart.kind === "bar");
  assert.deepEqual([chart.horizontal, chart.x.unit, chart.y.title], [true, "%", "style"]);
});
