/** Benchmark of the batch loader: pictures a second at several sizes, plain and augmented, beside decoding each time. */

import { join } from "node:path";
import sharp from "sharp";
import { augment, BatchLoader, datasetPaths, type ManifestRow, openCache, readManifest } from "../../lib/data/mod.ts";
import { type ProgressListener, Random, sha256 } from "../../lib/runtime/mod.ts";
import { type BenchRow, benchRow } from "./row.ts";

export interface LoaderBenchOptions {
  /** A built dataset; when it is missing, drawn pictures in a temporary folder take its place. */
  readonly dataFolder?: string;
  readonly sizes?: readonly number[];
  /** How long each case runs, in seconds. */
  readonly seconds?: number;
  readonly workers?: number;
  readonly onProgress?: ProgressListener;
}

/** Measures the loader once its workers are warm. */
export async function benchLoader(
  { dataFolder = join("data", "quick"), sizes = [64, 96, 224], seconds = 3, workers, onProgress = () => {} }:
    LoaderBenchOptions = {},
): Promise<BenchRow[]> {
  const built = await readManifest(datasetPaths(dataFolder).manifest).catch(() => undefined);
  if (built?.length) return await measure(built.slice(0, 4096), dataFolder, "", sizes, seconds, workers, onProgress);
  const folder = await Deno.makeTempDir({ prefix: "pokedex_bench_" });
  try {
    return await measure(
      await drawPictures(folder, 128),
      folder,
      ", drawn pictures",
      sizes,
      seconds,
      workers,
      onProgress,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function measure(
  rows: readonly ManifestRow[],
  dataFolder: string,
  what: string,
  sizes: readonly number[],
  seconds: number,
  workers: number | undefined,
  onProgress: ProgressListener,
): Promise<BenchRow[]> {
  const result: BenchRow[] = [];
  const augmentations = {
    plain: augment.unchanged(),
    "light augmentation": augment.lightAugmentation(),
    "full augmentation": augment.fullAugmentation(),
  };
  // A cache of the benchmark's own: the dataset's may hold more rows than are measured here.
  const folder = await Deno.makeTempDir({ prefix: "pokedex_bench_cache_" });
  try {
    const processed = datasetPaths(folder).processed;
    await Deno.mkdir(processed, { recursive: true });
    await Deno.symlink(await Deno.realPath(datasetPaths(dataFolder).images), join(processed, "images"));
    for (const size of sizes) {
      using cache = await openCache(rows, { dataFolder: folder, size });
      const peer = await decodeRate(rows, folder, size, seconds);
      for (const [name, augmentation] of Object.entries(augmentations)) {
        using loader = new BatchLoader(cache, rows, {
          ...{ batchSize: size > 128 ? 32 : 128, size, seed: 1, augmentation },
          ...(workers === undefined ? {} : { workers }),
        });
        const ours = await loaderRate(loader, seconds);
        const peers = name === "plain" ? { "sharp-decode": peer } : {};
        result.push(benchRow("data", `batches at ${size} px, ${name}${what}`, "img/s", ours, peers));
        onProgress({ label: "bench loader", done: result.length, total: 3 * sizes.length, unit: "cases" });
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  return result;
}

/** Pictures a second over `seconds`, after a third of that to warm up. */
async function loaderRate(loader: BatchLoader, seconds: number): Promise<number> {
  let started = performance.now(), pictures = 0, warm = false;
  for await (const { ids } of loader.stream()) {
    pictures += ids.length;
    const passed = (performance.now() - started) / 1000;
    if (!warm && passed > seconds / 3) [started, pictures, warm] = [performance.now(), 0, true];
    else if (warm && passed > seconds) return pictures / passed;
  }
  throw new Error("loaderRate: expected a stream without end");
}

async function decodeRate(
  rows: readonly ManifestRow[],
  dataFolder: string,
  size: number,
  seconds: number,
): Promise<number> {
  const { processed } = datasetPaths(dataFolder);
  const started = performance.now();
  for (let pictures = 0;; pictures++) {
    const passed = (performance.now() - started) / 1000;
    if (passed > seconds) return Math.round(pictures / passed);
    await sharp(join(processed, rows[pictures * 37 % rows.length]!.image))
      .resize(size, size, { fit: "contain" }).raw().toBuffer();
  }
}

/** Pictures of a few shapes on a transparent ground, 48 to 400 px, stored as a build stores them. */
async function drawPictures(dataFolder: string, count: number): Promise<ManifestRow[]> {
  const { images } = datasetPaths(dataFolder);
  await Deno.mkdir(images, { recursive: true });
  const rows: ManifestRow[] = [];
  for (let n = 1; n <= count; n++) {
    const random = Random.seeded("bench", n);
    const side = 48 + random.int(353);
    const shapes = Array.from(
      { length: 12 },
      () =>
        `<ellipse cx="${random.int(side)}" cy="${random.int(side)}" rx="${random.int(side) / 3}" ry="${
          random.int(side) / 3
        }" fill="hsl(${random.int(360)} 70% 50%)"/>`,
    ).join("");
    const svg = `<svg width="${side}" height="${side}">${shapes}</svg>`;
    const bytes = await sharp(new TextEncoder().encode(svg)).webp().toBuffer();
    const id = `0001_${String(n).padStart(3, "0")}`, hash = sha256(bytes);
    await Deno.writeFile(join(images, `${id}.webp`), bytes);
    rows.push({
      ...{ id, dex: 1, classId: 0, split: "train", group: id, source: "drawn", path: `${id}.webp`, sha256: hash },
      ...{ image: `images/${id}.webp`, width: side, height: side, transparent: true },
      ...{ imageSha256: hash, jpegSha256: hash, fingerprint: "" },
    });
  }
  return rows;
}

if (import.meta.main) console.log(JSON.stringify(await benchLoader(), null, 2));
