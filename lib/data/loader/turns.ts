/** Drawing in turns: everything comes once, in a random order, before anything comes again. */

import { InputError, type Random } from "../../runtime/mod.ts";

/** Gives the items in a random order, and when all were given once, in another. */
export function turns<T>(items: readonly T[], random: Random): () => T {
  let left: T[] = [];
  return () => {
    if (left.length === 0) left = random.shuffle([...items]);
    return left.pop()!;
  };
}

/**
 * The pictures of each class by group: label → group → indices, labels in rising order. Without groups every picture is one
 * of its own. `place` names the caller. Throws InputError unless there is a group for each picture.
 */
export function membersOf(
  place: string,
  labels: ArrayLike<number>,
  groups?: readonly string[],
): Map<number, Map<string, number[]>> {
  if (groups && labels.length !== groups.length) {
    throw new InputError(`${place}: expected a group for each of ${labels.length} pictures, found ${groups.length}`);
  }
  const members = new Map<number, Map<string, number[]>>();
  for (let index = 0; index < labels.length; index++) {
    const label = labels[index]!, group = groups?.[index] ?? String(index);
    if (!members.has(label)) members.set(label, new Map());
    const own = members.get(label)!, pictures = own.get(group);
    if (pictures) pictures.push(index);
    else own.set(group, [index]);
  }
  return new Map([...members].sort(([a], [b]) => a - b));
}

/** For each class a function that gives its pictures: groups in turns, and in a group its pictures in turns. */
export function picturesInTurns(
  members: ReadonlyMap<number, ReadonlyMap<string, readonly number[]>>,
  random: Random,
): Map<number, () => number> {
  return new Map([...members].map(([label, groups]) => {
    const group = turns([...groups.values()].map((pictures) => turns(pictures, random)), random);
    return [label, () => group()()];
  }));
}
