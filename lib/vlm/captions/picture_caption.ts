/** A caption of a picture, drawn at random: what kind of picture it is, whom it shows, and some of what is known of that species. */

import type { ManifestRow } from "../../data/mod.ts";
import type { Random } from "../../runtime/mod.ts";
import { type DexNumber, speciesByDex } from "../../species/mod.ts";
import { ATTRIBUTES, describe, withArticle } from "./describe.ts";
import { styleWords } from "./style_words.ts";

/** Settings of `pictureCaption`. */
export interface CaptionOptions {
  /** The same stream, the same caption. */
  readonly random: Random;
  /** The probability that the species is named. Default: 0.5. */
  readonly nameShare?: number;
  /** Whether another species may be named, in "evolves from …". Default: all may. */
  readonly mayName?: (dex: DexNumber) => boolean;
}

/** The probability that an attribute is told: of a species that is named, and of one that is only described. */
const TOLD = { named: 0.25, described: 0.6 } as const;

/**
 * "a sprite of Pikachu", "artwork of a yellow electric Pokémon of generation 1, light, evolves from Pichu". A description without a
 * name tells at least two attributes, of which the types are one whenever chance would leave fewer. The colour is not told of pictures
 * that do not have it (shiny forms, the first games' greys).
 */
export function pictureCaption(
  row: Pick<ManifestRow, "path" | "dex">,
  { random, nameShare = 0.5, mayName = () => true }: CaptionOptions,
): string {
  const species = speciesByDex(row.dex), { nouns, qualifiers, back, ownColours } = styleWords(row);
  const isNamed = random.chance(nameShare);
  const drawn = ATTRIBUTES.filter((attribute) => {
    const isTold = random.chance(isNamed ? TOLD.named : TOLD.described);
    return isTold && (attribute !== "colour" || ownColours);
  });
  const attributes = !isNamed && drawn.length < 2 ? [...drawn, "types" as const, "size" as const] : drawn;
  const noun = random.pick(nouns), styled = random.chance(0.8);
  const qualified = [...qualifiers, ""].join(" ");
  const description = attributes.length > 0 ? describe(species, { attributes, mayName }) : undefined;
  const subject = !isNamed
    ? description!.replace(/^an? /, (article) => qualified === "" ? article : `a ${qualified}`)
    : [`${qualified}${species.name}`, ...(description === undefined ? [] : [description])].join(", ");
  const behind = back ? (random.chance(0.5) ? " from behind" : ", back view") : "";
  if (!styled) return `${subject}${behind}`;
  return `${noun === "artwork" || noun === "pixel art" ? noun : withArticle(noun)} of ${subject}${behind}`;
}
