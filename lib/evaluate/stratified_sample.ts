/** Some of many pictures, in which classes stand as in all of them. */

import type { Random } from "../runtime/mod.ts";
import type { Labels } from "./ranking.ts";

/**
 * Chooses at most `limit` pictures so that every class has its share of them, to a picture; fewer than one a class where there are
 * more classes than that. Systematic sampling: the pictures of a class, shuffled, stand at equal distances from a random start, and
 * those nearest to the beginning are taken. Returns indices in rising order.
 */
export function stratifiedSample(labels: Labels, limit: number, random: Random): number[] {
  if (labels.length <= limit) return Array.from({ length: labels.length }, (_, i) => i);
  const places: { index: number; place: number }[] = [];
  const classes = Map.groupBy(Array.from({ length: labels.length }, (_, i) => i), (i) => labels[i]!);
  for (const [label, members] of [...classes].sort(([a], [b]) => a - b)) {
    const own = random.fork("class", label), start = own.uniform();
    own.shuffle(members).forEach((index, k) => places.push({ index, place: (k + start) / members.length }));
  }
  return places.sort((a, b) => a.place - b.place || a.index - b.index).slice(0, Math.max(0, limit))
    .map(({ index }) => index).sort((a, b) => a - b);
}
