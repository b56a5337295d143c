/** Tests of training_figures.ts. */

import assert from "node:assert/strict";
import type { Run } from "../track/mod.ts";
import { lossFigure, rateFigure, validationFigure } from "./training_figures.ts";

const wall = { time: "2026-11-24T10:00:00.000Z", imagesPerSecond: 1 };
const steps: Run["steps"] = Array.from({ length: 240 }, (_, step) => ({
  ...{
    kind: "step" as const,
    step,
    epoch: Math.floor(step / 120),
    loss: 240 - step,
    metrics: { box: 1, class: 239 - step },
  },
  ...{ learningRate: step === 7 ? 0.5 : 0.1, gradientNorm: 1, finite: step !== 0, images: 8, wall },
}));
const validation = (epoch: number, figures: Record<string, number>, best: boolean) => ({
  ...{ kind: "validation" as const, step: 120 * (epoch + 1), epoch, figures, best, wall: { ...wall, seconds: 1 } },
});
const validations: Run["validations"] = [
  validation(0, { top1: 0.25, loss: 200 }, true),
  validation(1, { top1: 0.2, loss: 210 }, false),
];

Deno.test("the loss and its parts are means of stretches of finite steps, validation's loss stands at its steps", () => {
  const { chart } = lossFigure({ steps, validations });
  assert.ok(chart.kind === "line");
  assert.deepEqual(chart.series.map(({ name }) => name), ["loss", "box", "class", "loss on validation"]);
  assert.deepEqual([chart.series[0]!.x.length, chart.series[0]!.x[0], chart.series[0]!.y[0]], [120, 1.5, 238.5]);
  assert.deepEqual([chart.series[3]!.x, chart.series[3]!.y], [[120, 240], [200, 210]]);
  assert.match(chart.caption, /^From 239 to 1\.00 in 240 steps/);
});

Deno.test("captions name the best epoch and the highest rate; figures that a run does not have are left out", () => {
  const { chart } = validationFigure({ validations });
  assert.ok(chart.kind === "line");
  assert.deepEqual(chart.series.map(({ name, x, y }) => [name, x, y]), [["top-1", [1, 2], [25, 20]]]);
  assert.equal(chart.caption, "The best weights are those after epoch 1: top-1 25.0 %.");
  assert.match(rateFigure({ steps }).chart.caption, /highest, 0\.50, at step 7 of 240/);
});
