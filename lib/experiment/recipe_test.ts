/** Tests of recipe.ts: schedules and updates by closed form. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { Graph, mul, reduceSum } from "../onnx/mod.ts";
import { tensor, toNumbers } from "../runtime/mod.ts";
import { compileStep, matchesName } from "../train/mod.ts";
import { readTrainingConfig } from "./config.ts";
import { smallConfig } from "./fixture.ts";
import { buildDetector } from "./network.ts";
import { assignmentOf, monitorOf, optimizerOf, scheduleOf } from "./recipe.ts";
import { projectFolder } from "./settings.ts";

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

Deno.test("decay groups and multipliers reach the update, the rates of all decay scaled by the factor", async () => {
  const graph = new Graph("three"), x = graph.input("x", "float32", ["N", 2]);
  let y = x;
  for (const name of ["body.weight", "head.weight", "still.weight"]) {
    y = mul(y, graph.parameter(name, { shape: [1, 2], init: () => Float32Array.of(2, 4) }));
  }
  graph.output(y, "y");
  const { optimizer } = smallConfig({}, {
    optimizer: {
      ...{ name: "sgd", momentum: 0, weightDecay: 0.1 },
      decayGroups: [{ pattern: ["head.*"], rate: 0.4 }],
      multipliers: [{ pattern: "still.*", factor: 0 }, { pattern: "*.weight", factor: 0.5 }],
    },
  });
  await using step = await compileStep({
    model: graph,
    loss: ({ output }) => mul(reduceSum(output("y")), 0), // no gradient: what remains is decay
    optimizer: optimizerOf(optimizer, { decayFactor: 0.5 }),
    symbols: { N: 1 },
  });
  await step.run({ x: tensor("float32", [1, 2], [1, 1]) }, { learningRate: 1 });
  const weights = await step.parameters({ weights: "current" });
  const after = (name: string) => toNumbers(weights[name]!);
  // w − 1 · multiplier · (rate · 0.5) · w
  const expected = { "body.weight": 1 - 0.5 * 0.05, "head.weight": 1 - 0.5 * 0.2, "still.weight": 1 };
  for (const [name, factor] of Object.entries(expected)) {
    after(name).forEach((found, i) => assert.ok(Math.abs(found - factor * [2, 4][i]!) < 1e-6, `${name} ${found}`));
  }
});

Deno.test("every name of the improved recipe's decay groups is there in its network", async () => {
  const { model, optimizer } = await readTrainingConfig(join(projectFolder, "configs", "yolov3", "improved.yaml"));
  const { graph, spec } = buildDetector({ ...model, width: 0.01, size: 32 }, { classes: 2, seed: 0 });
  const names = graph.parameters.map(({ name }) => name);
  for (const pattern of optimizer.decayGroups.flatMap(({ pattern }) => pattern)) {
    assert.ok(names.some((name) => matchesName(name, pattern)), pattern);
  }
  const heads = spec.heads.map(({ output }) => graph.value(output).producer!.input(1).name);
  assert.deepEqual(optimizer.decayGroups[1]!.pattern, heads);
  const drops = graph.nodes.filter(({ opType }) => opType === "Dropout").map(({ name }) => name);
  assert.equal(drops.length, 3 + 23); // before each head, and in Darknet-53's residual blocks
});
