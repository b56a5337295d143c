/** Hard examples: more of what the last validation found hard, and what is taken for each other in one batch. */

import { z } from "zod";
import { InputError, type Random } from "../../runtime/mod.ts";
import { type Sampler, shuffled } from "./sampler.ts";
import { membersOf, picturesInTurns } from "./turns.ts";

const weight = z.number().min(0);
const schema = z.strictObject({
  pairs: z.array(z.tuple([z.int().min(0), z.int().min(0), weight])).readonly().optional(),
  classes: z.array(weight).readonly().optional(),
  pictures: z.array(weight).readonly().optional(),
});
const stateSchema = z.strictObject({
  records: z.array(z.strictObject({ epoch: z.int().min(0), hardness: schema })),
});

/**
 * What is hard, as weights: finite numbers from 0. Where there are `pairs`, draws are two pictures, one of each class of a
 * pair; else `classes` decide the class; else `pictures` the picture. Where there are `pictures` beside the others, they
 * decide which picture of the class.
 */
export interface Hardness {
  /** Two labels that are taken for each other, and how often. */
  readonly pairs?: readonly (readonly [label: number, other: number, weight: number])[] | undefined;
  /** One for each label. */
  readonly classes?: readonly number[] | undefined;
  /** One for each picture of the loader, in order. */
  readonly pictures?: readonly number[] | undefined;
}

/**
 * What a validation tells of the classes: pairs of different labels by how many pictures of one were taken for the other, and
 * for each label the mean of its finite losses (0 for a label without). Throws InputError where the lengths differ.
 */
export function hardnessOf(
  { labels, predicted, losses, classes }: {
    readonly labels: ArrayLike<number>;
    readonly predicted: ArrayLike<number>;
    /** −log of the right class's probability, or another loss from 0. Default: 1 where the prediction is wrong, else 0. */
    readonly losses?: ArrayLike<number>;
    /** How many labels there are. */
    readonly classes: number;
  },
): Required<Pick<Hardness, "pairs" | "classes">> {
  const { length } = labels;
  for (const [name, given] of [["predictions", predicted], ["losses", losses ?? predicted]] as const) {
    if (given.length !== length) {
      throw new InputError(`hardnessOf: expected ${length} ${name}, found ${given.length}`);
    }
  }
  const pairs = new Map<number, number>();
  const sums = new Float64Array(classes), counts = new Uint32Array(classes);
  for (let i = 0; i < length; i++) {
    const truth = labels[i]!, guess = predicted[i]!;
    const loss = losses ? losses[i]! : truth === guess ? 0 : 1;
    if (Number.isFinite(loss)) {
      sums[truth]! += loss;
      counts[truth]!++;
    }
    if (truth === guess) continue;
    const key = Math.min(truth, guess) * classes + Math.max(truth, guess);
    pairs.set(key, (pairs.get(key) ?? 0) + 1);
  }
  return {
    pairs: [...pairs].sort(([a], [b]) => a - b).map(([key, count]) =>
      [Math.floor(key / classes), key % classes, count] as const
    ),
    classes: Array.from(sums, (sum, label) => sum / Math.max(1, counts[label]!)),
  };
}

/** Settings of `HardExamples`. */
export interface HardExamplesOptions {
  /** The part of each batch that is hard, 0 … 1, rounded to whole pictures (or pairs). */
  readonly share: number;
  /** The loader's batch size. */
  readonly batch: number;
  /** What the rest of a batch is drawn by. Default: `shuffled`. */
  readonly base?: Sampler;
  /** The group of near-duplicates of each picture of the loader: a hard class's groups come in turns. Default: none. */
  readonly groups?: readonly string[];
  /**
   * An epoch follows what was recorded after an epoch at least so much earlier. 1 where no batch of an epoch is drawn before
   * the validation that is recorded (`BatchLoader.epoch`); 2, the default, where batches are drawn ahead
   * (`BatchLoader.stream`), more where more than an epoch is.
   */
  readonly delay?: number;
}

/**
 * Mines hard examples by class (as the "hard negative class mining" of Sohn 2016, N-pair loss, section 3.2): its `sampler`
 * fills a share of every batch with pictures of hard classes, those that are taken for each other in the same batch, and the
 * rest by another sampler. An epoch has as many draws as the other's; before anything is recorded it is the other's.
 *
 * An epoch's order follows from seed, epoch and what was recorded `delay` epochs before; `save` and `load` carry that over a
 * resume (`custom` of lib/train's `fit`), which then gives the same orders.
 *
 * ```ts ignore
 * const hard = new HardExamples({ share: 0.25, batch: 16 });
 * const loader = new BatchLoader(cache, rows, { batchSize: 16, size: 128, sampler: hard.sampler });
 * hard.record(epoch, hardnessOf({ labels, predicted, classes })); // after the validation of each epoch
 * ```
 */
export class HardExamples {
  readonly #options: Required<Omit<HardExamplesOptions, "groups">> & Pick<HardExamplesOptions, "groups">;
  /** By epoch, in rising order: those that an order to come may still follow. */
  #records: { epoch: number; hardness: Hardness }[] = [];
  #lastDrawn = -1;

  /** Throws InputError for a setting out of range. */
  constructor({ share, batch, base = shuffled, groups, delay = 2 }: HardExamplesOptions) {
    if (!(share >= 0 && share <= 1)) {
      throw new InputError(`HardExamples: share: expected a number in 0 … 1, found ${share}`);
    }
    for (const [name, value] of [["batch", batch], ["delay", delay]] as const) {
      if (Number.isInteger(value) && value >= 1) continue;
      throw new InputError(`HardExamples: ${name}: expected a whole number from 1, found ${value}`);
    }
    this.#options = { share, batch, base, delay, ...(groups ? { groups } : {}) };
  }

