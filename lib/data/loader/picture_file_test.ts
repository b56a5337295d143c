/** Tests of picture_file.ts. */

import assert from "node:assert/strict";
import { join } from "node:path";
import sharp from "sharp";
import { datasetPaths } from "../manifest.ts";
import { BatchLoader, forEvaluation } from "./batches.ts";
import { openCache } from "./cache.ts";
import { makeDataset } from "./fixture.ts";
import { readPictureFile } from "./picture_file.ts";
import { decodedSize } from "./render.ts";

Deno.test("a file becomes the same numbers as the loader makes of the same picture of a data set", async () => {
  await using data = await makeDataset();
  for (const [size, view] of [[32, "picture"], [64, "picture"], [32, "content"]] as const) {
    using cache = await openCache(data.rows, { ...data, size: decodedSize(size, view), workers: 1 });
    using loader = new BatchLoader(cache, data.rows, {
      ...forEvaluation,
      ...{ batchSize: data.rows.length, size, background: [10, 200, 30], view, workers: 0 },
    });
    const { value: batch } = await loader.epoch(0).next();
    for (const [index, row] of data.rows.entries()) {
      const path = join(datasetPaths(data.dataFolder).processed, row.image);
      const { planes, width, height } = await readPictureFile(path, { size, view, background: [10, 200, 30] });
      assert.deepEqual([width, height], [row.width, row.height]);
      assert.deepEqual(planes, batch!.images.slice(index * 3 * size * size, (index + 1) * 3 * size * size), row.id);
    }
  }
});

Deno.test("what is no picture is one line that names the file", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const options = { size: 32, background: [0, 0, 0] } as const;
    const bad = join(folder, "note.png");
    await Deno.writeTextFile(bad, "not a picture");
    await assert.rejects(readPictureFile(bad, options), /^InputError: .*note\.png: expected a picture, found "not a/);
    await assert.rejects(readPictureFile(join(folder, "x"), options), /x: expected a picture, found nothing there/);
    const png = await sharp({ create: { width: 30, height: 30, channels: 3, background: "red" } }).png().toBuffer();
    await Deno.writeFile(bad, png.subarray(0, 60));
    await assert.rejects(readPictureFile(bad, options), /note\.png: expected a/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
