/** Whether a model that ships has learned from a data set's own train split. */

import type { Dataset, ModelCard } from "../../experiment/mod.ts";

/**
 * Whether the card's training split is this one: as many pictures in each of its three parts, of the same species, split as built. Only then
 * are the data set's test pictures new to the model; pictures of another data set may show the same drawings.
 */
export function learnedFrom(
  { trainedOn: { pictures, split }, classes: { dex } }: Pick<ModelCard, "trainedOn" | "classes">,
  { rows, classes, splitMode }: Pick<Dataset, "rows" | "classes" | "splitMode">,
): boolean {
  return split === splitMode && String(dex) === String(classes.map((species) => species.dex)) &&
    (["train", "validation", "test"] as const).every((part) => pictures[part] === rows[part].length);
}
