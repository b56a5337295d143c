/** Both modalities' features of a split, from a picture network and an encoder, kept in a folder. */

import { join } from "node:path";
import type { Split } from "../../data/mod.ts";
import type { Dataset } from "../../experiment/mod.ts";
import type { ProgressListener } from "../../runtime/mod.ts";
import { type Encoder, openEmbeddingCache } from "../../vlm/mod.ts";
import { embeddedPictures, type PictureNetwork, visualFeatures } from "./cache_features.ts";
import { type HybridFeatures, joinFeatures, withClasses } from "./features.ts";

/** Settings of `hybridFeatures`. */
export interface HybridFeaturesOptions {
  /** Where features are kept: a file for each network and split, and one of embeddings for each encoder. */
  readonly folder: string;
  readonly threads?: number | undefined;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The features of a split by a picture network and an encoder, labelled by the data set's species. What was made before is read; a killed
 * run embeds only what it had not. Throws InputError as `visualFeatures` and `joinFeatures`, where the network does not know a species
 * of the data set, and the signal's reason.
 */
export async function hybridFeatures(
  { network, encoder }: { readonly network: PictureNetwork; readonly encoder: Encoder },
  data: Dataset,
  split: Split,
  { folder, threads, onProgress, signal }: HybridFeaturesOptions,
): Promise<HybridFeatures> {
  const progress = onProgress && { onProgress };
  signal?.throwIfAborted();
  const seen = await visualFeatures(network, data, split, { folder, ...(threads ? { threads } : {}), ...progress });
  signal?.throwIfAborted();
  const file = join(folder, `embeddings-${encoder.identity.slice(0, 16)}.bin`);
  using cache = await openEmbeddingCache(file, encoder);
  const told = await embeddedPictures(encoder, data, split, { cache, signal, ...progress });
  return joinFeatures(withClasses(seen, told.dex), told);
}
