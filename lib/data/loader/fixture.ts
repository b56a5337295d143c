/** Small datasets for tests: stored pictures and their manifest rows in a temporary folder. */

import { join } from "node:path";
import sharp from "sharp";
import { Random, sha256 } from "../../runtime/mod.ts";
import { datasetPaths, type ManifestRow, type Split } from "../manifest.ts";

export interface SmallDataset extends AsyncDisposable {
  readonly dataFolder: string;
  readonly rows: ManifestRow[];
}

/**
 * Makes `perClass` pictures for each of `classes` species: a disc of the species' colour, in every second picture on a
 * transparent ground; sizes and formats vary. Every third of a species is for the test, the others are for training.
 */
export async function makeDataset({ classes = 3, perClass = 4 } = {}): Promise<SmallDataset> {
  const dataFolder = await Deno.makeTempDir({ prefix: "pokedex_data_" });
  const paths = datasetPaths(dataFolder);
  await Deno.mkdir(paths.images, { recursive: true });
  await Deno.mkdir(paths.yolo, { recursive: true });
  const rows: ManifestRow[] = [];
  for (let dex = 1; dex <= classes; dex++) {
    for (let n = 1; n <= perClass; n++) {
      const random = Random.seeded("dataset", dex, n);
      const transparent = n % 2 === 0;
      const width = 24 + 8 * random.int(5), height = 24 + 8 * random.int(5);
      const ground = transparent ? "none" : `hsl(${random.int(360)} 40% 70%)`;
      const svg = `<svg width="${width}" height="${height}"><rect width="100%" height="100%" fill="${ground}"/>` +
        `<circle cx="${width / 2}" cy="${height / 2}" r="${8 + random.int(4)}" fill="hsl(${
          dex * 100
        } 90% 50%)"/></svg>`;
      const image = sharp(new TextEncoder().encode(svg));
      const [ending, bytes] = transparent
        ? n % 4 ? ["webp", await image.webp({ lossless: true }).toBuffer()] : ["png", await image.png().toBuffer()]
        : ["jpg", await image.flatten().jpeg().toBuffer()];
      const id = `${String(dex).padStart(4, "0")}_${String(n).padStart(3, "0")}`;
      await Deno.writeFile(join(paths.images, `${id}.${ending}`), bytes);
      const split: Split = n % 3 === 0 ? "test" : "train";
      rows.push({
        ...{ id, dex, classId: dex - 1, split, group: `${id.slice(0, 4)}-g${Math.ceil(n / 2)}` },
        ...{ source: n % 2 ? "folder:pictures" : "sprites", path: `${id.slice(0, 4)}/${n}.${ending}` },
        ...{ sha256: sha256(bytes), image: `images/${id}.${ending}`, width, height, transparent },
        ...{ imageSha256: sha256(bytes), jpegSha256: sha256(bytes), fingerprint: "" },
      });
    }
  }
  await Deno.writeTextFile(paths.manifest, rows.map((row) => JSON.stringify(row) + "\n").join(""));
  return {
    dataFolder,
    rows,
    [Symbol.asyncDispose]: () => Deno.remove(dataFolder, { recursive: true }),
  };
}
