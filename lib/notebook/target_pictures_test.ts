/** Tests of target_pictures.ts. */

import assert from "node:assert/strict";
import type { YoloSpec } from "../models/mod.ts";
import { headColors, positiveMarks, targetPictures } from "./target_pictures.ts";

const spec: YoloSpec = {
  classes: 3,
  size: 64,
  heads: [
    { output: "coarse", stride: 32, anchors: [[40, 50]] },
    { output: "fine", stride: 16, anchors: [[12, 10]] },
  ],
};

Deno.test("a positive's cell is its part of the grid, and its anchor stands around the cell's middle", () => {
  const box = { classId: 0, left: 0, top: 0, right: 1, bottom: 1 };
  const marks = positiveMarks({ head: 1, anchor: 0, row: 1, column: 2, box, weight: 1, classes: [[0, 1]] }, spec);
  assert.deepEqual(marks, [
    { left: 32, top: 16, right: 48, bottom: 32, look: "area", color: 2 },
    { left: 40 - 6, top: 24 - 5, right: 40 + 6, bottom: 24 + 5, look: "dashed", color: 2 },
  ]);
});

Deno.test("a picture's label names the heads that answer for its boxes; one without boxes has none", async () => {
  const large = { classId: 0, weight: 1, left: 10, top: 10, right: 50, bottom: 60 };
  const small = { classId: 1, weight: 1, left: 2, top: 2, right: 14, bottom: 12 };
  const batch = {
    images: new Float32Array(3 * 3 * 64 * 64),
    shape: [3, 3, 64, 64] as const,
    boxes: [[large], [small, large], []],
  };
  const shown = await targetPictures(batch, spec, {}, { side: 64 });
  assert.deepEqual(shown.map(({ label }) => label), ["coarse", "fine, coarse", ""]);
  assert.equal(headColors(spec), "orange: coarse, green: fine");
});
