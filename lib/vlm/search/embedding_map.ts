/** Embeddings as points of a plane, for people. */

import { UMAP } from "umap-js";
import { InputError, type ProgressListener, Random, type Tensor } from "../../runtime/mod.ts";

/** Settings of `embeddingMap`. */
export interface EmbeddingMapOptions {
  readonly seed?: number;
  /** Neighbours of each row that the plane keeps near: few show small groups, many the whole. Default: 15. */
  readonly neighbors?: number;
  readonly onProgress?: ProgressListener;
}

/**
 * A place in the plane for each row of [N, D], so that rows with a small angle lie near each other: UMAP (McInnes, Healy and Melville
 * 2018) of the cosine distance. The same seed, the same map. Distances between far groups mean nothing. Throws InputError for fewer rows
 * than neighbours.
 */
export async function embeddingMap(
  features: Tensor<"float32">,
  { seed = 0, neighbors = 15, onProgress = () => {} }: EmbeddingMapOptions = {},
): Promise<{ readonly x: number[]; readonly y: number[] }> {
  const [n, width] = features.shape as [number, number];
  if (n <= neighbors) {
    throw new InputError(`embedding map: expected more rows than the ${neighbors} neighbours, found ${n}`);
  }
  const random = Random.seeded("embedding map", seed);
  const umap = new UMAP({
    ...{ nComponents: 2, nNeighbors: neighbors, minDist: 0.15 },
    random: () => random.uniform(),
    distanceFn: cosineDistance,
  });
  const rows = Array.from({ length: n }, (_, i) => Array.from(features.data.subarray(i * width, (i + 1) * width)));
  const total = umap.initializeFit(rows);
  for (let done = 0; done < total; done++) {
    umap.step();
    if (done % 10 === 9) {
      onProgress({ label: "map", done: done + 1, total, unit: "rounds" });
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }
  onProgress({ label: "map", done: total, total, unit: "rounds" });
  const places = umap.getEmbedding();
  return { x: places.map(([x]) => x!), y: places.map(([, y]) => y!) };
}

/** 1 − the cosine of two rows of length 1. */
function cosineDistance(a: number[], b: number[]): number {
  let product = 0;
  for (let i = 0; i < a.length; i++) product += a[i]! * b[i]!;
  return Math.max(0, 1 - product);
}
