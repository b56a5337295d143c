/** For tests: a small built data set of drawn figures, and settings of a training that takes a second. */

import { join } from "node:path";
import sharp from "sharp";
import { buildDataset, openSource } from "../data/mod.ts";
import { Random } from "../runtime/mod.ts";
import { speciesNames } from "../species/mod.ts";
import { type TrainingConfig, trainingConfigSchema } from "./config.ts";
import { type Dataset, openDataset } from "./dataset.ts";
import { lossesOf, readRun } from "../track/mod.ts";
import { trainExperiment, type TrainOptions } from "./train_experiment.ts";

/** A data set and the raw pictures that it was built from, gone when it is disposed. */
export interface SmallData extends AsyncDisposable {
  readonly folder: string;
  /** `NNNN/*.png`. */
  readonly raw: string;
  readonly dataFolder: string;
}

/**
 * Draws `drawings` pictures for each of the first `species` species and builds them: a few shapes in the species' colour on
 * nothing, or in every third on a ground, no two alike.
 */
export async function makeSmallData({ species = 3, drawings = 8 } = {}): Promise<SmallData> {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_experiment_" });
  const raw = join(folder, "raw"), dataFolder = join(folder, "data");
  for (let dex = 1; dex <= species; dex++) {
    const own = join(raw, String(dex).padStart(4, "0"));
    await Deno.mkdir(own, { recursive: true });
    for (let n = 0; n < drawings; n++) {
      const random = Random.seeded("drawing", dex, n);
      const shapes = Array.from({ length: 7 }, () => {
        const [x, y, w, h] = [random.int(50), random.int(40), 8 + random.int(30), 8 + random.int(30)];
        const colour = `hsl(${(dex * 360 / species + random.int(30)) % 360} 80% ${30 + random.int(50)}%)`;
        return `<rect x="${x}" y="${y}" width="${w}" height="${h}" fill="${colour}" transform="rotate(${
          random.int(90)
        } 40 32)"/>`;
      });
      const ground = n % 3 === 0 ? `<rect width="80" height="64" fill="hsl(${random.int(360)} 30% 60%)"/>` : "";
      const svg = `<svg width="80" height="64">${ground}${shapes.join("")}</svg>`;
      await sharp(new TextEncoder().encode(svg)).png().toFile(join(own, `drawn-${n}.png`));
    }
  }
  const source = await openSource(`folder:${raw}`);
  await buildDataset({ source, out: dataFolder, names: speciesNames, species, workers: 1 });
  return { folder, raw, dataFolder, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

/** Small data, opened, in which every second picture of training has the style "back". */
export async function makeTwoStyles(): Promise<SmallData & { readonly data: Dataset }> {
  const small = await makeSmallData();
  const opened = await openDataset({ dataFolder: small.dataFolder, species: 3 });
  const train = opened.rows.train.map((row, i) => i % 2 === 0 ? row : { ...row, path: `back/${row.path}` });
  return { ...small, data: { ...opened, rows: { ...opened.rows, train } } };
}

type Input = NonNullable<Parameters<typeof trainingConfigSchema.parse>[0]>;

/** Settings of a network with a few thousand weights at 32 px. */
export function smallConfig(
  training: Record<string, unknown> = {},
  more: Record<string, unknown> = {},
): TrainingConfig {
  return trainingConfigSchema.parse(
    {
      name: "small",
      model: { family: "yolov3-tiny", width: 0.01, size: 32 },
      data: { background: [124, 124, 124], augmentation: [{ name: "flip", options: { horizontal: 0.5 } }] },
      loss: { box: "ciou", class: "softmax", maxBoxes: 1 },
      optimizer: { name: "adamw", weightDecay: 0.01 },
      schedule: { kind: "cosine", learningRate: 5e-3, warmUpEpochs: 0.5 },
      training: { epochs: 2, batch: 4, averageDecay: 0.8, monitor: "top1", ...training },
      ...more,
    } satisfies Input,
  );
}

/** Runs a test in a folder of runs that is removed behind it. */
export async function inRuns(work: (runs: string) => Promise<void>): Promise<void> {
  const runs = await Deno.makeTempDir({ prefix: "pokedex_runs_" });
  try {
    await work(runs);
  } finally {
    await Deno.remove(runs, { recursive: true });
  }
}

/** Trains, and reads the losses from the run's log. */
export async function trainedLosses(options: TrainOptions): Promise<ReturnType<typeof lossesOf>> {
  const { folder } = await trainExperiment(options);
  return lossesOf(await readRun(folder));
}
