import assert from "node:assert/strict";
import type { ManifestRow } from "../../data/mod.ts";
import type { Dataset } from "../../experiment/mod.ts";
import { InputError } from "../../runtime/mod.ts";
import { species } from "../../species/mod.ts";
import { smallClip } from "./fixture.ts";
import { heldOutSpecies, partData } from "./held_out.ts";
import { classTexts, TrainingTexts } from "./texts.ts";

/** Kanto with three pictures each, of which only what the texts read is there. */
const kanto = species.slice(0, 151);
const rowsOf = (split: string) =>
  kanto.flatMap(({ dex }) =>
    ["artwork", "gold-shiny", "red-blue-back"].map((style, n) => ({
      id: `${dex}_${split}_${n}`,
      ...{ dex, classId: dex - 1, split, group: `${dex}-${n}`, path: `${dex}/${style}.webp` },
    } as unknown as ManifestRow))
  );
const data: Dataset = {
  ...{ dataFolder: "data", classes: kanto, sources: ["test"], splitMode: "as built" as const },
  rows: { train: rowsOf("train"), validation: rowsOf("validation"), test: rowsOf("test") },
};
const heldOut = { share: 0.25, seed: 1025 };

Deno.test("a quarter of the species is held out, the same for a seed, another for another", () => {
  const out = heldOutSpecies(kanto, heldOut);
  assert.equal(out.length, 38);
  assert.deepEqual(out, heldOutSpecies(kanto, heldOut));
  assert.notDeepEqual(out, heldOutSpecies(kanto, { ...heldOut, seed: 1 }));
  assert.deepEqual(heldOutSpecies(kanto, { ...heldOut, species: [25, 7] }).map(({ dex }) => dex), [7, 25]);
  assert.throws(() => heldOutSpecies(kanto, { ...heldOut, species: [152] }), InputError);
});

Deno.test("held-out species are in no picture, caption, name or piece of the tokenizer of a training", () => {
  const { trained, heldOut: out } = partData(data, heldOut), names = out.classes.map(({ name }) => name);
  const unseen = new Set(out.classes.map(({ dex }) => dex));
  for (const rows of Object.values(trained.rows)) assert.ok(rows.every(({ dex }) => !unseen.has(dex)));
  for (const rows of Object.values(out.rows)) assert.ok(rows.every(({ dex }) => unseen.has(dex)));
  assert.equal(trained.rows.train.length + out.rows.train.length, data.rows.train.length);
  const config = smallClip({ batch: 16 }, { loss: { negatives: 8, names: { negatives: 8 } } });
  const texts = new TrainingTexts(trained, config, 1);
  const mentioned = (text: string) => names.find((name) => new RegExp(`(^|[^\\w])${name}($|[^\\w])`).test(text));
  const rows = trained.rows.train;
  for (let step = 0; step < 60; step++) {
    const chosen = Array.from({ length: 16 }, (_, i) => rows[(step * 47 + i * 3) % rows.length]!);
    const labels = Int32Array.from(chosen, ({ dex }) => trained.classes.findIndex((each) => each.dex === dex));
    const batch = { ids: chosen.map(({ id }) => id), labels, epoch: 0, step };
    const { texts: captions, labels: told } = texts.captionsOf(batch), { texts: named } = texts.namesOf(batch);
    assert.equal(captions.length, 24);
    assert.deepEqual(captions, texts.captionsOf(batch).texts);
    assert.notDeepEqual(captions, texts.captionsOf({ ...batch, epoch: 1 }).texts);
    assert.deepEqual(told.slice(0, 16), [...labels]);
    assert.equal(new Set(told).size, 24);
    for (const text of [...captions, ...named]) assert.equal(mentioned(text), undefined, text);
    // The further captions and names are of species that no picture of the batch shows.
    const own = new Set(Array.from(labels, (label) => trained.classes[label]!.name));
    assert.equal(new Set(named).size, 24);
    assert.deepEqual(named.slice(0, 16), Array.from(labels, (label) => `a picture of ${trained.classes[label]!.name}`));
    assert.ok(named.slice(16).every((text) => !own.has(text.replace("a picture of ", ""))));
  }
  assert.ok(mentioned("a sprite of " + names[0])); // the test itself can find one
  // Captions that all have a name have that of their label.
  const always = new TrainingTexts(trained, smallClip({ batch: 4 }, { captions: { names: 1 } }), 1);
  const batch = { ids: rows.slice(0, 4).map(({ id }) => id), labels: Int32Array.of(0, 0, 0, 1), epoch: 0, step: 0 };
  const { texts: captions, labels } = always.captionsOf(batch);
  for (const [i, text] of captions.entries()) assert.ok(text.includes(trained.classes[labels[i]!]!.name), text);
  const { descriptions } = classTexts(trained.classes, out.classes);
  for (const text of descriptions) assert.equal(mentioned(text), undefined, text);
});
