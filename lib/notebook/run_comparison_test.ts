/** Tests of run_comparison.ts. */

import assert from "node:assert/strict";
import type { RunComparison, RunSummary } from "../track/mod.ts";
import { comparisonPage, differenceRows, runFigures, runRows } from "./run_comparison.ts";

function summary(id: string, figures: Record<string, number>): RunSummary {
  return {
    ...{
      id,
      folder: `runs/${id}`,
      name: id,
      state: "finished",
      started: "2026-11-24T10:00:00.000Z",
      epochs: 2,
      steps: 6,
    },
    ...{ images: 48, loss: 1.5, figures, incidents: 0, resumes: 0, checkpoints: 1, bytes: 2_345_678 },
  };
}

const comparison: RunComparison = {
  runs: [summary("a<script>", { top1: 0.5 }), summary("b", { top1: 0.75, map50: 0.25 })],
  differences: { "optimizer.name": ["sgd", "adamW"], betas: [undefined, [0.9, 0.99]] },
  loss: [{ run: "a<script>", x: [0, 1], y: [3, 2] }, { run: "b", x: [0, 1], y: [4, 1] }],
  learningRate: [{ run: "a<script>", x: [], y: [] }],
  figures: { top1: [{ run: "a<script>", x: [1], y: [0.5] }, { run: "b", x: [1], y: [0.75] }] },
};

Deno.test("each curve has its figure with one line a run, and a curve that no run has none", () => {
  const charts = runFigures(comparison).map(({ chart }) => chart);
  assert.deepEqual(charts.map(({ title }) => title), ["Training loss", "Validation: top1"]);
  assert.ok(charts[0]!.kind === "line");
  assert.deepEqual(charts[0]!.series.map(({ name, y }) => [name, y]), [["a<script>", [3, 2]], ["b", [4, 1]]]);
});

Deno.test("rows hold the figures of all runs and the settings that differ", () => {
  assert.deepEqual(runRows(comparison.runs)[0], {
    ...{ run: "a<script>", state: "finished", started: "2026-11-24 10:00", epochs: 2, steps: 6, loss: 1.5, top1: 0.5 },
    ...{ map50: undefined, checkpoints: 1, MB: 2.3 },
  });
  assert.deepEqual(differenceRows(comparison), [
    { setting: "optimizer.name", "a<script>": "sgd", b: "adamW" },
    { setting: "betas", "a<script>": undefined, b: "[0.9,0.99]" },
  ]);
});

Deno.test("the page loads nothing from anywhere and holds figures and tables with names made safe", async () => {
  const html = await comparisonPage(comparison);
  assert.match(html, /default-src 'none'/);
  assert.doesNotMatch(html.replace(/<script[^>]*>[^]*?<\/script>/g, ""), /(src|href)="(https?:)?\/\//);
  assert.ok(!html.includes("a<script>"));
  for (const text of ["2 runs compared", "Training loss", "Validation: top1", "optimizer.name", "a&#60;script&#62;"]) {
    assert.ok(html.includes(text), text);
  }
});
