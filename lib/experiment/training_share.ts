/** A part of a data set's training pictures, to learn what more pictures are worth. */

import { type ManifestRow } from "../data/mod.ts";
import { Random } from "../runtime/mod.ts";
import type { Dataset } from "./dataset.ts";

/**
 * The data set with about this share (0 … 1) of the near-duplicate groups of its training pictures, of each species at least one;
 * validation and test stay whole. A group is taken by a number drawn from its own name, so smaller shares are parts of larger ones,
 * and taking the same share again changes nothing.
 */
export function shareOfTraining(dataset: Dataset, share: number): Dataset {
  if (share >= 1) return dataset;
  const place = new Map<string, number>();
  for (const { group } of dataset.rows.train) {
    if (!place.has(group)) place.set(group, Random.seeded("training share", 0).fork(group).uniform());
  }
  const first = new Map<number, number>(); // of each species, the smallest place
  for (const { dex, group } of dataset.rows.train) first.set(dex, Math.min(first.get(dex) ?? 1, place.get(group)!));
  const isTaken = ({ dex, group }: ManifestRow) => place.get(group)! < share || place.get(group) === first.get(dex);
  return { ...dataset, rows: { ...dataset.rows, train: dataset.rows.train.filter(isTaken) } };
}
