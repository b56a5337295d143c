/** A data set's splits as embeddings of any encoder, and on which species an encoder may be judged. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { openDataset } from "../experiment/mod.ts";
import { species } from "../species/mod.ts";
import { embedSplit, honestSpecies, ofSpecies, openVlm } from "./mod.ts";
import { writeTinyClip } from "./fixture.ts";
import { buildSmallData } from "../../tests/experiment/small_data.ts";

const folder = await Deno.makeTempDir({ prefix: "pokedex_features_" });
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));
const dataFolder = await buildSmallData(folder);
const dataset = await openDataset({ dataFolder, species: 3 });
await writeTinyClip(join(folder, "clip"));

Deno.test("a local model in the Hub's layout embeds a split, by POKEDEX_CLIP too; rows keep their pictures and labels", async () => {
  Deno.env.set("POKEDEX_CLIP", join(folder, "clip"));
  try {
    await using encoder = await openVlm();
    assert.equal("card" in encoder, false);
    const train = await embedSplit(encoder, dataset, "train");
    assert.deepEqual(train.features.shape, [dataset.rows.train.length, encoder.dimension]);
    assert.deepEqual(train.rows.map(({ id }) => id), dataset.rows.train.map(({ id }) => id));
    assert.deepEqual([...train.labels], dataset.rows.train.map(({ dex }) => dex - 1));
    const own = ofSpecies(train, [species[2]!, species[0]!]);
    assert.ok(own.rows.every(({ dex }, i) => dex === (own.labels[i] === 0 ? 3 : 1)));
    const first = train.rows.findIndex(({ dex }) => dex !== 2), width = encoder.dimension;
    assert.deepEqual(own.features.data.slice(0, width), train.features.data.slice(first * width, (first + 1) * width));
    assert.throws(() => ofSpecies(train, [species[30]!]), /expected pictures of 1 species, found none of them/);
    assert.equal((await honestSpecies(encoder, dataset)).why, "unknown");
  } finally {
    Deno.env.delete("POKEDEX_CLIP");
  }
});

Deno.test("an encoder of another data set is judged on species that it never saw, of the same one on all", async () => {
  await using shipped = await openVlm("pokedex-clip");
  const { species: found, why } = await honestSpecies(shipped, dataset).catch((error) => ({
    species: [],
    why: String(error),
  }));
  // Of three species it may have seen all: then nothing is left, and that is said.
  if (found.length === 0) assert.match(why, /expected species that pokedex-clip was not trained on, found none/);
  else assert.equal(why, "held out");
  const { dataFolder: _, ...rest } = dataset;
  const everyone = { ...rest, classes: species, dataFolder };
  const unseen = await honestSpecies(shipped, everyone);
  assert.equal(unseen.why, "held out");
  assert.ok(unseen.species.length > 200 && unseen.species.length < 300, `${unseen.species.length}`);
});
