/** Which words name a Pokémon best? Prompts as an experiment, the choice made on validation. */

import { judgeClassification, type Share, shareWithin } from "../../evaluate/mod.ts";
import { InputError, type ProgressListener } from "../../runtime/mod.ts";
import type { Species } from "../../species/mod.ts";
import {
  type Attribute,
  attributeCaption,
  ATTRIBUTES,
  describe,
  fillTemplate,
  PLAIN_TEMPLATE,
  PROMPT_TEMPLATES,
} from "../captions/mod.ts";
import type { Encoder, LabelledFeatures } from "../encoder.ts";
import { zeroShotProbabilities } from "./classify.ts";
import { textPrototypes } from "./prototypes.ts";

/** A way to put a species into words. */
export interface PromptSet {
  readonly name: string;
  /** One text or several, whose embeddings are averaged. */
  texts(species: Species): readonly string[];
}

const named = (name: string, ...templates: readonly string[]): PromptSet => ({
  name,
  texts: (species) => templates.map((template) => fillTemplate(template, species.name)),
});
const told = (name: string, attributes: readonly Attribute[], templates = [PLAIN_TEMPLATE]): PromptSet => ({
  name,
  texts: (species) =>
    templates.map((template) => fillTemplate(template, `${species.name}, ${describe(species, { attributes })}`)),
});

/** The name alone; in one template, in several; with one thing that is known of the species, with all; and all without the name. */
export const PROMPT_SETS: readonly PromptSet[] = [
  named("the name alone", "{}"),
  named("a photo of …", "a photo of {}"),
  named("a sprite of …", "a sprite of {}"),
  named("artwork of …", "artwork of {}"),
  named("a 3d model of …", "a 3d model of {}"),
  named("a Pokémon called …", "a Pokémon called {}"),
  named(`${PROMPT_TEMPLATES.length} templates`, ...PROMPT_TEMPLATES),
  told("name and types", ["types"]),
  told("name and generation", ["generation"]),
  told("name and colour", ["colour"]),
  told("name and description", ATTRIBUTES),
  told("name and types in templates", ["types"], [...PROMPT_TEMPLATES]),
  { name: "description without the name", texts: (species) => [attributeCaption(species)] },
];

/** What a set of prompts gave. */
export interface PromptResult {
  readonly name: string;
  /** Texts of a species. */
  readonly texts: number;
  /** An example: those of the first class. */
  readonly example: string;
  readonly validation: { readonly top1: Share; readonly top5: Share };
}

/** Settings of `studyPrompts`. */
export interface PromptStudyOptions {
  readonly classes: readonly Species[];
  /** Labels are indices of `classes`. */
  readonly validation: LabelledFeatures;
  /** Default: `PROMPT_SETS`. */
  readonly sets?: readonly PromptSet[];
  readonly onProgress?: ProgressListener;
}

/** The results in the order of the sets, and the one with the best top-1 on validation (of equal ones the best top-5, then the first). */
export async function studyPrompts(
  encoder: Pick<Encoder, "dimension" | "embedTexts" | "logitScale">,
  { classes, validation, sets = PROMPT_SETS, onProgress = () => {} }: PromptStudyOptions,
): Promise<{ readonly results: readonly PromptResult[]; readonly best: PromptSet }> {
  if (sets.length === 0) throw new InputError("prompt study: expected at least one set of prompts, found none");
  const results: PromptResult[] = [];
  for (const [done, set] of sets.entries()) {
    onProgress({ label: "prompts", done, total: sets.length, unit: "sets of prompts", note: set.name });
    const texts = classes.map((species) => set.texts(species));
    const prototypes = await textPrototypes(encoder, texts);
    const judged = judgeClassification(
      await zeroShotProbabilities(validation.features, prototypes, encoder.logitScale),
      validation.labels,
    );
    results.push({
      ...{ name: set.name, texts: texts[0]!.length, example: texts[0]![0]! },
      validation: { top1: judged.top1, top5: judged.top5 },
    });
  }
  onProgress({ label: "prompts", done: sets.length, total: sets.length, unit: "sets of prompts" });
  const value = ({ validation: { top1, top5 } }: PromptResult) => top1.correct + top5.correct / (top5.n + 1);
  const best = results.reduce((top, result, i) => value(result) > value(results[top]!) ? i : top, 0);
  return { results, best: sets[best]! };
}

/** How well species are found that the encoder never learned, by words alone. */
export interface HeldOutResult {
  /** Species among which the right one is looked for. */
  readonly among: number;
  readonly top1: Share;
  readonly top5: Share;
  /** Top-1 and top-5 of guessing: 1 / among, 5 / among. */
  readonly chance: { readonly top1: number; readonly top5: number };
  /** How many species come before the right one, in the middle picture; guessing has (among − 1) / 2. */
  readonly medianRank: number;
}

/**
 * Looks for the species of each picture by descriptions that name no species: types, colour, size, generation and so on. `among` are the
 * candidates, and the labels are indices of it. Throws InputError without pictures.
 */
export async function findByAttributes(
  encoder: Pick<Encoder, "dimension" | "embedTexts" | "logitScale">,
  { features, labels }: LabelledFeatures,
  among: readonly Species[],
  { attributes, templates = PROMPT_TEMPLATES }: {
    readonly attributes?: readonly Attribute[];
    readonly templates?: readonly string[];
  } = {},
): Promise<HeldOutResult> {
  if (labels.length === 0) throw new InputError("find by attributes: expected at least one picture, found none");
  const texts = among.map((species) =>
    templates.map((template) =>
      attributeCaption(species, { template, mayName: () => false, ...(attributes ? { attributes } : {}) })
    )
  );
  const scores = await zeroShotProbabilities(features, await textPrototypes(encoder, texts), encoder.logitScale);
  const { ranks, top1 } = judgeClassification(scores, labels);
  const sorted = Array.from(ranks).sort((a, b) => a - b);
  return {
    ...{ among: among.length, top1, top5: shareWithin(ranks, 5) },
    chance: { top1: 1 / among.length, top5: Math.min(1, 5 / among.length) },
    medianRank: sorted[Math.floor(sorted.length / 2)]!,
  };
}
