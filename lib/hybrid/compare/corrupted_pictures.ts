/** Worse copies of a split's pictures as a data set of their own, for everything that looks at data sets. */

import { join } from "node:path";
import sharp from "sharp";
import { datasetPaths, type ManifestRow, type Split } from "../../data/mod.ts";
import { type Dataset, openSquares } from "../../experiment/mod.ts";
import { cleanPicture, corrupt, type CorruptionName, type Severity } from "../../evaluate/mod.ts";
import { type ProgressListener, sha256 } from "../../runtime/mod.ts";
import type { PictureNetwork } from "../fusion/cache_features.ts";

/** Settings of `corruptedPictures`. */
export interface CorruptedPicturesOptions {
  /** How pictures are framed, and at which size they are corrupted: as this network sees them. */
  readonly network: Pick<PictureNetwork, "card">;
  /** Default: four that change pixels, light, frame and what is seen. */
  readonly corruptions?: readonly CorruptionName[];
  /** Default: 3 of 5. */
  readonly severity?: Severity;
  /** At most so many pictures, a stratified sample. Default: 100. */
  readonly limit?: number;
  /** Of the sample and what is drawn. Default: 0. */
  readonly seed?: number;
  /** Where the pictures are written. */
  readonly folder: string;
  readonly onProgress?: ProgressListener;
}

/** Corrupted pictures. */
export interface CorruptedPictures {
  /** Only the split has pictures: every one of the sample with every corruption. */
  readonly dataset: Dataset;
  readonly corruptions: readonly CorruptionName[];
  readonly severity: Severity;
  /** Ids of the sample, as the data set had them. */
  readonly sample: readonly string[];
  /** By the new id: which picture and corruption it is. */
  readonly origins: ReadonlyMap<string, { readonly id: string; readonly corruption: CorruptionName }>;
}

/** Blurred, dark, partly hidden, of few pixels. */
const FOUR: readonly CorruptionName[] = ["gaussian blur", "darkness", "occlusion", "resolution"];

/**
 * Corrupts a sample of a split (`corrupt`) and writes it below the folder as PNG. A corruption that needs an outline leaves out pictures
 * that have none. Throws InputError as `openSquares`.
 */
export async function corruptedPictures(
  dataset: Dataset,
  split: Split,
  { network: { card }, corruptions = FOUR, severity = 3, limit = 100, seed = 0, folder, onProgress }:
    CorruptedPicturesOptions,
): Promise<CorruptedPictures> {
  const { processed } = datasetPaths(folder), rowOf = new Map(dataset.rows[split].map((row) => [row.id, row]));
  await Deno.mkdir(join(processed, "images"), { recursive: true });
  using opened = await openSquares({ dataset, split }, { card, dex: dataset.classes.map(({ dex }) => dex) }, {
    ...{ limit, seed },
  });
  const rows: ManifestRow[] = [], sample: string[] = [];
  const origins = new Map<string, { id: string; corruption: CorruptionName }>();
  for await (const { picture, ground, cutOut, facts: { id } } of opened.squares()) {
    sample.push(id);
    const clean = cleanPicture(picture, ground);
    for (const [at, corruption] of corruptions.entries()) {
      if (corruption === "background" && !cutOut) continue;
      const { data, width, height } = await corrupt(clean, corruption, severity, { key: id, seed });
      const pixels = Uint8ClampedArray.from(data), name = `${id}_${at}`, image = `images/${name}.png`;
      const bytes = await sharp(pixels, { raw: { width, height, channels: 4 } }).removeAlpha().png().toBuffer();
      await Deno.writeFile(join(processed, image), bytes);
      const { frame: _, ...row } = rowOf.get(id)!;
      rows.push({ ...row, ...{ id: name, image, width, height, transparent: false, imageSha256: sha256(bytes) } });
      origins.set(name, { id, corruption });
    }
    onProgress?.({ label: "corrupt pictures", done: sample.length, total: opened.total, unit: "pictures" });
  }
  const none = { train: [], validation: [], test: [] };
  return {
    dataset: { ...dataset, dataFolder: folder, rows: { ...none, [split]: rows } },
    ...{ corruptions, severity, sample, origins },
  };
}
