/** Corrupted copies of a small data set. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { buildSmallData } from "../../../tests/experiment/small_data.ts";
import { openDataset, splitPictures } from "../../experiment/mod.ts";
import { corruptedPictures } from "./corrupted_pictures.ts";

const folder = await Deno.makeTempDir({ prefix: "pokedex_compare_" });
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));
const data = await openDataset({ dataFolder: await buildSmallData(folder), species: 3 });
const card = {
  input: { size: 32, view: "content" },
  trainedOn: { background: "fixed", boxes: "frame" },
} as unknown as Parameters<typeof corruptedPictures>[2]["network"]["card"];

Deno.test("every picture of the sample is there with every corruption, and a loader of pictures can draw them", async () => {
  const out = join(folder, "corrupted"), n = data.rows.test.length;
  const { dataset, origins, sample } = await corruptedPictures(data, "test", {
    ...{ network: { card }, corruptions: ["noise", "darkness"], severity: 5, folder: out },
  });
  assert.deepEqual([sample.length, dataset.rows.test.length, dataset.rows.train.length], [n, 2 * n, 0]);
  assert.deepEqual([...new Set([...origins.values()].map(({ corruption }) => corruption))], ["noise", "darkness"]);
  using opened = await splitPictures(dataset, "test").open({ card, dex: [1, 2, 3], batch: 2 * n });
  for await (const { images, facts, labels } of opened.batches()) {
    const mean = (row: number) => {
      const plane = 3 * 32 * 32, own = (images.data as Float32Array).subarray(row * plane, (row + 1) * plane);
      return own.reduce((sum, value) => sum + value, 0) / plane;
    };
    for (const id of sample) {
      const [noisy, dark] = ["noise", "darkness"].map((corruption) =>
        facts.findIndex((each) => origins.get(each.id)!.id === id && origins.get(each.id)!.corruption === corruption)
      );
      assert.equal(labels[noisy!], labels[dark!]);
      // A fifth of the light is left.
      assert.ok(mean(dark!) < 0.35 * mean(noisy!), `${mean(dark!)} against ${mean(noisy!)}`);
    }
  }
});
