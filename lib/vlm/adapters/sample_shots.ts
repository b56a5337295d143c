/** The pictures of a few-shot experiment. */

import { InputError, type Random } from "../../runtime/mod.ts";

/** How many pictures a class; "all": every one. */
export type Shots = number | "all";

/**
 * Indices of `shots` pictures of each class, in rising order; a class with fewer has all of them. Each class is drawn by a stream of its
 * own and in one order, so that with the same generator the pictures of few shots are among those of more, and a class's pictures
 * do not depend on other classes. With `groups` (a number a picture, e.g. of near-duplicates) pictures of groups that have none yet
 * come first. Throws InputError for shots that are no whole number from 1, or groups that are not one a picture.
 */
export function sampleShots(
  labels: ArrayLike<number>,
  shots: Shots,
  random: Random,
  groups?: ArrayLike<number>,
): number[] {
  if (shots !== "all" && !(Number.isInteger(shots) && shots >= 1)) {
    throw new InputError(`sampleShots: expected shots from 1 or "all", found ${shots}`);
  }
  if (groups && groups.length !== labels.length) {
    throw new InputError(`sampleShots: expected ${labels.length} groups, one a picture, found ${groups.length}`);
  }
  const all = Array.from({ length: labels.length }, (_, i) => i);
  if (shots === "all") return all;
  return [...Map.groupBy(all, (i) => labels[i]!)].flatMap(([label, members]) => {
    const order = random.fork("class", label).shuffle(members);
    return (groups ? distinctFirst(order, groups) : order).slice(0, shots);
  }).sort((a, b) => a - b);
}

/** One picture of each group, in order, then a second one of each, and so on. */
function distinctFirst(order: readonly number[], groups: ArrayLike<number>): number[] {
  const seen = new Map<number, number>();
  const turns = order.map((index) => {
    const turn = seen.get(groups[index]!) ?? 0;
    seen.set(groups[index]!, turn + 1);
    return { index, turn };
  });
  return turns.sort((a, b) => a.turn - b.turn).map(({ index }) => index);
}
