/** In which order an epoch visits the pictures. */

import type { Random } from "../../runtime/mod.ts";
import { membersOf, picturesInTurns, turns } from "./turns.ts";

/**
 * The order of one epoch: indices into the labels (dense class ids, one a picture), which may leave pictures out or repeat
 * them. Its length must depend on neither `random`, which is different for each epoch, nor the epoch (from 0), which those that
 * change with time look at.
 */
export type Sampler = (labels: ArrayLike<number>, random: Random, epoch?: number) => ArrayLike<number>;

/** As the rows stand: for validation and test. */
export const inOrder: Sampler = (labels) => Uint32Array.from({ length: labels.length }, (_, index) => index);

/** Every picture once, in another order each epoch. */
export const shuffled: Sampler = (labels, random) => random.shuffle(inOrder(labels, random) as Uint32Array);

/**
 * As many draws as there are pictures, spread evenly over the classes: every class comes up once before any comes up
 * again, and within a class every picture does.
 */
export const classBalanced: Sampler = (labels, random) => {
  const members = new Map<number, number[]>();
  for (let index = 0; index < labels.length; index++) {
    const label = labels[index]!;
    const list = members.get(label);
    if (list) list.push(index);
    else members.set(label, [index]);
  }
  const queues = [...members.keys()].sort((a, b) => a - b)
    .map((label) => ({ label, left: [] as number[] }));
  const order = new Uint32Array(labels.length);
  for (let at = 0; at < order.length;) {
    for (const queue of random.shuffle(queues)) {
      if (at === order.length) break;
      if (queue.left.length === 0) queue.left = random.shuffle(members.get(queue.label)!);
      order[at++] = queue.left.pop()!;
    }
  }
  return order;
};

/**
 * As many draws as there are pictures, spread evenly over the classes, within a class over the groups of near-duplicates, and
 * within a group over its pictures: thirty frames of one animation count no more than one drawing. `groups` names the group of
 * each picture of the loader, in order.
 */
export function groupBalanced(groups: readonly string[]): Sampler {
  return (labels, random) => {
    const members = membersOf("groupBalanced", labels, groups);
    const classes = turns([...picturesInTurns(members, random).values()], random);
    return Uint32Array.from({ length: labels.length }, () => classes()());
  };
}
