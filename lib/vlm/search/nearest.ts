/** Search: pictures by a text, pictures by a picture. */

import type { Tensor } from "../../runtime/mod.ts";
import { cosines } from "../cosines.ts";

/** A row that was found. */
export interface Found {
  /** Row of the embeddings that were searched. */
  readonly index: number;
  readonly cosine: number;
}

/**
 * For each row of `queries` [Q, D] the `count` rows of `among` [N, D] with the largest products, best first; of equal ones the first.
 * Throws InputError for embeddings of another width.
 */
export async function nearestRows(
  queries: Tensor<"float32">,
  among: Tensor<"float32">,
  count: number,
): Promise<Found[][]> {
  const { data, shape: [n, m] } = await cosines(queries, among);
  return Array.from({ length: n! }, (_, query) => {
    const row = data.subarray(query * m!, (query + 1) * m!);
    return Array.from(row, (cosine, index) => ({ index, cosine }))
      .sort((a, b) => b.cosine - a.cosine || a.index - b.index).slice(0, count);
  });
}
