/** Species that a training never sees, and the data set without them. */

import type { Dataset } from "../../experiment/mod.ts";
import { InputError, Random } from "../../runtime/mod.ts";
import type { Species } from "../../species/mod.ts";
import type { ClipConfig } from "./config.ts";

/** A data set parted by species. */
export interface PartedData {
  /** Only the species that are trained; its classes are theirs. */
  readonly trained: Dataset;
  /** Only those that are not. */
  readonly heldOut: Dataset;
}

/**
 * The species that are held out of these: those that the settings name, or a seeded share, in the order of the National Dex.
 * Throws InputError for one that is not among them.
 */
export function heldOutSpecies(
  classes: readonly Species[],
  { share, seed, species }: ClipConfig["heldOut"],
): Species[] {
  if (species) {
    const known = new Set(classes.map(({ dex }) => dex)), missing = species.find((dex) => !known.has(dex));
    if (missing !== undefined) {
      throw new InputError(`heldOut.species: expected species of the data set, found dex number ${missing}`);
    }
    return classes.filter(({ dex }) => species.includes(dex));
  }
  const shuffled = Random.seeded("held-out", seed).shuffle([...classes]);
  const chosen = new Set(shuffled.slice(0, Math.round(share * classes.length)));
  return classes.filter((each) => chosen.has(each));
}

/** Parts a data set. Throws InputError where nothing is left to train or validate on. */
export function partData(data: Dataset, settings: ClipConfig["heldOut"]): PartedData {
  const out = new Set(heldOutSpecies(data.classes, settings).map(({ dex }) => dex));
  const part = (keep: (dex: number) => boolean): Dataset => ({
    ...data,
    classes: data.classes.filter(({ dex }) => keep(dex)),
    rows: {
      train: data.rows.train.filter(({ dex }) => keep(dex)),
      validation: data.rows.validation.filter(({ dex }) => keep(dex)),
      test: data.rows.test.filter(({ dex }) => keep(dex)),
    },
  });
  const trained = part((dex) => !out.has(dex));
  for (const split of ["train", "validation"] as const) {
    if (trained.rows[split].length > 0) continue;
    throw new InputError(`${data.dataFolder}: expected pictures of trained species in split ${split}, found none`);
  }
  return { trained, heldOut: part((dex) => out.has(dex)) };
}
