/** For tests: a small data set of real sprites, the shipped classifier as teacher, and settings of a student that takes seconds. */

import { join } from "node:path";
import { buildDataset, openSource } from "../../data/mod.ts";
import { type Dataset, openDataset } from "../../experiment/mod.ts";
import { speciesNames } from "../../species/mod.ts";
import { type StudentConfig, studentConfigSchema } from "./config.ts";
import { openClassifierTeacher, type Teacher } from "./teacher.ts";

/** What students learn, and what they never see. */
export const TAUGHT = [1, 4, 7, 16, 25, 39, 54, 60, 74, 92], UNSEEN = 129;

/** A folder with a built data set of both, gone when it is disposed. */
export interface TaughtData extends AsyncDisposable {
  readonly folder: string;
  readonly dataFolder: string;
  /** Of the taught species alone. */
  readonly data: Dataset;
  readonly teacher: Teacher;
}

/** Builds some sprites of each species and opens the teacher. */
export async function makeTaughtData({ pictures = 12 } = {}): Promise<TaughtData> {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_distill_" }), dataFolder = join(folder, "data");
  const teacher = await openClassifierTeacher("pokedex-1025", { threads: 1 });
  const { items } = await (await openSource("sprites")).list(), species = [...TAUGHT, UNSEEN];
  const few = species.flatMap((dex) => items.filter((item) => item.dex === dex).slice(0, pictures));
  await buildDataset({
    source: { name: "sprites", list: () => Promise.resolve({ items: few, skipped: [] }) },
    ...{ out: dataFolder, names: speciesNames, species, workers: 1 },
  });
  const data = await openDataset({ dataFolder, species: TAUGHT });
  return {
    ...{ folder, dataFolder, data, teacher },
    async [Symbol.asyncDispose]() {
      await teacher[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Settings of a small student at 32 px. */
export function smallStudent(training: Record<string, unknown>, width = 0.25): StudentConfig {
  return studentConfigSchema.parse({
    ...{ kind: "student", name: "student", model: { family: "residual", width, size: 32 } },
    data: { view: "content", background: [114, 114, 114], augmentation: [{ name: "flip" }] },
    optimizer: { name: "adamw", weightDecay: 0.01 },
    schedule: { kind: "oneCycle", learningRate: 5e-3 },
    training: { batch: 16, monitor: "top1", ...training },
  });
}
