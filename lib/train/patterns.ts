/** Choosing parameters by name. */

/**
 * Names to choose: a text in which `*` stands for any characters (it must cover the whole name), a regular expression
 * (found anywhere in it), or a function.
 */
export type NamePattern = string | RegExp | ((name: string) => boolean);

/** Whether a name is covered by one of the patterns. */
export function matchesName(name: string, patterns: NamePattern | readonly NamePattern[]): boolean {
  const list = Array.isArray(patterns) ? patterns as readonly NamePattern[] : [patterns as NamePattern];
  return list.some((pattern) => {
    if (typeof pattern === "function") return pattern(name);
    if (typeof pattern !== "string") return name.search(pattern) >= 0;
    const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${parts.join(".*")}$`, "s").test(name);
  });
}
