/** What the games say of each species beside its types: colour, egg groups, size, evolution; from `attributes.tsv` beside this file. */

import table from "./attributes.tsv" with { type: "text" };
import { type DexNumber, type Species, species, speciesByDex } from "./species.ts";

/** The ten colours by which the games sort species. */
export const colours = ["Red", "Blue", "Yellow", "Green", "Black", "Brown", "Purple", "Gray", "White", "Pink"] as const;
export type SpeciesColour = typeof colours[number];

/** The fourteen egg groups. Species that do not breed have none. */
export const eggGroups = [
  "Monster",
  "Water 1",
  "Bug",
  "Flying",
  "Field",
  "Fairy",
  "Grass",
  "Human-Like",
  "Water 3",
  "Mineral",
  "Amorphous",
  "Water 2",
  "Ditto",
  "Dragon",
] as const;
export type EggGroup = typeof eggGroups[number];

/** Attributes of a species in its base form. */
export interface SpeciesAttributes {
  readonly dex: DexNumber;
  readonly colour: SpeciesColour;
  /** None, one or two. */
  readonly eggGroups: readonly EggGroup[];
  /** Metres. */
  readonly height: number;
  /** Kilograms. */
  readonly weight: number;
  /** What it evolves from; of a regional form its species. */
  readonly evolvesFrom: DexNumber | undefined;
  /** 1 for a species that evolves from nothing, else one more than that of the one before: Pichu 1, Pikachu 2, Raichu 3. */
  readonly stage: 1 | 2 | 3;
}

const rows: readonly SpeciesAttributes[] = table.trimEnd().split("\n").slice(1).map((line) => {
  const [dex, colour, groups, height, weight, from, stage] = line.split("\t") as string[];
  return {
    dex: Number(dex),
    colour: colour as SpeciesColour,
    eggGroups: (groups === "" ? [] : groups!.split("/")) as EggGroup[],
    height: Number(height),
    weight: Number(weight),
    evolvesFrom: from === "" ? undefined : Number(from),
    stage: Number(stage) as SpeciesAttributes["stage"],
  };
});

const next = Map.groupBy(
  rows.filter(({ evolvesFrom }) => evolvesFrom !== undefined),
  ({ evolvesFrom }) => evolvesFrom!,
);

/** The attributes of the species with a dex number. Throws SpeciesError outside 1 … 1025. */
export function attributesByDex(dex: DexNumber): SpeciesAttributes {
  return rows[speciesByDex(dex).classId]!;
}

/** What a species evolves into, in the order of the National Dex; empty for the last of a line. Throws SpeciesError. */
export function evolutionsOf(dex: DexNumber): readonly Species[] {
  return (next.get(speciesByDex(dex).dex) ?? []).map((row) => species[row.dex - 1]!);
}
