/** The style of a picture, coarser than its kind. */

/** Words in a path that tell variants of one style apart: colouring, sex, the side that it looks to. */
const VARIANTS = new Set(["regular", "shiny", "female", "male", "left", "right"]);

/**
 * What `pictureKind` says without the variants, of which the last two folders: "sprites/black-white/animated/back/shiny" is
 * "animated/back". A kind of variants only stays as it is.
 */
export function pictureStyle(kind: string): string {
  const parts = kind.split("/").filter((part) => !VARIANTS.has(part));
  return parts.slice(-2).join("/") || kind;
}
