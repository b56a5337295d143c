/** Leakage: pictures of a test set whose near-duplicates stand in the training set. */

import type { ManifestRow, Split } from "./manifest.ts";
import { assignSplits, type SplitMode } from "./splits.ts";

/** A picture that is judged, and the picture of the same group that was seen in training. */
export interface Leak {
  readonly row: ManifestRow;
  readonly seen: ManifestRow;
}

/** The rows with their splits assigned anew, as a build with this seed and mode would. */
export function resplit(
  rows: readonly ManifestRow[],
  { seed, mode }: { seed: number; mode: SplitMode },
): ManifestRow[] {
  const splitOf = assignSplits(
    rows.map(({ id, dex, group, sha256, frame }) => ({ id, dex, group, key: `${sha256}:${frame ?? 0}` })),
    { seed, mode },
  );
  return rows.map((row) => ({ ...row, split: splitOf.get(row.id)! }));
}

/** The pictures of `judged` with a near-duplicate (one of their group) in train, each with the first such picture. */
export function findLeaks(rows: readonly ManifestRow[], judged: Split = "test"): Leak[] {
  const seen = new Map<string, ManifestRow>();
  for (const row of rows) if (row.split === "train" && !seen.has(row.group)) seen.set(row.group, row);
  return rows.flatMap((row) => {
    const twin = row.split === judged ? seen.get(row.group) : undefined;
    return twin ? [{ row, seen: twin }] : [];
  });
}
