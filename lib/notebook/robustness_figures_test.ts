/** Tests of robustness_figures.ts. */

import assert from "node:assert/strict";
import type { PartAccuracy, RobustnessReport } from "../experiment/mod.ts";
import { coverageFigure, robustnessFigure, rocFigure } from "./robustness_figures.ts";

const of = (correct: number, n = 10): PartAccuracy => ({ n, correct, top1: correct / n, top1_ci95: [0, 1] });
const corruption = (name: "noise" | "scale", clean: number, right: readonly [severity: 1 | 3, correct: number][]) => ({
  ...{ corruption: name, about: "", unit: "", clean: of(clean) },
  severities: right.map(([severity, correct]) => ({ severity, strength: 0, ...of(correct) })),
  mean: right.reduce((sum, [, correct]) => sum + correct / 10, 0) / right.length,
});
const corruptions = [corruption("noise", 9, [[1, 8], [3, 6]]), corruption("scale", 9, [[1, 4]])];

const threshold = {
  value: 0.5,
  known: { n: 2, accepted: 2, share: 1, ci95: [0, 1] },
  other: { n: 2, accepted: 1, share: 0.5, ci95: [0, 1] },
} as const;
const confidence = (name: "probability" | "entropy", auroc: number, aurc: number) => ({
  ...{ confidence: name, auroc, standardError: 0.1, perKind: [], own: threshold, aurc, excessAurc: 0 },
  ...{ auroc_ci95: [0.4, 0.95] as const, roc: { fpr: [0, 0, 1], tpr: [0, 0.5, 1] } },
  coverage: { coverage: [0.5, 1], accuracy: [1, 0.5] },
});
const rejection: NonNullable<RobustnessReport["rejection"]> = {
  ...{ accept: 0.95, known: 2, others: 2 },
  confidences: [confidence("probability", 0.7, 0.3), confidence("entropy", 0.8, 0.2)],
};

Deno.test("the heat map has a row a corruption, clean beside the severities, empty where one was not measured", () => {
  const { chart } = robustnessFigure({ corruptions, clean: of(9), n: 10, mean: 0.55 });
  assert.ok(chart.kind === "heatmap");
  assert.deepEqual([chart.rows, chart.columns], [["noise", "scale"], ["clean", "1", "3"]]);
  assert.deepEqual(chart.values, [[90, 80, 60], [90, 40, NaN]]);
  assert.equal(
    chart.caption,
    "Of 10 pictures 90.0 % are named rightly as they are, 55.0 % on average corrupted, most by scale (to 40.0 %), least by noise " +
      "(to 70.0 %).",
  );
});

Deno.test("the characteristic has a line a confidence beside chance, and names the best; coverage names the least risky", () => {
  const roc = rocFigure(rejection).chart;
  assert.ok(roc.kind === "line");
  assert.deepEqual(roc.series.map(({ name }) => name), ["probability", "entropy", "chance"]);
  assert.deepEqual([roc.series[0]!.x, roc.series[0]!.y], [[0, 0, 100], [0, 50, 100]]);
  assert.match(
    roc.caption,
    /^By its entropy the model tells 2 known pictures from 2 others best: .* 0\.800 \[0\.400, 0\.950\]/,
  );
  const coverage = coverageFigure(rejection).chart;
  assert.ok(coverage.kind === "line");
  assert.equal(
    coverage.caption,
    "Of all 2 pictures 50.0 % are named rightly, of the half that is surest by entropy 100.0 %.",
  );
  assert.deepEqual(coverage.series[1], { name: "entropy", x: [50, 100], y: [100, 50] });
});
