/** The style of a picture: what its folders say, without what only tells variants of a drawing apart. */

import { dirname } from "node:path/posix";
import { pictureKind } from "./analyze.ts";
import type { ManifestRow } from "./manifest.ts";

/** Folders that tell variants of one style apart: colouring, sex, the side that it looks to. */
const VARIANTS = new Set(["regular", "shiny", "female", "male", "left", "right"]);

/**
 * The last two folders of a picture's path that are neither numbers nor variants: "sprites/black-white/animated/back/shiny/6.gif"
 * is "animated/back". A picture whose folders say nothing, "0006/web-1.webp", has its kind for a style.
 */
export function pictureStyle({ path, dex }: Pick<ManifestRow, "path" | "dex">): string {
  const folders = dirname(path).split("/").filter((part) => !VARIANTS.has(part) && !/^[\d.]*$/.test(part));
  return folders.slice(-2).join("/") || pictureKind({ path, dex });
}
