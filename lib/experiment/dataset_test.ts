/** Tests of dataset.ts: what is refused, what is warned of, what loaders are given. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { datasetPaths, readManifest } from "../data/mod.ts";
import { evaluationLoader, openDataset, openPictures, trainingLoader } from "./dataset.ts";
import { makeSmallData } from "./fixture.ts";

const small = await makeSmallData();
Deno.test.afterAll(async () => await small[Symbol.asyncDispose]());
const { dataFolder } = small, paths = datasetPaths(dataFolder);

/** Changes a file for the time of some work. */
async function withFile(path: string, change: (text: string) => string | undefined, work: () => Promise<void>) {
  const text = await Deno.readTextFile(path), changed = change(text);
  if (changed === undefined) await Deno.remove(path);
  else await Deno.writeTextFile(path, changed);
  try {
    await work();
  } finally {
    await Deno.writeTextFile(path, text);
  }
}

Deno.test("a data set that is not there is one line that says how to make one", async () => {
  await assert.rejects(
    openDataset({ dataFolder: join(dataFolder, "none") }),
    /none.*manifest\.jsonl: expected a manifest, found nothing there; run "deno task data build"$/,
  );
});

Deno.test("a label with another class, NaN, a box outside the picture or none, or not there is refused by its file", async () => {
  const row = (await readManifest(paths.manifest)).find(({ split }) => split === "train")!;
  const path = paths.yoloLabel(row);
  const cases: [string | undefined, RegExp][] = [
    ["9999 0.5 0.5 1.0 1.0\n", /line 1: expected class 0, found 9999$/],
    ["0 NaN 0.5 1.0 1.0\n", /line 1: expected five numbers, found "0 NaN/],
    ["0 0.9 0.5 1.0 1.0\n", /line 1: expected a box inside the picture, found 0.9/],
    ["", /expected at least one box, found none$/],
    [
      "0 0.5 0.5 0.4 0.4\n",
      /expected one box that is the whole picture, found "0 0\.5 0\.5 0\.4 0\.4"; other boxes come from/,
    ],
    [undefined, /expected a label, found nothing there; run "deno task data build"$/],
  ];
  for (const [text, message] of cases) {
    await withFile(path, () => text, async () => {
      await assert.rejects(openDataset({ dataFolder, species: 3 }), (error: Error) => {
        assert.ok(error.message.startsWith(path), error.message);
        assert.match(error.message, message);
        return true;
      });
    });
  }
  await withFile(path, () => "0 0.5 0.5 1 1\n", async () => void await openDataset({ dataFolder, species: 3 }));
});

Deno.test("a class that is not its species' own, and a split without pictures, are refused", async () => {
  await withFile(paths.manifest, (text) => text.replace('"classId":0', '"classId":1025'), async () => {
    await assert.rejects(
      openDataset({ dataFolder }),
      /manifest\.jsonl:1: 0001_001: expected a dex number 1 … 1025 with the class one below it, found dex 1, class 1025$/,
    );
  });
  await withFile(paths.manifest, (text) => text.replaceAll('"split":"validation"', '"split":"train"'), async () => {
    await assert.rejects(openDataset({ dataFolder, species: 3 }), /of 3 species in split validation, found none/);
  });
  await assert.rejects(openDataset({ dataFolder, species: [7] }), /of 1 species in split train, found none/);
});

Deno.test("a data set with fewer species than the model is warned of by name, other species are left out", async () => {
  const warnings: string[] = [];
  const warn = (line: string) => void warnings.push(line);
  assert.equal((await openDataset({ dataFolder, species: 5, warn })).classes.length, 5);
  assert.match(warnings[0]!, /training pictures of 5 species, found none of 2 \(Charmander, Charmeleon\): the model/);
  warnings.length = 0;
  const two = await openDataset({ dataFolder, species: [1, 3], warn });
  assert.match(warnings[0]!, /8 pictures of other species left out$/);
  assert.deepEqual(two.classes.map(({ name }) => name), ["Bulbasaur", "Venusaur"]);
  // Labels count the classes of the data set, not dex numbers.
  using cache = await openPictures(two, { size: 32, view: "picture" });
  const shown = { size: 32, batch: 4, background: [0, 0, 0], boxes: "frame", view: "picture" } as const;
  using loader = evaluationLoader(two, "validation", cache, shown, { workers: 0 });
  const labels: number[] = [];
  for await (const batch of loader.epoch(0)) labels.push(...batch.labels);
  assert.deepEqual(labels, two.rows.validation.map(({ dex }) => dex === 1 ? 0 : 1));
  assert.throws(
    () => trainingLoader(two, cache, { ...shown, batch: 100 }, { workers: 0 }),
    /expected at least 100 pictures for one full batch, found \d+/,
  );
});

Deno.test("splits may be assigned anew, to compare the ways", async () => {
  const naive = await openDataset({ dataFolder, species: 3, resplit: { mode: "naive", seed: 1 } });
  assert.equal(naive.splitMode, "naive");
  assert.equal(Object.values(naive.rows).reduce((sum, rows) => sum + rows.length, 0), 24);
});
