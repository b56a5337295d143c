/** What the style of a picture is called in a caption. */

import { type ManifestRow, pictureStyle } from "../../data/mod.ts";

/** The words for a picture's style. */
export interface StyleWords {
  /** What the picture is: one is drawn. */
  readonly nouns: readonly string[];
  /** Before the subject: "shiny", "female", "galarian", … */
  readonly qualifiers: readonly string[];
  /** Whether the subject is seen from behind. */
  readonly back: boolean;
  /** Whether the picture has the colours of the species: a shiny form and the four greys of the first games have not. */
  readonly ownColours: boolean;
}

/** By the beginning of a style's last part, the first that fits. */
const NOUNS: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^web/, ["picture", "image", "drawing"]],
  [/artwork|dream-world|global-link/, ["artwork", "drawing", "illustration"]],
  [/^(box|go|home|other\/home)/, ["3d model", "render"]],
  [/^(menu|icon)|pokesprite/, ["menu icon", "icon", "small sprite"]],
];
const SPRITE = ["sprite", "pixel art", "game sprite"] as const;

/** Parts of paths, words between "/", "-" and ".", and what they say of the subject. */
const QUALIFIERS: Readonly<Record<string, string>> = {
  shiny: "shiny",
  female: "female",
  f: "female",
  mega: "mega",
  gmax: "gigantamax",
  alola: "alolan",
  galar: "galarian",
  hisui: "hisuian",
  paldea: "paldean",
};

/** The words for a picture by its path in its source. */
export function styleWords(row: Pick<ManifestRow, "path" | "dex">): StyleWords {
  const style = pictureStyle(row), parts = new Set(row.path.split(/[/.-]/));
  const nouns = NOUNS.find(([pattern]) => pattern.test(style))?.[1] ?? SPRITE;
  // Unown's forms are letters, so that "f" says female only where it stands in a style that is not Unown's.
  const isLetter = row.dex === UNOWN;
  const qualifiers = Object.entries(QUALIFIERS)
    .filter(([part]) => parts.has(part) && !(part === "f" && isLetter)).map(([, word]) => word);
  return {
    nouns,
    qualifiers: [...new Set(qualifiers)],
    back: parts.has("back"),
    ownColours: !parts.has("shiny") && !parts.has("gray"),
  };
}

const UNOWN = 201;
