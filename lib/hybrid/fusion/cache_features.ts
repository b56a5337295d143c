/** The features of a data set's split, made once: by a picture network's backbone, kept in a file, and by an encoder. */

import { join } from "node:path";
import { type Split, splitHash } from "../../data/mod.ts";
import { type Dataset, type ModelCard, splitPictures } from "../../experiment/mod.ts";
import { fromFile, type Graph, readSafetensors, toModel, writeSafetensors } from "../../onnx/mod.ts";
import { exists, openSession, type ProgressListener, sha256, type Tensor, tensor } from "../../runtime/mod.ts";
import type { Species } from "../../species/mod.ts";
import { embedSplit, type Encoder } from "../../vlm/mod.ts";
import { backboneFeatures, featureName } from "../backbone.ts";
import { type EmbeddedPictures, type FeatureRows, type VisualFeatures } from "./features.ts";

/** A picture network: an opened package (`openModel`), or a graph with what its card would say. */
export interface PictureNetwork {
  readonly card: Pick<ModelCard, "name" | "input" | "trainedOn"> & { readonly file: Pick<ModelCard["file"], "sha256"> };
  readonly classes: readonly Pick<Species, "dex">[];
  /** The ONNX file, or the graph. */
  readonly path: string | Graph;
}

/** Settings of `visualFeatures`. */
export interface VisualFeaturesOptions {
  /** Where features are kept, a file for each network and split. Default: they are worked out anew. */
  readonly folder?: string;
  /** Pictures at a time. Default: 32. */
  readonly batch?: number;
  readonly threads?: number;
  readonly onProgress?: ProgressListener;
}

/**
 * The backbone's features (`backboneFeatures`) of the pictures of a split, shown as the network's card says. What is kept is taken where
 * network, pictures and card are the same. Labels count the network's classes; pictures of other species are left out. Throws
 * InputError as `backboneFeatures`, and for a split without pictures of these species.
 */
export async function visualFeatures(
  { card, classes, path }: PictureNetwork,
  dataset: Dataset,
  split: Split,
  { folder, batch = 32, threads, onProgress }: VisualFeaturesOptions = {},
): Promise<VisualFeatures> {
  const model = { name: card.name, identity: card.file.sha256 }, dex = classes.map((species) => species.dex);
  const known = new Set(dex), rows = dataset.rows[split].filter((row) => known.has(row.dex));
  const { input, trainedOn: { background, boxes } } = card;
  const key = sha256(JSON.stringify([
    ...[model.identity, dex, input, background, boxes],
    rows.map(({ id, imageSha256 }) => [id, imageSha256]),
  ]));
  const file = folder && join(folder, `visual-${split}-${key.slice(0, 16)}.safetensors`);
  const labelOf = new Map(dex.map((number, label) => [number, label]));
  const common: FeatureRows = {
    labels: Int32Array.from(rows, (row) => labelOf.get(row.dex)!),
    ...{ pictures: rows.map(({ id }) => id), dex, split: partOf(dataset, split) },
  };
  if (file && await exists(file)) {
    const { tensors } = await readSafetensors(file);
    const visual = Array.from({ length: tensors.size }, (_, i) => tensors.get(featureName(i)) as Tensor<"float32">);
    return { ...common, visual, model };
  }
  const features = backboneFeatures(typeof path === "string" ? await fromFile(path) : path);
  const names = features.outputs.map(({ name }) => name),
    widths = features.outputs.map(({ shape }) => shape[1] as number);
  const visual = widths.map((width) => tensor("float32", [rows.length, width], new Float32Array(rows.length * width)));
  await using session = await openSession(toModel(features), { threads, name: `${card.name} backbone` });
  using opened = await splitPictures(dataset, split).open({ card, dex, batch });
  const rowOf = new Map(common.pictures.map((id, row) => [id, row]));
  let done = 0;
  for await (const { images, facts } of opened.batches()) {
    const found = await session.run({ images });
    names.forEach((name, scale) => {
      const width = widths[scale]!, data = found[name]!.data as Float32Array;
      facts.forEach(({ id }, i) =>
        visual[scale]!.data.set(data.subarray(i * width, (i + 1) * width), rowOf.get(id)! * width)
      );
    });
    done += facts.length;
    onProgress?.({ label: `features of ${split}`, done, total: rows.length, unit: "pictures" });
  }
  if (file) await writeSafetensors(file, names.map((name, i) => [name, visual[i]!] as const));
  return { ...common, visual, model };
}

/** The embeddings of a split (`embedSplit`, which keeps them) as `joinFeatures` takes them. */
export async function embeddedPictures(
  encoder: Encoder,
  dataset: Dataset,
  split: Split,
  options: Parameters<typeof embedSplit>[3] = {},
): Promise<EmbeddedPictures> {
  const { features, labels, rows, classes } = await embedSplit(encoder, dataset, split, options);
  return {
    ...{ embedding: features, labels, pictures: rows.map(({ id }) => id), dex: classes.map(({ dex }) => dex) },
    split: partOf(dataset, split),
    model: { name: encoder.name, identity: encoder.identity },
  };
}

/** A split's part with the hash of the whole split. */
function partOf({ rows }: Dataset, split: Split): FeatureRows["split"] {
  return { name: split, hash: splitHash(Object.values(rows).flat()) };
}
