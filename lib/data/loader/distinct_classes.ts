/** Batches in which no class comes twice: for losses that take every other picture of a batch for something else. */

import { InputError } from "../../runtime/mod.ts";
import type { Sampler } from "./sampler.ts";
import { membersOf, picturesInTurns } from "./turns.ts";

/** Settings of `distinctClasses`. */
export interface DistinctClassesOptions {
  /** Pictures in a batch, as the loader has it. */
  readonly batch: number;
  /** The group of each picture of the loader, in order. Default: each is one of its own. */
  readonly groups?: readonly string[];
}

/**
 * As `groupBalanced`, and the pictures of each batch have different classes. As many draws as there are pictures in whole batches.
 * Throws InputError for fewer classes than a batch has pictures.
 */
export function distinctClasses({ batch, groups }: DistinctClassesOptions): Sampler {
  return (labels, random) => {
    const members = membersOf("distinctClasses", labels, groups);
    if (members.size < batch) {
      throw new InputError(`distinctClasses: expected at least ${batch} classes for a batch, found ${members.size}`);
    }
    const next = picturesInTurns(members, random);
    const order = new Uint32Array(labels.length - labels.length % batch);
    let left: number[] = [];
    for (let at = 0; at < order.length; at += batch) {
      const chosen = left.splice(0, batch);
      if (chosen.length < batch) {
        // A new round: what the last one left over is in this batch already and comes after it again.
        const round = random.shuffle([...members.keys()]), taken = new Set(chosen);
        const fresh = round.filter((label) => !taken.has(label));
        chosen.push(...fresh.splice(0, batch - chosen.length));
        left = random.shuffle([...fresh, ...taken]);
      }
      chosen.forEach((label, i) => order[at + i] = next.get(label)!());
    }
    return order;
  };
}
