/** For tests only: rows of a comparison with the figures that a case is about. */

import { shareOf } from "../../evaluate/mod.ts";
import { compareRight } from "../overlap.ts";
import type { Family, Kind } from "./approach.ts";
import type { ApproachComparison, ComparedApproach } from "./compare_approaches.ts";

/** `right` of 200 pictures: the first `from` are skipped, then so many are right. */
export function rightFrom(from: number, count: number): boolean[] {
  return Array.from({ length: 200 }, (_, i) => i >= from && i < from + count);
}

/** What a row is made of. */
export interface MadeUpRow {
  readonly name: string;
  readonly kind: Kind;
  readonly family: Family;
  readonly right: readonly boolean[];
  readonly latency?: number;
  readonly ece?: number;
  readonly corrupted?: number;
}

/** A comparison in which the first row is the best single model, and `hybrid` the best hybrid. */
export function madeUpComparison(rows: readonly MadeUpRow[], hybrid: string): ApproachComparison {
  const single = rows[0]!;
  return {
    rows: rows.map(({ name, kind, family, right, latency = 1, ece = 0.05, corrupted }): ComparedApproach => {
      const top1 = shareOf(right.filter(Boolean).length, right.length);
      return {
        ...{ name, kind, family, right, top1, top5: shareOf(right.length, right.length), ece },
        validation: { top1: top1.share, nll: 1 },
        predicted: right.map(Number),
        ...(corrupted === undefined ? {} : { corrupted: { n: 400, share: corrupted, clean: top1.share } }),
        cost: {
          parameters: 1e6,
          bytes: 4e6,
          operations: 2e6 * latency,
          moved: 5e6 * latency,
          energy: latency,
          latency,
        },
        against: compareRight(right, single.right),
        onFront: name === single.name,
      };
    }),
    ...{ bestSingle: single.name, bestHybrid: hybrid, pictures: single.right.length, species: 10 },
  };
}
