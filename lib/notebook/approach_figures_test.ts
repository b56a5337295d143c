import assert from "node:assert/strict";
import { shareOf } from "../evaluate/mod.ts";
import { type ApproachComparison, type ComparedApproach, compareRight } from "../hybrid/mod.ts";
import { approachRows, approachTable, cascadeFigure, costTable, paretoFigure } from "./approach_figures.ts";
import { type Displayable, jupyterDisplay } from "./display.ts";
import { makeApproach } from "./leaderboard.ts";

const right = [true, true, false, false];
const row = (name: string, kind: ComparedApproach["kind"], latency: number, onFront: boolean): ComparedApproach => ({
  ...{ name, kind, family: kind === "classifier" ? "pictures" : "hybrid", onFront, right, predicted: [0, 0, 0, 0] },
  ...{ top1: shareOf(2, 4), top5: shareOf(4, 4), ece: 0.125, validation: { top1: 0.5, nll: 1 } },
  cost: { parameters: 1.5e6, bytes: 2e6, operations: 3e6, moved: 4e6, energy: 0.25, latency },
  against: compareRight(right, right),
});
const comparison: ApproachComparison = {
  rows: [row("net", "classifier", 1, true), row("both", "hybrid", 8, false)],
  ...{ bestSingle: "net", bestHybrid: "both", pictures: 4, species: 3 },
};

const textOf = async (shown: Displayable) =>
  String((await shown[jupyterDisplay]())["text/plain"]).replaceAll("\u00a0", " ");

Deno.test("the table gives percent, and the difference to the best single model for all but itself", async () => {
  const text = await textOf(approachTable(comparison));
  assert.match(text, /net\s+pictures\s+50\.0\s+15\.0 … 85\.0\s+12\.5\s*\n/);
  assert.match(text, /both\s+hybrid\s+50\.0\s+15\.0 … 85\.0\s+12\.5\s+0\.0\s+−?\d+\.\d … \d+\.\d/);
  assert.match(text, /3-way on the same 4 test pictures\. Points: to net/);
  assert.doesNotMatch(text, /corrupted/i); // nothing was
});

Deno.test("costs are in millions and milliseconds, and the front is marked", async () => {
  const text = await textOf(costTable(comparison));
  assert.match(text, /net \*\s+1\.50\s+2\.00\s+1\.00\s+3\.0\s+4\.0\s+0\.25/);
  assert.match(text, /both\s+1\.50\s+2\.00\s+8\.00/);
});

Deno.test("accuracy against time has a series a family, and its caption names the front alone", () => {
  const { chart } = paretoFigure(comparison);
  assert.ok(chart.kind === "scatter");
  assert.deepEqual(chart.series.map(({ name, x, y }) => [name, x, y]), [
    ["pictures alone", [1], [50]],
    ["hybrid", [8], [50]],
  ]);
  assert.match(chart.caption, /than: net \(50\.0 %, 1\.00 ms\)\. 4 test/);
});

Deno.test("a cascade's curve is in percent, and the place is that of validation", () => {
  const points = [0, 0.5, 1].map((asked, i) => ({
    threshold: asked,
    asked,
    cost: 1 + 4 * asked,
    top1: shareOf(i + 1, 4),
  }));
  const { chart } = cascadeFigure(points, { name: "c", chosen: { ...points[1]!, asked: 0.45 } });
  assert.ok(chart.kind === "line");
  assert.deepEqual([chart.series[0]!.x, chart.series[0]!.y], [[1, 3, 5], [25, 50, 75]]);
  assert.match(chart.caption, /45 % of the pictures .* 50\.0 % at 3\.00 ms/);
});

Deno.test("the leaderboard takes the rows", () => {
  const split = { name: "test", n: 4, species: 3, hash: "0".repeat(64) } as const;
  const [first] = approachRows(comparison).map((figures) => makeApproach(split, figures));
  assert.deepEqual([first!.family, first!.top1, first!.latencyMs, first!.bytes], ["classifier", 0.5, 1, 2e6]);
});
