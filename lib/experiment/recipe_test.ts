/** Tests of recipe.ts: schedules by closed form. */

import assert from "node:assert/strict";
import { smallConfig } from "./fixture.ts";
import { assignmentOf, monitorOf, scheduleOf } from "./recipe.ts";

const schedule = (settings: Record<string, unknown>) =>
  smallConfig({ epochs: 10 }, { schedule: { learningRate: 0.1, ...settings } }).schedule;
const near = (found: number, expected: number) => assert.ok(Math.abs(found - expected) < 1e-9, `${found}, ${expected}`);

Deno.test("cosine rises in a straight line for the warm-up's epochs and falls along half a cosine to the floor", () => {
  const rate = scheduleOf(schedule({ kind: "cosine", warmUpEpochs: 2, floor: 0.1 }), { steps: 100, stepsPerEpoch: 10 });
  near(rate(0), 0);
  near(rate(10), 0.05);
  near(rate(20), 0.1);
  near(rate(60), 0.055); // half way: the mean of peak and floor
  near(rate(100), 0.01);
});

Deno.test("step multiplies at its milestones, counted in epochs from the start, warm-up included", () => {
  const rate = scheduleOf(schedule({ kind: "step", warmUpEpochs: 1, milestones: [5, 8], factor: 0.1 }), {
    steps: 100,
    stepsPerEpoch: 10,
  });
  const at = [[10, 0.1], [49, 0.1], [50, 0.01], [79, 0.01], [80, 0.001]] as const;
  for (const [step, expected] of at) near(rate(step), expected);
});

Deno.test("oneCycle has its peak at the end of the warm-up, linear ends at its floor, constant stays", () => {
  const place = { steps: 100, stepsPerEpoch: 10 };
  near(scheduleOf(schedule({ kind: "oneCycle", warmUpEpochs: 2 }), place)(19), 0.1); // PyTorch's peak: rise · steps − 1
  near(scheduleOf(schedule({ kind: "linear", floor: 0.5 }), place)(100), 0.05);
  near(scheduleOf(schedule({ kind: "constant" }), place)(99), 0.1);
});

Deno.test("losses are monitored downwards, accuracies upwards; the assignment is that of the loss", () => {
  const mode = (monitor: string) => monitorOf(smallConfig({ monitor }).training).mode;
  assert.deepEqual(["top1", "mAP50", "nll", "loss"].map(mode), ["max", "max", "min", "min"]);
  const { loss } = smallConfig({}, { loss: { maxBoxes: 4, anchorThreshold: 0.3, neighbours: true } });
  assert.deepEqual(assignmentOf(loss), { maxBoxes: 4, anchorThreshold: 0.3, neighbours: true });
});
