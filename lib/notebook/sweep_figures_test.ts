/** Tests of sweep_figures.ts and parallel.ts: rows, axes and lines of a made-up sweep. */

import assert from "node:assert/strict";
import type { SweepResult, VariantResult } from "../experiment/mod.ts";
import { Figure } from "./figure.ts";
import { parallelDrawing } from "./parallel.ts";
import { toPlotly } from "./plotly.ts";
import { differenceOfSwitchRows, sweepFigure, sweepPage, sweepRows } from "./sweep_figures.ts";
import { plainTable } from "./table.ts";

function variant(number: number, rate: number, name: string, top1: number): VariantResult {
  return {
    ...{ variant: number, label: `rate ${rate}`, status: "done", epochs: 3, trainings: 1, runs: [], causes: [] },
    parameters: { "schedule.learningRate": rate, "optimizer.name": name },
    ...{ value: top1, lowest: top1, highest: top1, top1, n: 200, top1_ci95: [top1 - 0.05, top1 + 0.05] },
  };
}

const failed: VariantResult = {
  ...{ variant: 4, label: "rate 1", status: "failed", epochs: 3, trainings: 0, runs: [] },
  ...{ parameters: { "schedule.learningRate": 1, "optimizer.name": "sgd" }, causes: ["<b>out of memory</b>"] },
};

const sweep: SweepResult = {
  ...{
    name: "rates",
    method: "grid",
    monitor: "top1",
    profile: "test",
    state: "finished",
    folder: "runs/sweeps/rates",
  },
  variants: [variant(2, 1e-2, "adam", 0.5), variant(1, 1e-4, "sgd", 0.25), variant(3, 1e-3, "sgd", 0.1), failed],
};

Deno.test("rows stand in order, with small rates in full, intervals, and the cause of a failure", () => {
  const rows = sweepRows(sweep);
  assert.deepEqual(rows[0], {
    ...{ place: 1, learningRate: "0.01", "optimizer.name": "adam", epochs: 3, "top-1 %": 50 },
    ...{ "95 %": "45.0\u00a0…\u00a055.0", pictures: 200, failed: undefined },
  });
  assert.equal(rows[1]!["learningRate"], "1e-4");
  assert.deepEqual([rows[3]!["place"], rows[3]!["failed"]], [undefined, "<b>out of memory</b>"]);
  assert.match(plainTable(rows), /1e-4/);
});

Deno.test("a likelihood is no percentage, and several seeds have their spread", () => {
  const [first, ...rest] = sweep.variants;
  const several = { ...first!, trainings: 3, value: 1.5, lowest: 1.25, highest: 1.75 };
  const rows = sweepRows({ ...sweep, monitor: "nll", variants: [several, ...rest] });
  assert.deepEqual([rows[0]!["nll"], rows[0]!["seeds"], rows[0]!["of seeds"]], [1.5, 3, "1.25 … 1.75"]);
});

Deno.test("the figure has an axis a setting and one of the figure, a line each that was trained, the best above", () => {
  const figure = sweepFigure(sweep) as Figure;
  assert.ok(figure.chart.kind === "parallel");
  const { axes, lines, color } = parallelDrawing(figure.chart);
  assert.deepEqual(axes.map(({ name }) => name), ["learningRate", "optimizer.name", "top1 %"]);
  assert.deepEqual(color.range, [10, 50]);
  // 1e-4 … 1e-2 is logarithmic; names stand in the order in which they come; (25 − 10) / 40
  const near = (found: readonly (number | null)[], expected: number[]) =>
    found.forEach((at, i) => assert.ok(Math.abs(at! - expected[i]!) < 1e-9, `${found}`));
  assert.deepEqual(lines.map(({ color }) => color), [10, 25, 50]);
  near(lines[0]!.at, [0.5, 1, 0]);
  near(lines[1]!.at, [0, 1, 0.375]);
  near(lines[2]!.at, [1, 0, 1]);
  assert.deepEqual(axes[0]!.ticks.map(({ text }) => text), ["1e-4", "0.001", "0.01"]);
  assert.deepEqual(axes[1]!.ticks.map(({ text }) => text), ["adam", "sgd"]);
  assert.equal(lines[2]!.texts[0], "rate 0.01: top-1 50 %\nlearningRate: 0.01");
  assert.match(figure.chart.caption, /Not drawn: 1 that failed/);
});

Deno.test("the interactive form has only traces that the bundled Plotly has, the extremes in the colours of the scale's ends", () => {
  const { data } = toPlotly((sweepFigure(sweep) as Figure).chart);
  assert.deepEqual([...new Set(data.map(({ type }) => type))], ["scatter"]);
  const colors = data.slice(0, 3).map(({ line }) => (line as { color: string }).color);
  assert.deepEqual([colors[0], colors[2]], ["#3f74d8", "#e0782f"]);
});

Deno.test("marks of many values are ends and powers of ten; those that would cover each other are left out; no number is a gap", () => {
  const values = Array.from({ length: 20 }, (_, i) => 2e-4 * 1.5 ** i); // to 0.443
  const chart = (dimension: { values: number[]; log?: boolean }) =>
    parallelDrawing({
      ...{ kind: "parallel", title: "t", caption: "c" },
      dimensions: [{ title: "a", ...dimension }, { title: "b", values: dimension.values.map((_, i) => i) }],
    });
  const { axes: [axis] } = chart({ values, log: true });
  assert.deepEqual(axis!.ticks.map(({ text }) => text), ["2e-4", "0.001", "0.01", "0.1", "0.443"]);
  const { axes: [close] } = chart({ values: [0, 0.01, 1] });
  assert.deepEqual(close!.ticks.map(({ text }) => text), ["0", "1"]);
  const { lines, axes: [gap] } = chart({ values: [1, NaN, 3] });
  assert.deepEqual(lines.map(({ at }) => at[0]), [0, null, 1]);
  assert.deepEqual(gap!.ticks.map(({ text }) => text), ["1", "3"]);
  assert.deepEqual(chart({ values: [4, 4] }).lines.map(({ at }) => at[0]), [0.5, 0.5]);
});

Deno.test("an ablation has the differences in points, in the table as in the bars; a sweep without results says so", async () => {
  const ablation: SweepResult = {
    ...sweep,
    method: "ablation",
    differences: [
      { label: "without a", difference: 0.01, ci95: [-0.02, 0.04], p: 0.6, paired: true, trainings: 1 },
      { label: "without b", difference: -0.1234, ci95: [-0.2, -0.05], p: 1e-5, paired: true, trainings: 1 },
    ],
  };
  const [a, b] = differenceOfSwitchRows(ablation);
  assert.deepEqual([a!["top-1, points"], a!["95 %"], a!["McNemar's p"]], [1, "−2.0\u00a0…\u00a04.0", "0.600"]);
  assert.deepEqual([b!["top-1, points"], b!["McNemar's p"]], [-12.3, "< 0.001"]);
  const { chart } = sweepFigure(ablation) as Figure;
  assert.ok(chart.kind === "bar");
  assert.deepEqual([chart.categories, chart.series[0]!.values, chart.series[0]!.low], [
    ["without b", "without a"],
    [-12.34, 1],
    [-20, -2],
  ]);
  assert.ok(!(sweepFigure({ ...sweep, variants: [failed] }) instanceof Figure));
  const page = await sweepPage(sweep);
  assert.ok(/&#60;b&#62;out of memory/.test(page) && !page.includes("<b>out of memory"));
});
