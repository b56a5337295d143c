/** Tests of reliability_figure.ts. */

import assert from "node:assert/strict";
import { reliabilityFigure, reliabilityOf } from "./reliability_figure.ts";

Deno.test("the line has a point for each filled bin, and a classifier whose confidence is right lies on the diagonal", () => {
  // Four predictions at 75 %, of which three are right; two at 100 % that are right.
  const values = Float32Array.from([0.75, 0.25, 0.75, 0.25, 0.75, 0.25, 0.75, 0.25, 1, 0, 1, 0]);
  const found = reliabilityOf({ values, classes: 2 }, [0, 0, 0, 1, 0, 0], { bins: 4 });
  assert.equal(found.ece, 0);
  const { chart } = reliabilityFigure({ raw: found }, { title: "t", caption: "c" });
  assert.ok(chart.kind === "line");
  assert.deepEqual(chart.series.map(({ name, x, y }) => [name, x, y]), [
    ["raw", [75, 100], [75, 100]],
    ["as sure as right", [0, 100], [0, 100]],
  ]);
});
