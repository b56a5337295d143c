/** Tests of network_drawing.ts. */

import assert from "node:assert/strict";
import type { Stage } from "../evaluate/mod.ts";
import { jupyterDisplay } from "./display.ts";
import { networkSvg, stageTable } from "./network_drawing.ts";

const stage = (outputs: string[], shape: [number, number, number], from: number[]): Stage => ({
  ...{ outputs, shape, from, convolutions: 2, parameters: 1500, flops: 4e6 },
});

/** A body of two stages; the fine head reads both. */
const stages = [
  stage(["coarse", "fine"], [16, 32, 32], []),
  stage(["coarse", "fine"], [32, 16, 16], [0]),
  stage(["coarse"], [51, 16, 16], [1]),
  stage(["fine"], [51, 32, 32], [0, 1]),
];

Deno.test("the drawing has a block a stage, an arrow for each stage that is read, and all of it inside", () => {
  const { svg, width, height } = networkSvg(stages);
  assert.equal(svg.match(/<rect x=/g)!.length, 4);
  assert.equal(svg.match(/marker-end/g)!.length, 4);
  for (const [, x, y] of svg.matchAll(/<text x="([\d.]+)" y="([\d.]+)"/g)) {
    assert.ok(Number(x) > 0 && Number(x) < width && Number(y) > 0 && Number(y) <= height - 8, `text at ${x}, ${y}`);
  }
  assert.deepEqual([...svg.matchAll(/>(body|neck|head \w+)</g)].map(([, name]) => name), [
    "body",
    "body",
    "head coarse",
    "head fine",
  ]);
});

Deno.test("the table has a row a stage and one in all, in units that fit the whole", async () => {
  const bundle = await stageTable(stages, { caption: "c" })[jupyterDisplay]();
  const text = String(bundle["text/plain"]);
  assert.match(text, /parameters \(thousands\).*operations \(MFLOP\)/);
  assert.match(text, /in all\s+8\s+6\.00\s+16\.00/);
});
