/** The National Dex as a table: 1,025 rows, read once from `species.tsv` beside this file. */

import table from "./species.tsv" with { type: "text" };

/** A number or name that belongs to no species; what a command was given is wrong (exit status 2). */
export class SpeciesError extends Error {
  override name = "SpeciesError";
  readonly exitStatus = 2;
}

/** Number of a species in the National Dex, 1 … 1025. */
export type DexNumber = number;
/** Index of a species among the classes of a model: dex number − 1. */
export type ClassId = number;

/** The eighteen types of the games. */
export const types = [
  "Normal",
  "Fire",
  "Water",
  "Electric",
  "Grass",
  "Ice",
  "Fighting",
  "Poison",
  "Ground",
  "Flying",
  "Psychic",
  "Bug",
  "Rock",
  "Ghost",
  "Dragon",
  "Dark",
  "Steel",
  "Fairy",
] as const;
export type Type = typeof types[number];

/** One species, in its base form. */
export interface Species {
  readonly dex: DexNumber;
  readonly classId: ClassId;
  /** English name as the games spell it, e.g. "Nidoran♀", "Mr. Mime", "Flabébé". */
  readonly name: string;
  /** One or two types, the first one first. */
  readonly types: readonly [Type] | readonly [Type, Type];
  /** The generation of games that introduced it, 1 … 9. */
  readonly generation: number;
}

/** All species in the order of the National Dex: `species[classId]`. */
export const species: readonly Species[] = table.trim().split("\n").slice(1).map((line) => {
  const [dex, name, pair, generation] = line.split("\t") as [string, string, string, string];
  return {
    dex: Number(dex),
    classId: Number(dex) - 1,
    name,
    types: pair.split("/") as unknown as Species["types"],
    generation: Number(generation),
  };
});

/** The names of all classes, in the order of their ids. */
export const speciesNames: readonly string[] = species.map((row) => row.name);

/** Whether a number stands in the National Dex: an integer in 1 … 1025. */
export function isDexNumber(value: number): value is DexNumber {
  return Number.isInteger(value) && value >= 1 && value <= species.length;
}

/** The species with a dex number. Throws SpeciesError outside 1 … 1025. */
export function speciesByDex(dex: DexNumber): Species {
  const row = isDexNumber(dex) ? species[dex - 1] : undefined;
  if (!row) throw new SpeciesError(`dex number: expected 1 … ${species.length}, found ${dex}`);
  return row;
}

/** The species with a class id. Throws SpeciesError outside 0 … 1024. */
export function speciesByClassId(classId: ClassId): Species {
  const row = Number.isInteger(classId) ? species[classId] : undefined;
  if (!row) throw new SpeciesError(`class id: expected 0 … ${species.length - 1}, found ${classId}`);
  return row;
}

/**
 * The species with a name, however it is written: capitals, accents, spaces and punctuation do not count
 * ("mr mime", "FLABEBE", "nidoran-f"). Throws SpeciesError for an unknown name and proposes the nearest one.
 */
export function speciesByName(name: string): Species {
  const key = nameKey(name);
  const row = byName.get(key);
  if (row) return row;
  const nearest = [...byName].reduce((best, entry) =>
    editDistance(entry[0], key) < editDistance(best[0], key) ? entry : best
  );
  throw new SpeciesError(
    `species name: expected one of the National Dex, found "${name}"; did you mean ${nearest[1].name}?`,
  );
}

/** The species of a generation, 1 … 9. */
export function speciesOfGeneration(generation: number): readonly Species[] {
  return species.filter((row) => row.generation === generation);
}

/** "0025" for 25: the form of a dex number in file names. */
export function padDex(dex: DexNumber): string {
  return String(dex).padStart(4, "0");
}

const byName = new Map(species.map((row) => [nameKey(row.name), row]));

function nameKey(name: string): string {
  return name.replace("♀", "f").replace("♂", "m").normalize("NFD").toLowerCase().replace(/[^a-z0-9]/g, "");
}

/** Levenshtein's distance: insertions, deletions and replacements that turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
