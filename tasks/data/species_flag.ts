/** The flag `--species`: which species to take. */

import type { SpeciesChoice } from "../../lib/data/mod.ts";
import { InputError } from "../../lib/runtime/mod.ts";

/**
 * Reads "all", "151" (the first 151), or a list of numbers and ranges: "1,4,7", "1-9,25". A list of one is "25,".
 * Throws InputError for anything else; the range of the numbers is checked where they are used.
 */
export function parseSpecies(text: string): SpeciesChoice {
  if (text === "all") return "all";
  if (/^\d+$/.test(text)) return Number(text);
  const parts = text.replace(/,$/, "").split(",");
  return parts.flatMap((part) => {
    const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part.trim());
    const [first, last] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
    if (!match || last < first) {
      throw new InputError(`--species: expected all, a number, or a list such as 1-9,25, found "${text}"`);
    }
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
