/** Batches for contrastive learning: of each class in a batch several pictures, as unlike each other as there are. */

import { InputError, type Random } from "../../runtime/mod.ts";
import type { Sampler } from "./sampler.ts";
import { membersOf, turns } from "./turns.ts";

/** Settings of `positivePairs`. */
export interface PositivePairsOptions {
  /** The loader's batch size: a multiple of `perClass`. */
  readonly batch: number;
  /** Pictures of a class in a batch, at least 2. Default: 2. */
  readonly perClass?: number;
  /** The group of near-duplicates of each picture of the loader. Default: every picture is its own. */
  readonly groups?: readonly string[];
  /** The style of each picture of the loader (`pictureStyle`). Default: none. */
  readonly styles?: readonly string[];
}

/**
 * Batches of P classes with K pictures each (Hermans et al. 2017, "In Defense of the Triplet Loss", section 2), P · K = `batch`.
 * Classes come in turns. The K pictures are of different groups as long as the class has so many, and of different styles
 * where groups of another style are left; a class with fewer groups gives pictures of one again, a class with fewer
 * pictures the same again, which augmentation makes another. An epoch has whole batches, the number nearest to its pictures.
 *
 * Throws InputError for settings that do not go together, and unless there is a group and a style for each picture.
 */
export function positivePairs({ batch, perClass = 2, groups, styles }: PositivePairsOptions): Sampler {
  for (const [name, value, lowest] of [["perClass", perClass, 2], ["batch", batch, perClass]] as const) {
    if (Number.isInteger(value) && value >= lowest) continue;
    throw new InputError(`positivePairs: ${name}: expected a whole number from ${lowest}, found ${value}`);
  }
  if (batch % perClass !== 0) {
    throw new InputError(`positivePairs: batch: expected a multiple of perClass ${perClass}, found ${batch}`);
  }
  return (labels, random) => {
    if (styles && styles.length !== labels.length) {
      throw new InputError(
        `positivePairs: expected a style for each of ${labels.length} pictures, found ${styles.length}`,
      );
    }
    const members = membersOf("positivePairs", labels, groups);
    const sets = [...members.values()].map((own) => {
      const pictures = [...own.values()];
      return unlikeGroups(
        pictures.map((group) => ({
          style: styles?.[group[0]!] ?? "",
          next: turns(group, random),
        })),
        random,
      );
    });
    const classes = turns(sets, random);
    const order = new Uint32Array(Math.max(1, Math.round(labels.length / batch)) * batch);
    for (let at = 0; at < order.length; at += perClass) order.set(classes()(perClass), at);
    return order;
  };
}

/** A group of near-duplicates, its style that of its first picture. */
interface Group {
  readonly style: string;
  readonly next: () => number;
}

/**
 * Gives so many pictures of different groups, as far as there are, and where there is a choice of different styles. Groups come
 * in turns: those that were passed over come first next time.
 */
function unlikeGroups(groups: readonly Group[], random: Random): (count: number) => number[] {
  let queue: Group[] = [];
  return (count) => {
    const chosen = new Set<Group>(), seen = new Set<string>(), pictures: number[] = [];
    while (pictures.length < count) {
      if (chosen.size === groups.length) chosen.clear(); // more pictures than groups
      if (queue.every((group) => chosen.has(group))) queue = [...queue, ...random.shuffle(groups)];
      const fresh = queue.findIndex((group) => !chosen.has(group) && !seen.has(group.style));
      const at = fresh >= 0 ? fresh : queue.findIndex((group) => !chosen.has(group));
      const [group] = queue.splice(at, 1) as [Group];
      chosen.add(group);
      seen.add(group.style);
      pictures.push(group.next());
    }
    return pictures;
  };
}