  /** For `BatchLoader`; an order depends on the epoch, and on the records of earlier ones. */
  readonly sampler: Sampler = (labels, random, epoch = 0) => {
    this.#lastDrawn = Math.max(this.#lastDrawn, epoch);
    const { base, delay, share, batch, groups } = this.#options;
    const ordinary = base(labels, random, epoch);
    const hardness = this.#records.findLast((record) => record.epoch <= epoch - delay)?.hardness;
    const draws = hardness && drawing(hardness, labels, groups, random);
    if (!draws || share === 0) return ordinary;
    const order = new Uint32Array(ordinary.length);
    for (let start = 0, taken = 0; start < order.length; start += batch) {
      const size = Math.min(batch, order.length - start), unit = draws.together;
      const hard = Math.min(Math.floor(size / unit), Math.round(share * size / unit)) * unit;
      for (let i = hard; i < size; i++) order[start + i] = ordinary[taken++]!;
      for (let i = 0; i < hard; i += unit) order.set(draws.next(), start + i);
    }
    return order;
  };

  /**
   * Notes what was hard after an epoch, which must not be earlier than those noted before (the same again replaces it).
   * Throws InputError for weights that are no finite numbers from 0, and when an order that should have followed from it was
   * drawn before: `delay` is too small.
   */
  record(epoch: number, hardness: Hardness): void {
    const { delay } = this.#options;
    if (epoch <= this.#lastDrawn - delay) {
      throw new InputError(
        `HardExamples: delay: expected at least ${this.#lastDrawn - epoch + 1} epochs, for epoch ${this.#lastDrawn} ` +
          `was drawn before the record of epoch ${epoch}, found ${delay}`,
      );
    }
    const last = this.#records.at(-1)?.epoch ?? -1;
    if (!Number.isInteger(epoch) || epoch < Math.max(0, last)) {
      throw new InputError(`HardExamples: expected a record of epoch ${Math.max(0, last)} or later, found ${epoch}`);
    }
    const record = { epoch, hardness: parsed(schema, hardness, "record") };
    this.#records = [...this.#records.filter((other) => other.epoch !== epoch), record];
    const needed = this.#records.findLastIndex((other) => other.epoch <= epoch - delay);
    this.#records = this.#records.slice(Math.max(0, needed));
  }

  /** What `load` needs, as JSON. */
  save(): unknown {
    return structuredClone({ records: this.#records });
  }

  /**
   * Goes on from what `save` gave, also at an earlier epoch than the last: batches that were drawn before count no more. Throws
   * InputError for anything else.
   */
  load(saved: unknown): void {
    this.#records = parsed(stateSchema, saved, "load").records;
    this.#lastDrawn = -1;
  }
}

function parsed<T>(expected: z.ZodType<T>, value: unknown, place: string): T {
  const result = expected.safeParse(value);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0]!;
  throw new InputError(`HardExamples: ${place}: ${path.join(".") || "state"}: ${message}`);
}

/** Gives pictures, `together` at a time; undefined where no class or picture that is there has a weight. */
function drawing(
  { pairs = [], classes, pictures }: Hardness,
  labels: ArrayLike<number>,
  groups: readonly string[] | undefined,
  random: Random,
): { readonly together: 1 | 2; readonly next: () => readonly number[] } | undefined {
  if (pictures && pictures.length !== labels.length) {
    throw new InputError(
      `HardExamples: pictures: expected a weight for each of ${labels.length}, found ${pictures.length}`,
    );
  }
  const members = membersOf("HardExamples", labels, groups);
  const ofClass = picturesInTurns(members, random);
  if (pictures) {
    for (const [label, own] of members) {
      const weighted = [...own.values()].flat().map((index) => [index, pictures[index]!] as const);
      const draw = weightedDraw(weighted, random);
      if (draw) ofClass.set(label, draw);
    }
  }
  const here = pairs.filter(([a, b]) => ofClass.has(a) && ofClass.has(b));
  const pair = weightedDraw(here.map((pair) => [pair, pair[2]] as const), random);
  if (pair) {
    const next = () => {
      const [a, b] = pair();
      return [ofClass.get(a)!(), ofClass.get(b)!()];
    };
    return { together: 2, next };
  }
  const label = weightedDraw([...ofClass.keys()].map((label) => [label, classes?.[label] ?? 0] as const), random);
  if (label) return { together: 1, next: () => [ofClass.get(label())!()] };
  const picture = weightedDraw((pictures ?? []).map((weight, index) => [index, weight] as const), random);
  return picture && { together: 1, next: () => [picture()] };
}

/** Draws items in proportion to their weights; undefined where all are 0. */
function weightedDraw<T>(
  items: readonly (readonly [item: T, weight: number])[],
  random: Random,
): (() => T) | undefined {
  const chosen = items.filter(([, weight]) => weight > 0);
  const ends = new Float64Array(chosen.length);
  let total = 0;
  chosen.forEach(([, weight], i) => ends[i] = total += weight);
  if (total === 0) return undefined;
  return () => {
    const at = random.uniform(0, total);
    let low = 0, high = ends.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ends[middle]! > at) high = middle;
      else low = middle + 1;
    }
    return chosen[low]![0];
  };
}
