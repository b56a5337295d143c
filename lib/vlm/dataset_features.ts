/** A data set's pictures as embeddings, and which of them an encoder may be judged on. */

import { join } from "node:path";
import { datasetPaths, type ManifestRow, type SkippedItem, type Split, splitHash } from "../data/mod.ts";
import type { Dataset } from "../experiment/mod.ts";
import { InputError } from "../runtime/mod.ts";
import type { Species } from "../species/mod.ts";
import { type EmbedOptions, embedPictures } from "./cache/embed_pictures.ts";
import { takeRows } from "./adapters/products.ts";
import { readClip } from "./clip/package.ts";
import type { Encoder, LabelledFeatures } from "./encoder.ts";

/** Embeddings of pictures whose rows of the manifest are known. */
export interface SplitFeatures extends LabelledFeatures {
  /** What the labels count. */
  readonly classes: readonly Species[];
  /** The picture of each row. */
  readonly rows: readonly ManifestRow[];
  /** Pictures that could not be read. */
  readonly skipped: readonly SkippedItem[];
}

/** Embeds a split of a data set, each stored picture as it is; labels are indices of the data set's classes. */
export async function embedSplit(
  encoder: Encoder,
  dataset: Dataset,
  split: Split,
  options: EmbedOptions = {},
): Promise<SplitFeatures> {
  const { processed } = datasetPaths(dataset.dataFolder);
  const { items, features, skipped } = await embedPictures(
    encoder,
    dataset.rows[split].map((row) => ({ id: row.id, source: join(processed, row.image), row })),
    options,
  );
  return withLabels({ features, rows: items.map(({ row }) => row), skipped, classes: dataset.classes });
}

/** Only the pictures of some species, labelled by their place among these. Throws InputError where none is left. */
export function ofSpecies(all: SplitFeatures, classes: readonly Species[]): SplitFeatures {
  const wanted = new Set(classes.map(({ dex }) => dex));
  const kept = Array.from(all.rows.keys()).filter((i) => wanted.has(all.rows[i]!.dex));
  if (kept.length === 0) {
    throw new InputError(`features: expected pictures of ${classes.length} species, found none of them`);
  }
  const { features } = takeRows(all, kept);
  return withLabels({ ...all, classes, features, rows: kept.map((i) => all.rows[i]!) });
}

function withLabels(features: Omit<SplitFeatures, "labels">): SplitFeatures {
  const labelOf = new Map(features.classes.map(({ dex }, label) => [dex, label]));
  return { ...features, labels: Int32Array.from(features.rows, ({ dex }) => labelOf.get(dex)!) };
}

/** Which species an encoder may be judged on, and why. */
export interface HonestSpecies {
  readonly species: readonly Species[];
  /** "same split": its test pictures were not trained on; "held out": it saw no picture of them; "unknown": nobody says what it saw. */
  readonly why: "same split" | "held out" | "unknown";
}

/**
 * The species of a data set on whose test pictures an encoder's accuracy means something. An encoder of our own that was trained on these
 * pictures in these splits is judged on all; one that was trained on others, whose pictures may be among these, on the species that it never saw;
 * of others it is not known what they saw. Throws InputError where none is left.
 */
export async function honestSpecies(
  encoder: Pick<Encoder, "name"> & { readonly folder?: string; readonly card?: unknown },
  { dataFolder, classes, rows }: Pick<Dataset, "dataFolder" | "classes" | "rows">,
): Promise<HonestSpecies> {
  if (encoder.card === undefined || encoder.folder === undefined) return { species: classes, why: "unknown" };
  const { card: { trainedOn, species: { heldOut } } } = await readClip(encoder.folder);
  if (trainedOn.splitHash === splitHash(Object.values(rows).flat())) return { species: classes, why: "same split" };
  const unseen = new Set(heldOut), species = classes.filter(({ dex }) => unseen.has(dex));
  if (species.length === 0) {
    throw new InputError(`${dataFolder}: expected species that ${encoder.name} was not trained on, found none`);
  }
  return { species, why: "held out" };
}
