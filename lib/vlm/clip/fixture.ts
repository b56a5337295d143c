/** For tests: a data set of a few species in plain colours, and settings of a CLIP that learns it in seconds. */

import { join } from "node:path";
import sharp from "sharp";
import { buildDataset, openSource } from "../../data/mod.ts";
import { type Dataset, openDataset } from "../../experiment/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { attributesByDex, speciesNames } from "../../species/mod.ts";
import { type ClipConfig, clipConfigSchema } from "./config.ts";

/** Species of the small data set: bulbasaur's, charmander's and squirtle's lines. */
export const SPECIES = 9;

/**
 * Builds a data set in a folder: of each species some pictures of a rectangle in its colour with its own place and shape, seen on
 * nothing, no two alike.
 */
export async function buildColours(folder: string, { drawings = 10 } = {}): Promise<Dataset> {
  const raw = join(folder, "raw"), dataFolder = join(folder, "data");
  for (let dex = 1; dex <= SPECIES; dex++) {
    const own = join(raw, String(dex).padStart(4, "0"));
    await Deno.mkdir(own, { recursive: true });
    const colour = attributesByDex(dex).colour.toLowerCase(), random = Random.seeded("colours", dex);
    for (let n = 0; n < drawings; n++) {
      const [w, h] = [14 + 6 * (dex % 3) + random.int(5), 44 - 12 * (dex % 3) + random.int(5)];
      const svg =
        `<svg width="64" height="64"><rect x="${random.int(12)}" y="${random.int(12)}" width="${w}" height="${h}" ` +
        `fill="${colour}"/><circle cx="${20 + random.int(30)}" cy="${20 + random.int(30)}" r="${4 + random.int(6)}" ` +
        `fill="hsl(${random.int(360)} 60% 50%)"/></svg>`;
      await sharp(new TextEncoder().encode(svg)).png().toFile(join(own, `artwork-${n}.png`));
    }
  }
  const source = await openSource(`folder:${raw}`);
  await buildDataset({ source, out: dataFolder, names: speciesNames, species: SPECIES, workers: 1 });
  return await openDataset({ dataFolder, species: SPECIES });
}

/** Settings of a CLIP with some ten thousand weights at 32 px. */
export function smallClip(training: Record<string, unknown> = {}, more: Record<string, unknown> = {}): ClipConfig {
  return clipConfigSchema.parse({
    kind: "clip",
    name: "small",
    model: {
      ...{ width: 0.125, size: 32, dimension: 16 },
      text: { width: 16, layers: 1, heads: 2, context: 32, vocabulary: 560 },
    },
    heldOut: { species: [3, 6] },
    data: { augmentation: [{ name: "flip", options: { horizontal: 0.5 } }] },
    loss: { negatives: 2, names: { weight: 0.5, negatives: 2 } },
    optimizer: { name: "adamw", weightDecay: 0.01 },
    schedule: { kind: "cosine", learningRate: 1e-2, warmUpEpochs: 0.5 },
    training: { epochs: 2, batch: 4, averageDecay: 0.8, ...training },
    ...more,
  });
}
