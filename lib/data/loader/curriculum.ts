/** A curriculum: training begins with the easy pictures, and the others come in by and by. */

import { InputError } from "../../runtime/mod.ts";
import type { ManifestRow } from "../manifest.ts";
import { pictureStyle } from "../picture_style.ts";
import { type Sampler, shuffled } from "./sampler.ts";

/** The share of each class's pictures, easy ones first, that an epoch (from 0) draws from; above 0, at most 1. */
export type Pacing = (epoch: number) => number;

/** Settings of the pacing functions. */
export interface PacingOptions {
  /** The share in epoch 0, above 0. */
  readonly start: number;
  /** The first epoch that has everything. */
  readonly epochs: number;
}

/** From `start` to 1 in a straight line. */
export function linearPacing({ start, epochs }: PacingOptions): Pacing {
  checkPacing("linearPacing", start, epochs);
  return (epoch) => epoch >= epochs ? 1 : start + (1 - start) * epoch / epochs;
}

/**
 * √(start² + (1 − start²) · epoch / epochs): fast at first, then slower, so that what is new gets equally much of the time
 * (Platanios et al. 2019, "Competence-based Curriculum Learning", the square-root competence).
 */
export function rootPacing({ start, epochs }: PacingOptions): Pacing {
  checkPacing("rootPacing", start, epochs);
  return (epoch) => epoch >= epochs ? 1 : Math.sqrt(start ** 2 + (1 - start ** 2) * epoch / epochs);
}

/**
 * `start`, multiplied by `factor` after every `every` epochs, at most 1 (Hacohen and Weinshall 2019, "On The Power of Curriculum
 * Learning", fixed exponential pacing).
 */
export function exponentialPacing(
  { start, factor, every }: { readonly start: number; readonly factor: number; readonly every: number },
): Pacing {
  checkPacing("exponentialPacing", start, every);
  if (!(factor > 1)) throw new InputError(`exponentialPacing: factor: expected a number above 1, found ${factor}`);
  return (epoch) => Math.min(1, start * factor ** Math.floor(epoch / every));
}

/** Settings of `curriculum`. */
export interface CurriculumOptions {
  /** How hard each picture of the loader is, in order: 0 the easiest, any scale. */
  readonly difficulty: ArrayLike<number>;
  readonly pacing: Pacing;
  /** Draws from the pictures that are in: a sampler for those of the indices it is given. Default: `shuffled`. */
  readonly base?: (indices: readonly number[]) => Sampler;
}

/**
 * Easy pictures first (Bengio et al. 2009, "Curriculum Learning"). In each epoch each class has its easiest pictures, as
 * large a share as the pacing says and at least one, so that every class is there from the start (Hacohen and Weinshall 2019,
 * section 2); pictures that are as hard as the hardest of them are in too, so that a style comes in as a whole. An epoch
 * has as many draws as there are pictures: fewer pictures come more often.
 *
 * ```ts ignore
 * curriculum({
 *   difficulty: difficultyByStyle(rows, { "official-artwork": 0, icons: 1 }),
 *   pacing: rootPacing({ start: 0.3, epochs: 10 }),
 *   base: (indices) => groupBalanced(indices.map((index) => rows[index]!.group)),
 * });
 * ```
 *
 * Throws InputError unless there is a difficulty, a number, for each picture.
 */
export function curriculum({ difficulty, pacing, base = () => shuffled }: CurriculumOptions): Sampler {
  return (labels, random, epoch = 0) => {
    if (difficulty.length !== labels.length) {
      throw new InputError(
        `curriculum: expected a difficulty for each of ${labels.length} pictures, found ${difficulty.length}`,
      );
    }
    const indices = easiest(labels, difficulty, pacing(epoch));
    const own = indices.map((index) => labels[index]!), sampler = base(indices);
    const order = new Uint32Array(labels.length);
    for (let at = 0; at < order.length;) {
      const drawn = sampler(own, random, epoch);
      if (drawn.length === 0) {
        throw new InputError("curriculum: base: expected an order with pictures, found an empty one");
      }
      for (let i = 0; i < drawn.length && at < order.length; i++) order[at++] = indices[drawn[i]!]!;
    }
    return order;
  };
}

