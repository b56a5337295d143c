/** Choosing parameters by name. */

import { TrainError } from "./errors.ts";

/**
 * Names to choose: a text in which `*` stands for any characters (it must cover the whole name), a regular expression
 * (found anywhere in it), or a function.
 */
export type NamePattern = string | RegExp | ((name: string) => boolean);

/** Whether a name is covered by one of the patterns. */
export function matchesName(name: string, patterns: NamePattern | readonly NamePattern[]): boolean {
  return listed(patterns).some((pattern) => {
    if (typeof pattern === "function") return pattern(name);
    if (typeof pattern !== "string") return name.search(pattern) >= 0;
    const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${parts.join(".*")}$`, "s").test(name);
  });
}

/** A pattern that names nothing is a slip that would train what should stay. Throws TrainError for one, naming `place`. */
export function expectMatches(
  place: string,
  patterns: NamePattern | readonly NamePattern[],
  names: readonly string[],
): void {
  for (const pattern of listed(patterns)) {
    if (names.some((name) => matchesName(name, pattern))) continue;
    throw new TrainError(
      `${place}: expected a pattern that names a parameter (such as ${names.slice(0, 3).join(", ")}), found ${
        String(pattern)
      }`,
    );
  }
}

function listed(patterns: NamePattern | readonly NamePattern[]): readonly NamePattern[] {
  return Array.isArray(patterns) ? patterns as readonly NamePattern[] : [patterns as NamePattern];
}
