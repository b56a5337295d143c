/** The yardstick: a picture's species is that of the nearest training picture. */

import type { ManifestRow, Split } from "../data/mod.ts";
import type { Features } from "./features.ts";
import { wilsonInterval } from "./interval.ts";

export interface NearestNeighbourResult {
  /** What the distance was taken on. */
  readonly features: string;
  /** Pictures judged. */
  readonly n: number;
  readonly correct: number;
  /** correct / n, with Wilson's 95 % interval. */
  readonly top1: number;
  readonly top1Ci95: readonly [number, number];
  /** The judged pictures and their nearest training pictures, as indices into the rows. */
  readonly queries: Int32Array;
  readonly neighbours: Int32Array;
}

export interface NearestNeighbourOptions {
  /** Where the neighbours come from. */
  readonly fit?: Split;
  /** Which pictures are judged. */
  readonly on?: Split;
  /** A row's split; by default the manifest's. Another one (the naive split) needs no other features. */
  readonly splitOf?: (row: ManifestRow) => Split;
}

/** Numbers of a vector that are compared first, side by side in memory. */
const headLength = 16;

/**
 * Judges every picture of one split by its nearest neighbour in another: exact, by Euclidean distance, the first of equally
 * near ones. A candidate is dropped as soon as the first numbers of its vector are farther apart than the best whole
 * distance so far, which with `pixelFeatures` spares more than nine tenths of the work.
 * Throws RangeError when rows and features differ in number or a split is empty.
 */
export function nearestNeighbour(
  features: Features,
  rows: readonly ManifestRow[],
  { fit = "train", on = "test", splitOf = (row) => row.split }: NearestNeighbourOptions = {},
): NearestNeighbourResult {
  const { values, dimension } = features;
  if (values.length !== rows.length * dimension) {
    throw new RangeError(
      `nearestNeighbour: expected ${rows.length} vectors of ${dimension}, found ${values.length / dimension}`,
    );
  }
  const indices = (split: Split) => Int32Array.from(rows.keys().filter((index) => splitOf(rows[index]!) === split));
  const candidates = indices(fit), queries = indices(on);
  if (candidates.length === 0 || queries.length === 0) {
    throw new RangeError(`nearestNeighbour: expected pictures in ${fit} and ${on}, found none in one of them`);
  }
  const order = byVariance(values, dimension);
  const known = arrange(values, dimension, order, candidates), asked = arrange(values, dimension, order, queries);
  const neighbours = new Int32Array(queries.length);
  let correct = 0;
  for (let q = 0; q < queries.length; q++) {
    const nearest = candidates[search(known, asked, q)]!;
    neighbours[q] = nearest;
    if (rows[nearest]!.classId === rows[queries[q]!]!.classId) correct++;
  }
  return {
    features: features.name,
    n: queries.length,
    correct,
    top1: correct / queries.length,
    top1Ci95: wilsonInterval(correct, queries.length),
    queries,
    neighbours,
  };
}

/** Vectors cut in two: the heads of all of them together, so that a pass over them reads little memory. */
interface Arranged {
  readonly count: number;
  readonly tailLength: number;
  readonly heads: Float32Array;
  readonly tails: Float32Array;
}

function arrange(values: Float32Array, dimension: number, order: Int32Array, rows: Int32Array): Arranged {
  const tailLength = Math.max(0, dimension - headLength);
  const heads = new Float32Array(rows.length * headLength), tails = new Float32Array(rows.length * tailLength);
  for (let r = 0; r < rows.length; r++) {
    const from = rows[r]! * dimension;
    for (let k = 0; k < dimension; k++) {
      const value = values[from + order[k]!]!;
      if (k < headLength) heads[r * headLength + k] = value;
      else tails[r * tailLength + k - headLength] = value;
    }
  }
  return { count: rows.length, tailLength, heads, tails };
}

/** The dimensions, those that vary most first. */
function byVariance(values: Float32Array, dimension: number): Int32Array {
  const sum = new Float64Array(dimension), squares = new Float64Array(dimension);
  const count = values.length / dimension;
  for (let at = 0; at < values.length;) {
    for (let k = 0; k < dimension; k++, at++) {
      const value = values[at]!;
      sum[k] = sum[k]! + value;
      squares[k] = squares[k]! + value * value;
    }
  }
  const variance = (k: number) => squares[k]! / count - (sum[k]! / count) ** 2;
  return Int32Array.from({ length: dimension }, (_, k) => k).sort((a, b) => variance(b) - variance(a) || a - b);
}

/** The index of the vector of `known` that is nearest to vector q of `asked`. */
function search(known: Arranged, asked: Arranged, q: number): number {
  const { heads, tails, tailLength, count } = known;
  const head = asked.heads.subarray(q * headLength, (q + 1) * headLength);
  const tail = asked.tails.subarray(q * tailLength, (q + 1) * tailLength);
  let best = Infinity, nearest = 0;
  for (let c = 0, at = 0; c < count; c++, at += headLength) {
    let distance = 0;
    for (let k = 0; k < 8; k++) {
      const difference = heads[at + k]! - head[k]!;
      distance += difference * difference;
    }
    if (distance >= best) continue;
    for (let k = 8; k < headLength; k++) {
      const difference = heads[at + k]! - head[k]!;
      distance += difference * difference;
    }
    const from = c * tailLength;
    for (let k = 0; k < tailLength && distance < best;) {
      for (const end = Math.min(tailLength, k + 16); k < end; k++) {
        const difference = tails[from + k]! - tail[k]!;
        distance += difference * difference;
      }
    }
    if (distance < best) [best, nearest] = [distance, c];
  }
  return nearest;
}
