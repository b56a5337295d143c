/** The model that ships: its package is whole, its card agrees with itself, and a part of its figures is measured again. */

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildDataset, openSource } from "../../lib/data/mod.ts";
import { wilsonInterval } from "../../lib/evaluate/mod.ts";
import {
  evaluateModel,
  openDataset,
  openModel,
  predictPictures,
  projectFolder,
  splitPictures,
} from "../../lib/experiment/mod.ts";
import { ensureParent, exists } from "../../lib/runtime/mod.ts";
import { species, speciesNames } from "../../lib/species/mod.ts";

/** Where the pictures that it was trained and tested on lie beside this project, on machines that have them. */
const raw = join(projectFolder, "..", "shared", "pokemon", "all_pokemon");
const withPictures = await exists(raw);
if (!withPictures) console.log(`no pictures at ${raw}: the shipped model's figures are not measured again`);

Deno.test("the package knows all species, is at most 8 MB, and its card's figures agree with each other", async () => {
  await using model = await openModel("pokedex-1025");
  const { card, classes } = model;
  assert.deepEqual(classes.map(({ dex }) => dex), species.map(({ dex }) => dex));
  assert.ok(card.file.bytes <= 8e6, `${card.file.bytes} bytes`);
  const test = card.metrics.test!, details = card.details!;
  const correct = Math.round(test.n * test.top1);
  const near = (found: readonly number[], expected: readonly number[]) =>
    found.forEach((x, i) => assert.ok(Math.abs(x - expected[i]!) < 1e-9, `${found} beside ${expected}`));
  near(test.top1_ci95, wilsonInterval(correct, test.n));
  assert.deepEqual(details.perGeneration.map(({ generation }) => generation), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  for (const parts of [details.perGeneration, details.perSource]) {
    assert.equal(parts.reduce((sum, { n }) => sum + n, 0), test.n);
    assert.equal(parts.reduce((sum, part) => sum + part.correct, 0), correct);
    for (const part of parts) near(part.top1_ci95, wilsonInterval(part.correct, part.n));
  }
  assert.ok(card.provenance && card.knownFailures!.length > 0);
  assert.ok(!JSON.stringify(card).includes("/home/") && !JSON.stringify(card).includes("/root/"));
});

Deno.test({
  name: "it names Pikachu's artwork",
  ignore: !withPictures,
  async fn() {
    await using model = await openModel("pokedex-1025");
    const [prediction] = await predictPictures(model, [join(raw, "0025", "artwork.webp")]);
    assert.equal(prediction!.top[0]!.name, "Pikachu");
  },
});

Deno.test({
  name: "its top-1 on the test split's pictures from the web is measured again",
  ignore: !withPictures,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "pokedex_web_" });
    try {
      const list = join(dirname(fileURLToPath(import.meta.url)), "..", "fixtures", "pokedex_1025", "web_test.txt");
      for (const path of (await Deno.readTextFile(list)).trim().split("\n")) {
        const place = join(folder, "raw", path);
        await ensureParent(place);
        await Deno.copyFile(join(raw, path), place);
      }
      await using model = await openModel("pokedex-1025");
      const out = join(folder, "data"), source = await openSource(`folder:${join(folder, "raw")}`);
      await buildDataset({ source, out, names: speciesNames, workers: 1 });
      // Those that were the test split's are in all splits of this one. Opaque pictures look the same in any data set; behind the
      // transparent parts of a few stands another ground.
      const data = await openDataset({ dataFolder: out, species: model.classes.map(({ dex }) => dex), warn: () => {} });
      const rows = { ...data.rows, test: Object.values(data.rows).flat() };
      const report = await evaluateModel(model, splitPictures({ ...data, rows }, "test"), { latency: false });
      const web = model.card.details!.perSource.find(({ source }) => source === "web")!;
      const transparent = rows.test.filter((row) => row.transparent).length;
      assert.equal(report.n, web.n);
      assert.ok(
        transparent <= 5 && Math.abs(report.top1 * report.n - web.correct) <= transparent + 1e-6,
        `${report.top1}`,
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
