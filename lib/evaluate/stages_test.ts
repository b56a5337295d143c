/** Tests of stages.ts. */

import assert from "node:assert/strict";
import { yoloV3, yoloV3Tiny } from "../models/mod.ts";
import { countOperations } from "./flops.ts";
import { countStages } from "./stages.ts";

Deno.test("countStages() divides YOLOv3 as its paper draws it, and the parts cost what the layers' sizes say", () => {
  const { graph } = yoloV3({ classes: 80, size: 416, random: "zeros" });
  const stages = countStages(graph);
  // Table 1 of Redmon and Farhadi 2018 with 416 pixels; the stride-32 stage has the first five layers behind the backbone too.
  assert.deepEqual(stages.map(({ outputs, shape, convolutions }) => [outputs.length, shape, convolutions]), [
    [3, [32, 416, 416], 1],
    [3, [64, 208, 208], 3],
    [3, [128, 104, 104], 5],
    [3, [256, 52, 52], 17],
    [3, [512, 26, 26], 17],
    [3, [512, 13, 13], 9 + 5],
    [1, [255, 13, 13], 2],
    [2, [256, 13, 13], 1],
    [2, [256, 26, 26], 5],
    [1, [255, 26, 26], 2],
    [1, [255, 52, 52], 1 + 5 + 2],
  ]);
  const coarse = stages[6]!;
  assert.deepEqual(coarse.outputs, ["coarse"]);
  assert.equal(coarse.parameters, 9 * 512 * 1024 + 2 * 1024 + 1024 * 255 + 255);
  assert.equal(coarse.flops, 2 * 13 * 13 * (9 * 512 * 1024 + 1024 * 255));
  assert.deepEqual(stages.map(({ from }) => from), [[], [0], [1], [2], [3], [4], [5], [5], [4, 7], [8], [3, 8]]);
});

Deno.test("the stages of a network sum to the whole network", () => {
  for (
    const { graph } of [yoloV3, yoloV3Tiny].map((make) => make({ classes: 7, size: 64, width: 0.25, random: "zeros" }))
  ) {
    const whole = countOperations(graph), stages = countStages(graph);
    const sum = (key: "flops" | "parameters") => stages.reduce((total, stage) => total + stage[key], 0);
    assert.deepEqual([sum("flops"), sum("parameters")], [whole.flops, whole.parameters], graph.name);
  }
});
