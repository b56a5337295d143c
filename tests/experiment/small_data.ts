/** A small built data set of drawn figures, for tests of whole trainings. */

import { join } from "node:path";
import sharp from "sharp";
import { buildDataset, openSource } from "../../lib/data/mod.ts";
import { speciesNames } from "../../lib/species/mod.ts";

/** Draws eight pictures for each of the first three species below `FOLDER/raw` and builds them; returns the data folder. */
export async function buildSmallData(folder: string): Promise<string> {
  for (let dex = 1; dex <= 3; dex++) {
    await Deno.mkdir(join(folder, "raw", `000${dex}`), { recursive: true });
    for (let n = 0; n < 8; n++) {
      const bars = Array.from(
        { length: 5 },
        (_, i) =>
          `<rect x="${(7 * n + 11 * i) % 40}" y="${(13 * n * (i + 1)) % 40}" width="${9 + 3 * i}" ` +
          `height="${20 - 3 * i}" fill="hsl(${120 * dex + 9 * i} 80% ${30 + 5 * n}%)"/>`,
      );
      const svg = new TextEncoder().encode(`<svg width="60" height="60">${bars.join("")}</svg>`);
      await sharp(svg).png().toFile(join(folder, "raw", `000${dex}`, `${n}.png`));
    }
  }
  const source = await openSource(`folder:${join(folder, "raw")}`), out = join(folder, "data");
  await buildDataset({ source, out, names: speciesNames, workers: 1 });
  return out;
}
