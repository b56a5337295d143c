/** Pictures as all ways to classify them see them: themselves, and their features and embeddings. */

import type { Split } from "../../data/mod.ts";
import type { Dataset } from "../../experiment/mod.ts";
import type { ProgressListener } from "../../runtime/mod.ts";
import type { EmbeddingCache, Encoder } from "../../vlm/mod.ts";
import { embeddedPictures, type PictureNetwork, visualFeatures } from "../fusion/cache_features.ts";
import { type HybridFeatures, joinFeatures, withClasses } from "../fusion/features.ts";

/** A split's pictures. */
export interface PictureView {
  readonly dataset: Dataset;
  readonly split: Split;
  /** Its rows are the order of all answers, its species that of their columns. */
  readonly features: HybridFeatures;
}

/** Who looks. */
export interface Eyes {
  /** Its backbone's features are taken; it knows all species of the data set. */
  readonly network: PictureNetwork;
  readonly encoder: Encoder;
  /** Where features are kept. Default: they are worked out anew. */
  readonly folder?: string;
  readonly cache?: EmbeddingCache;
  readonly onProgress?: ProgressListener;
}

/** The features of a split with the data set's species as classes. Throws as `visualFeatures`, `withClasses` and `joinFeatures`. */
export async function viewPictures(
  { network, encoder, folder, cache, onProgress }: Eyes,
  dataset: Dataset,
  split: Split,
): Promise<PictureView> {
  const progress = onProgress ? { onProgress } : {};
  const seen = await visualFeatures(network, dataset, split, { ...(folder ? { folder } : {}), ...progress });
  const told = await embeddedPictures(encoder, dataset, split, { cache, ...progress });
  const features = joinFeatures(withClasses(seen, dataset.classes.map(({ dex }) => dex)), told);
  return { dataset, split, features };
}