/** The indices of each class's easiest pictures, in rising order. */
function easiest(labels: ArrayLike<number>, difficulty: ArrayLike<number>, share: number): number[] {
  if (!(share > 0 && share <= 1)) {
    throw new InputError(`curriculum: pacing: expected a share above 0, at most 1, found ${share}`);
  }
  const byClass = new Map<number, number[]>();
  for (let index = 0; index < labels.length; index++) {
    const hardness = difficulty[index]!;
    if (!Number.isFinite(hardness)) {
      throw new InputError(`curriculum: difficulty: expected numbers, found ${hardness} for picture ${index}`);
    }
    const own = byClass.get(labels[index]!);
    if (own) own.push(hardness);
    else byClass.set(labels[index]!, [hardness]);
  }
  const limits = new Map([...byClass].map(([label, own]) => {
    const last = Math.ceil(share * own.length - 1e-9) - 1; // rounding: 0.07 · 100 is 7.000000000000001
    return [label, own.sort((a, b) => a - b)[Math.max(0, last)]!];
  }));
  return Array.from({ length: labels.length }, (_, index) => index)
    .filter((index) => difficulty[index]! <= limits.get(labels[index]!)!);
}

/**
 * The difficulty of each picture by its style (`pictureStyle`), 0 … 1. A style is looked up in `styles` as a whole
 * ("animated/back"), then by its last folder ("back"); others have `other` (default 0.5). Throws InputError for a
 * difficulty outside 0 … 1, and for a table of which no picture has a style.
 */
export function difficultyByStyle(
  rows: readonly Pick<ManifestRow, "path" | "dex">[],
  styles: Readonly<Record<string, number>>,
  { other = 0.5 }: { readonly other?: number } = {},
): Float64Array {
  for (const [style, value] of [...Object.entries(styles), ["other styles", other] as const]) {
    if (!(value >= 0 && value <= 1)) {
      throw new InputError(`difficultyByStyle: ${style}: expected a number in 0 … 1, found ${value}`);
    }
  }
  let found = 0;
  const result = Float64Array.from(rows, (row) => {
    const style = pictureStyle(row);
    const key = [style, style.slice(style.lastIndexOf("/") + 1)].find((name) => Object.hasOwn(styles, name));
    if (key === undefined) return other;
    found++;
    return styles[key]!;
  });
  if (found === 0 && rows.length > 0) {
    throw new InputError(
      `difficultyByStyle: expected styles of the pictures (such as ${pictureStyle(rows[0]!)}), found ${
        Object.keys(styles).join(", ") || "none"
      }`,
    );
  }
  return result;
}

/**
 * Difficulty from a model's losses, one a picture: the share of all pictures with a smaller loss, 0 … 1 (scoring by transfer,
 * Hacohen and Weinshall 2019, section 2.2). A loss that is not a number is the largest.
 */
export function difficultyByLoss(losses: ArrayLike<number>): Float64Array {
  const size = (index: number) => Number.isNaN(losses[index]!) ? Infinity : losses[index]!;
  const order = Array.from({ length: losses.length }, (_, i) => i).sort((a, b) => {
    const left = size(a), right = size(b);
    return left < right ? -1 : left > right ? 1 : 0;
  });
  const result = new Float64Array(losses.length);
  order.forEach((index, rank) => {
    const before = order[rank - 1];
    result[index] = before !== undefined && size(before) === size(index)
      ? result[before]!
      : rank / Math.max(1, losses.length - 1);
  });
  return result;
}

function checkPacing(place: string, start: number, epochs: number): void {
  if (!(start > 0 && start <= 1)) {
    throw new InputError(`${place}: start: expected a share above 0, at most 1, found ${start}`);
  }
  if (!(epochs > 0)) throw new InputError(`${place}: epochs: expected a number above 0, found ${epochs}`);
}
