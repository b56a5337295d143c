import assert from "node:assert/strict";
import type { K210Layer } from "./check.ts";
import { estimateK210 } from "./estimate.ts";

const layer = (rows: number, macs: number, unit: "KPU" | "CPU" = "KPU"): K210Layer => ({
  ...{ name: "layer", operator: "3x3", unit, input: [128, rows, rows], output: [128, rows, rows] },
  ...{ mapBytes: 0, weightBytes: 0, macs, problems: [] },
});

Deno.test("the published layer of 64 x 64 takes its 3.9 ms at 300 MHz, so 2.9 at 400", () => {
  const macs = 128 * 128 * 9 * 64 * 64; // 603,979,776
  assert.equal(estimateK210({ layers: [layer(64, macs)], macs }).kpuMilliseconds, 2.9);
  // Twice the layer at 4 x 4: 2 · 0.339 ms · 3 / 4.
  const small = 128 * 128 * 9 * 16;
  assert.equal(estimateK210({ layers: [layer(4, small), layer(4, small)], macs: 2 * small }).kpuMilliseconds, 0.51);
});

Deno.test("frames a second are those of the published programs: MobileNetV1 on 320 x 240 gets its 20 to 30", () => {
  const macs = 871e6;
  assert.deepEqual(estimateK210({ layers: [layer(64, macs)], macs }).framesPerSecond, [20, 30]);
  // A network ten times as small is not ten times as fast: camera and display stay.
  assert.deepEqual(estimateK210({ layers: [layer(64, macs / 10)], macs: macs / 10 }).framesPerSecond, [70, 70]);
  assert.match(estimateK210({ layers: [], macs }).basis, /^an estimate .* not measured$/);
});
