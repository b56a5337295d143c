/** A student of the shipped classifier, trained on a few real sprites: its folder, and a species that it was not trained on. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { datasetPaths, readManifest } from "../../data/mod.ts";
import { tensor } from "../../runtime/mod.ts";
import { species as allSpecies, speciesByDex } from "../../species/mod.ts";
import { distillExperiment } from "./distill_experiment.ts";
import { makeTaughtData, smallStudent, TAUGHT, UNSEEN } from "./fixture.ts";
import { OpenSpecies } from "./open_species.ts";
import { openStudent } from "./student_folder.ts";
import { storedPicture } from "./teacher.ts";

const taughtData = await makeTaughtData();
Deno.test.afterAll(async () => await taughtData[Symbol.asyncDispose]());
const { folder, dataFolder, data, teacher } = taughtData;

Deno.test("a species added from three pictures is found among all 1,025 by a student that never saw it, and claims few others", async () => {
  const { student, folder: run, difference } = await distillExperiment({
    ...{ teacher, data, profile: "test", seed: 7, threads: 1, workers: 0 },
    ...{ runsFolder: join(folder, "runs"), config: smallStudent({ epochs: 40, validateEvery: 40 }) },
  });
  assert.ok(difference! <= 1e-4);
  const { card } = student!;
  assert.ok(
    card.model.bytes <= 3_000_000 && card.model.bytes === (await Deno.stat(join(run, "student", "student.onnx"))).size,
  );
  assert.equal(card.metrics.int8!.n, data.rows.test.length);
  assert.ok(card.metrics.int8!.top5 >= 0.6, `top-5 of ten species: ${card.metrics.int8!.top5}`); // by chance 0.5
  assert.equal(card.teacher.name, "pokedex-1025");

  await using opened = await openStudent(student!.folder, { threads: 1 });
  const read = (rows: readonly { readonly image: string }[]) =>
    Promise.all(rows.map((row) => storedPicture(dataFolder, row))).then(opened.embedImages);
  const unseen = (await readManifest(datasetPaths(dataFolder).manifest)).filter(({ dex }) => dex === UNSEEN);
  const own = await read(unseen), taught = await read([...data.rows.validation, ...data.rows.test]);
  const size = card.dimension, { name } = speciesByDex(UNSEEN);
  const first = (count: number) => tensor("float32", [count, size], own.data.slice(0, count * size));

  const others = allSpecies.filter(({ dex }) => dex !== UNSEEN && !TAUGHT.includes(dex));
  const texts = await teacher.prototypes(others);
  const text = (i: number) => tensor("float32", [1, size], texts.data.slice(i * size, (i + 1) * size));
  others.forEach((each, i) => opened.species.add({ name: each.name, texts: text(i) }));
  opened.species.add({ name, pictures: first(3) });
  assert.equal(opened.species.names.length, 1025);
  const found = opened.species.classify(own, 5).slice(3).filter((top) => top.some((guess) => guess.name === name));
  const claimed = opened.species.classify(taught, 1).filter(([guess]) => guess!.name === name);
  assert.ok(found.length >= 0.4 * (unseen.length - 3), `${found.length} of ${unseen.length - 3}`); // by chance 0.005
  assert.ok(claimed.length <= 0.15 * taught.shape[0]!, `${claimed.length} of ${taught.shape[0]}`);

  // Without the gap taken off, the only prototype that is made of pictures would be nearest to nearly all of them.
  const without = new OpenSpecies({ dimension: size, scale: 16 }), known = await teacher.prototypes(data.classes);
  data.classes.forEach((each, i) =>
    without.add({ name: each.name, texts: tensor("float32", [1, size], known.data.slice(i * size, (i + 1) * size)) })
  );
  without.add({ name, pictures: first(3) });
  const all = without.classify(taught, 1).filter(([guess]) => guess!.name === name);
  assert.ok(
    all.length > 2 * claimed.length && all.length > 0.5 * taught.shape[0]!,
    `${all.length} of ${taught.shape[0]}`,
  );

  const path = join(student!.folder, "student.onnx");
  await Deno.writeFile(path, (await Deno.readFile(path)).subarray(0, 1000));
  await assert.rejects(openStudent(student!.folder), /student\.onnx: expected the file of the card \(SHA-256 /);
  await assert.rejects(openStudent(folder), /card\.json: expected the card of a student, found nothing there/);
});
