/** Whether a model has learned from a data set's own train split. */

import { splitHash } from "../data/mod.ts";
import type { ModelCard } from "./card.ts";
import type { Dataset } from "./dataset.ts";

/**
 * Whether the card's training split is this one: only then are the data set's test pictures new to the model, for pictures of another
 * data set may show the same drawings. A card with a `splitHash` knows; one without is believed where there are as many pictures in each
 * part, of the same species, split as built.
 */
export function learnedFrom(
  { trainedOn: { pictures, split, splitHash: hash }, classes: { dex } }: Pick<ModelCard, "trainedOn" | "classes">,
  { rows, classes, splitMode }: Pick<Dataset, "rows" | "classes" | "splitMode">,
): boolean {
  if (hash !== undefined) return hash === splitHash(Object.values(rows).flat());
  return split === splitMode && String(dex) === String(classes.map((species) => species.dex)) &&
    (["train", "validation", "test"] as const).every((part) => pictures[part] === rows[part].length);
}
