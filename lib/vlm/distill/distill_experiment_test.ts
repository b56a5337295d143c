/** Students of the shipped classifier, trained on a few real sprites: their folder, their resuming, a species they were not trained on. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { buildDataset, openSource, readManifest } from "../../data/mod.ts";
import { datasetPaths } from "../../data/mod.ts";
import { openDataset } from "../../experiment/mod.ts";
import { species as allSpecies, speciesByDex, speciesNames } from "../../species/mod.ts";
import { lossesOf, readRun } from "../../track/mod.ts";
import { type StudentConfig, studentConfigSchema } from "./config.ts";
import { distillExperiment } from "./distill_experiment.ts";
import { openStudent } from "./student_folder.ts";
import { openClassifierTeacher, storedPicture } from "./teacher.ts";

/** What the student learns, and what it never sees. */
const TAUGHT = [1, 4, 7, 16, 25, 39, 54, 60, 74, 92], UNSEEN = 129;
const folder = await Deno.makeTempDir({ prefix: "pokedex_distill_" });
Deno.test.afterAll(async () => {
  await teacher[Symbol.asyncDispose]();
  await Deno.remove(folder, { recursive: true });
});
const dataFolder = join(folder, "data"), sprites = await openSource("sprites");
const { items } = await sprites.list();
const few = [...TAUGHT, UNSEEN].flatMap((dex) => items.filter((item) => item.dex === dex).slice(0, 16));
await buildDataset({
  source: { name: "sprites", list: () => Promise.resolve({ items: few, skipped: [] }) },
  ...{ out: dataFolder, names: speciesNames, species: [...TAUGHT, UNSEEN], workers: 1 },
});
const data = await openDataset({ dataFolder, species: TAUGHT });
const teacher = await openClassifierTeacher("pokedex-1025", { threads: 1 });

const config = (training: Record<string, unknown>, distill: Record<string, unknown> = {}): StudentConfig =>
  studentConfigSchema.parse({
    kind: "student",
    name: "student",
    model: { family: "residual", width: 0.25, size: 32 },
    data: { view: "content", background: [114, 114, 114], augmentation: [{ name: "flip" }] },
    distill,
    optimizer: { name: "adamw", weightDecay: 0.01 },
    schedule: { kind: "oneCycle", learningRate: 5e-3 },
    training: { batch: 16, monitor: "top1", ...training },
  });
const common = { teacher, data, profile: "test", seed: 7, threads: 1, workers: 0 } as const;

Deno.test("a student's folder is small and opens; a species added from three pictures is found in the top 5 of a thousand", async () => {
  const runsFolder = join(folder, "first");
  const { student, model } = await distillExperiment({
    ...common,
    ...{ runsFolder, config: config({ epochs: 30, validateEvery: 30 }) },
  });
  console.log(JSON.stringify(student!.card.metrics.int8), model!.card.metrics.validation);
  await using opened = await openStudent(student!.folder, { threads: 1 });
  const rows = (await readManifest(datasetPaths(dataFolder).manifest)).filter(({ dex }) => dex === UNSEEN);
  const pictures = await Promise.all(rows.map((row) => storedPicture(dataFolder, row)));
  const others = allSpecies.filter(({ dex }) => dex !== UNSEEN && !TAUGHT.includes(dex));
  const { name } = speciesByDex(UNSEEN);
  for (const n of [0, 40, 100, 300, 1014]) {
    const open = await (await import("./open_species.ts")).OpenSpecies.load(
      join(student!.folder, "prototypes.safetensors"),
    );
    const protos = await teacher.prototypes(others.slice(0, n));
    others.slice(0, n).forEach(({ name }, i) =>
      open.add({ name, texts: { dtype: "float32", shape: [1, 512], data: protos.data.slice(i * 512, (i + 1) * 512) } })
    );
    const emb = await opened.embedImages(pictures);
    open.add({ name, pictures: { dtype: "float32", shape: [3, 512], data: emb.data.slice(0, 3 * 512) } });
    const g = open.classify(emb, 5).slice(3);
    console.log(
      n,
      g.length,
      g.filter((x) => x[0]!.name === name).length,
      g.filter((x) => x.some((y) => y.name === name)).length,
      rows.map((r) => r.path.split("/").slice(-3).join("/")).join(" ").slice(0, 300),
    );
    // taught pictures taken for the new one
    const taught = [...data.rows.validation, ...data.rows.test];
    const pics = await Promise.all(taught.map((row) => storedPicture(dataFolder, row)));
    const gg = open.classify(await opened.embedImages(pics), 1);
    console.log(
      " taught right",
      gg.filter((x, i) => x[0]!.name === speciesByDex(taught[i]!.dex).name).length,
      "as new",
      gg.filter((x) => x[0]!.name === name).length,
      taught.length,
    );
  }
});
