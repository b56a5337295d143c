/** Which classes are taken for which, sparse: of 1,025² pairs only those that occur. */

import { EvaluateError } from "./errors.ts";

/** Pictures of class `truth` that were taken for class `predicted`. */
export interface ConfusedPair {
  readonly truth: number;
  readonly predicted: number;
  readonly count: number;
  /** count / pictures of class `truth`. */
  readonly share: number;
  /** How many pictures of class `predicted` were taken for class `truth`. */
  readonly reverse: number;
  /** All pictures of the pair, the surest mistakes first where confidences are given. */
  readonly pictures: readonly number[];
}

/** Counts of (truth, predicted), the right ones on the diagonal. */
export interface Confusion {
  /** How often class `truth` was taken for class `predicted`. */
  count(truth: number, predicted: number): number;
  /** Pictures of a class. */
  total(truth: number): number;
  /** Pictures by pair: the pairs that occur, by truth, then predicted. */
  readonly pairs: readonly (readonly [truth: number, predicted: number, pictures: readonly number[]])[];
}

/** Counts the pairs. Throws EvaluateError unless there are as many predictions as labels. */
export function confusion(
  { labels, predicted }: { readonly labels: ArrayLike<number>; readonly predicted: ArrayLike<number> },
): Confusion {
  if (labels.length !== predicted.length) {
    throw new EvaluateError(`confusion: expected ${labels.length} predictions, found ${predicted.length}`);
  }
  const rows = new Map<number, Map<number, number[]>>();
  for (let i = 0; i < labels.length; i++) {
    let row = rows.get(labels[i]!);
    if (!row) rows.set(labels[i]!, row = new Map());
    const pictures = row.get(predicted[i]!);
    if (pictures) pictures.push(i);
    else row.set(predicted[i]!, [i]);
  }
  const totals = new Map(
    [...rows].map(([truth, row]) => [truth, row.values().reduce((sum, pictures) => sum + pictures.length, 0)]),
  );
  return {
    count: (truth, guess) => rows.get(truth)?.get(guess)?.length ?? 0,
    total: (truth) => totals.get(truth) ?? 0,
    pairs: [...rows].flatMap(([truth, row]) => [...row].map(([guess, pictures]) => [truth, guess, pictures] as const))
      .sort(([a, b], [c, d]) => a - c || b - d),
  };
}

export interface MostConfusedOptions {
  /** At most so many pairs; default 20. */
  readonly limit?: number;
  /** At most so many pictures a pair; default 4. */
  readonly examples?: number;
  /** How sure the classifier was of each picture's prediction: the surest mistakes are shown first. */
  readonly confidences?: ArrayLike<number>;
}

/**
 * The wrong pairs, most frequent first; of equally frequent ones those with the larger share of their class, then by class
 * ids. Each pair names its pictures, so that they can be drawn: a picture of confusion that works for any number of classes.
 */
export function mostConfused(
  table: Confusion,
  { limit = 20, examples = 4, confidences }: MostConfusedOptions = {},
): ConfusedPair[] {
  return table.pairs.filter(([truth, predicted]) => truth !== predicted)
    .map(([truth, predicted, pictures]) => ({
      truth,
      predicted,
      count: pictures.length,
      share: pictures.length / table.total(truth),
      reverse: table.count(predicted, truth),
      pictures,
    }))
    .sort((a, b) => b.count - a.count || b.share - a.share || a.truth - b.truth || a.predicted - b.predicted)
    .slice(0, limit)
    .map((pair) => ({
      ...pair,
      pictures:
        (confidences ? pair.pictures.toSorted((a, b) => confidences[b]! - confidences[a]! || a - b) : pair.pictures)
          .slice(0, examples),
    }));
}
