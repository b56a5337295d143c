import assert from "node:assert/strict";
import type { FewShotPoint } from "../vlm/mod.ts";
import { Figure } from "./figure.ts";
import { fewShotFigure, fewShotTable } from "./few_shot_figure.ts";
import { jupyterDisplay } from "./display.ts";

const band = (mean: number, spread = 0) => ({ mean, low: mean - spread, high: mean + spread, deviation: spread });
const point = (adapter: string, shots: FewShotPoint["shots"], pictures: number, top1: number): FewShotPoint => ({
  ...{ adapter, shots, pictures, seeds: 5, failed: shots === 4 ? 1 : 0, seconds: 1 },
  ...{ top1: band(top1, 0.02), top5: band(1) },
});
const points = [
  point("zero-shot", 0, 0, 0.1),
  point("gda", 4, 40, 0.4),
  point("gda", 1, 10, 0.3),
  point("gda", "all", 120, 0.5),
];

Deno.test("few-shot curves stand in the order of pictures, and the text alone is a level line", () => {
  const figure = fewShotFigure({ points }, { classes: 10 });
  assert.ok(figure instanceof Figure && figure.chart.kind === "line");
  const [zero, gda] = figure.chart.series;
  assert.deepEqual([gda!.x, gda!.y.map(Math.round)], [[1, 4, 12], [30, 40, 50]]);
  assert.deepEqual([zero!.x, zero!.y], [[1, 12], [10, 10]]);
  assert.deepEqual(gda!.low!.map(Math.round), [28, 38, 48]);
});

Deno.test("the table has a column a number of shots, in order, and tells of failures; nothing learned is said", async () => {
  const text = String((await fewShotTable({ points })[jupyterDisplay]())["text/plain"]);
  assert.match(text, /adapter\s+0 shots\s+1 shots\s+4 shots\s+all/);
  assert.match(text, /gda\s+30\.0 ± 2\.0\s+40\.0 ± 2\.0 \(1 failed\)\s+50\.0 ± 2\.0/);
  const none = fewShotFigure({ points: points.slice(0, 1) }, { classes: 10 });
  assert.match(String((await none[jupyterDisplay]())["text/markdown"]), /No adapter has learned/);
});
