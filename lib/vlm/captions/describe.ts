/** Species in words, always the same for the same question: names, attributes, and templates for prompts. */

import { attributesByDex, type DexNumber, type Species, speciesByDex } from "../../species/mod.ts";

/** What a description may tell, in the order in which it does. */
export const ATTRIBUTES = [
  "size",
  "colour",
  "types",
  "generation",
  "weight",
  "eggGroups",
  "stage",
  "evolvesFrom",
] as const;
export type Attribute = typeof ATTRIBUTES[number];

/** Bounds in metres: up to each, this word. The quartiles of all species are 0.5, 1 and 1.5 m. */
const SIZES = [[0.3, "tiny"], [0.7, "small"], [1.3, "medium-sized"], [2, "large"], [Infinity, "huge"]] as const;
/** Bounds in kilograms. */
const WEIGHTS = [[3, "very light"], [15, "light"], [60, "middleweight"], [150, "heavy"], [
  Infinity,
  "very heavy",
]] as const;
const STAGES = ["basic", "first evolution", "second evolution"] as const;

/** "small": a height in metres as a word. */
export function sizeWord(height: number): string {
  return SIZES.find(([bound]) => height <= bound)![1];
}

/** "heavy": a weight in kilograms as a word. */
export function weightWord(weight: number): string {
  return WEIGHTS.find(([bound]) => weight <= bound)![1];
}

/** Settings of `describe`. */
export interface DescribeOptions {
  /** What is told. Default: everything. */
  readonly attributes?: readonly Attribute[];
  /** Whether another species may be named, in "evolves from …". Default: all may. */
  readonly mayName?: (dex: DexNumber) => boolean;
}

/**
 * A species without its name: "a small yellow electric Pokémon of generation 1, light, in the field and fairy group, first
 * evolution, evolves from Pichu". What a species does not have is left out.
 */
export function describe(
  species: Species,
  { attributes = ATTRIBUTES, mayName = () => true }: DescribeOptions = {},
): string {
  const told = new Set(attributes), own = attributesByDex(species.dex);
  const words = [
    told.has("size") ? sizeWord(own.height) : "",
    told.has("colour") ? own.colour.toLowerCase() : "",
    told.has("types") ? species.types.join(" ").toLowerCase() : "",
    "Pokémon",
  ].filter((word) => word !== "").join(" ");
  const { evolvesFrom } = own;
  const clauses = [
    told.has("weight") ? weightWord(own.weight) : "",
    told.has("eggGroups") && own.eggGroups.length > 0
      ? `in the ${own.eggGroups.join(" and ").toLowerCase()} group`
      : "",
    told.has("stage") ? STAGES[own.stage - 1]! : "",
    told.has("evolvesFrom") && evolvesFrom !== undefined && mayName(evolvesFrom)
      ? `evolves from ${speciesByDex(evolvesFrom).name}`
      : "",
  ].filter((clause) => clause !== "");
  const origin = told.has("generation") ? ` of generation ${species.generation}` : "";
  return [`${withArticle(words)}${origin}`, ...clauses].join(", ");
}

/** "an image" for "image". */
export function withArticle(words: string): string {
  return /^[aeiou]/i.test(words) ? `an ${words}` : `a ${words}`;
}

/** Prompts for what stands in "{}", a name or a description (Radford et al. 2021, section 3.1.4, averages over such). */
export const PROMPT_TEMPLATES = [
  "a picture of {}",
  "an image of {}",
  "a drawing of {}",
  "artwork of {}",
  "a sprite of {}",
  "pixel art of {}",
  "a menu icon of {}",
  "a 3d model of {}",
] as const;

/** The first of the templates: the one where a single prompt is asked for. */
export const PLAIN_TEMPLATE: string = PROMPT_TEMPLATES[0];

/** A template with its subject. */
export function fillTemplate(template: string, subject: string): string {
  return template.replace("{}", () => subject);
}

/** "a picture of Pikachu". */
export function nameCaption(
  { name }: Species,
  { template = PLAIN_TEMPLATE }: { readonly template?: string } = {},
): string {
  return fillTemplate(template, name);
}

/** "a picture of a small yellow electric Pokémon of generation 1, …": `describe` in a template. */
export function attributeCaption(
  species: Species,
  { template = PLAIN_TEMPLATE, ...options }: DescribeOptions & { readonly template?: string } = {},
): string {
  return fillTemplate(template, describe(species, options));
}
