/** The curve of a small model: what is judged is kept, and what was kept is of the same study. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { buildSmallData } from "../../../tests/experiment/small_data.ts";
import { countOperations } from "../../evaluate/mod.ts";
import { fromFile } from "../../onnx/mod.ts";
import { smallPackage } from "../targets/export_fixture.ts";
import { pruningCurve } from "./pruning_curve.ts";

Deno.test("the whole model and one point a share, kept in a file that belongs to the study", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_curve_" });
  try {
    const dataFolder = await buildSmallData(folder),
      model = await smallPackage(folder),
      file = join(folder, "curve.jsonl");
    const settings = {
      model,
      dataFolder,
      file,
      shares: [0.75, 0.5],
      multiple: 4,
      least: 4,
      judged: 12,
      sample: 8,
      threads: 1,
    };
    const points = await pruningCurve(settings);
    assert.deepEqual(points.map(({ share }) => share), [1, 0.75, 0.5]);
    const { macs, parameters } = countOperations(await fromFile(join(model, "model.onnx")));
    assert.deepEqual([points[0]!.macs, points[0]!.parameters], [macs, parameters]);
    // One convolution with 32 filters and a matrix: all multiplications are in proportion to the filters.
    assert.deepEqual(points.map((point) => point.macs / macs), [1, 0.75, 0.5]);
    assert.ok(points.every(({ before: { n, correct } }) => n > 0 && correct <= n));
    assert.ok(points[2]!.bytes < points[1]!.bytes && points[1]!.bytes < points[0]!.bytes);
    const lines = await Deno.readTextFile(file);
    assert.equal(lines.trim().split("\n").length, 4);
    assert.deepEqual(await pruningCurve(settings), points);
    assert.equal(await Deno.readTextFile(file), lines); // nothing was judged again
    await assert.rejects(
      pruningCurve({ ...settings, importance: "l1" }),
      /curve\.jsonl: expected points of this model/,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
