/** Silhouettes: what is left when only the outline is shown ("Who's that Pokémon?"). */

import type { Colour, Picture } from "../../data/mod.ts";
import { EvaluateError } from "../errors.ts";

/** The colour of silhouettes: nearly black, bluish. */
export const SILHOUETTE_COLOUR: Colour = [16, 24, 48];

/** The picture with one colour in place of its own, its transparency kept. Throws EvaluateError for an opaque one. */
export function silhouette(picture: Picture, colour: Colour = SILHOUETTE_COLOUR): Picture {
  if (picture.opaque) throw new EvaluateError("silhouette: expected a transparent picture, found an opaque one");
  const data = picture.data.slice();
  for (let at = 0; at < data.length; at += 4) data.set(colour, at);
  return { ...picture, data };
}
