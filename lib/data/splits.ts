/** Splits: 70 / 15 / 15 of every species on its own, groups of near-duplicates never divided. */

import { Random, sha256 } from "../runtime/mod.ts";
import { compareText } from "./order.ts";
import type { ManifestRow, Split } from "./manifest.ts";
import { splits } from "./manifest.ts";

/** What a split aims at, as shares of a species' pictures. */
export const splitShares: Readonly<Record<Split, number>> = { train: 0.7, validation: 0.15, test: 0.15 };

/** `grouped` keeps near-duplicates together; `naive` ignores them, to show what leakage does. */
export type SplitMode = "grouped" | "naive";

/** What splitting needs to know of a picture. */
export interface Splittable {
  readonly id: string;
  readonly dex: number;
  readonly group: string;
  /** Stays the same when other pictures come and go; decides where the picture falls. E.g. its SHA-256. */
  readonly key: string;
}

/** One species' pictures by split. */
export type SplitCounts = Record<Split, number>;

/**
 * Assigns every picture to a split; returns splits by picture id. Depends on the seed and the pictures, not on their
 * order.
 *
 * Every group first falls where a seeded hash of its keys puts it (70 / 15 / 15), so that a new picture leaves most
 * others where they were. Then the smallest change that brings the counts nearer to the shares (one group moved, or two
 * exchanged) is made until none helps. With three groups or more every split gets at least one; with two groups one is
 * for train, the other for test; a single group is for train.
 */
export function assignSplits(
  pictures: readonly Splittable[],
  { seed, mode = "grouped" }: { seed: number; mode?: SplitMode },
): Map<string, Split> {
  const result = new Map<string, Split>();
  for (const [dex, members] of Map.groupBy(pictures, (picture) => picture.dex)) {
    const units = mode === "grouped"
      ? [...Map.groupBy(members, (picture) => picture.group).values()]
      : members.map((picture) => [picture]);
    const groups = units.map((unit) => makeGroup(unit, dex, seed)).sort((a, b) =>
      a.draw - b.draw || compareText(a.key, b.key)
    );
    balance(groups);
    for (const group of groups) for (const id of group.ids) result.set(id, group.split);
  }
  return result;
}

/** Pictures that move together. */
interface Group {
  readonly ids: readonly string[];
  readonly key: string;
  /** In [0, 1). */
  readonly draw: number;
  split: Split;
}

function makeGroup(members: readonly Splittable[], dex: number, seed: number): Group {
  const key = members.map((picture) => `${picture.key} ${picture.id}`).reduce((a, b) => a < b ? a : b);
  const draw = Random.seeded("split", seed, dex, key.slice(0, key.indexOf(" "))).uniform();
  const split = draw < splitShares.train
    ? "train"
    : draw < splitShares.train + splitShares.validation
    ? "validation"
    : "test";
  return { ids: members.map((picture) => picture.id), key, draw, split };
}

/** Which splits a species can have, with their shares: fewer than three groups cannot fill three. */
export function sharesFor(groups: number): SplitCounts {
  if (groups >= 3) return { ...splitShares };
  if (groups === 2) return { train: 0.7, validation: 0, test: 0.3 };
  return { train: 1, validation: 0, test: 0 };
}

/** Moves groups until the counts are as near to the shares as one move or one exchange can bring them. */
function balance(groups: Group[]): void {
  const total = groups.reduce((sum, group) => sum + group.ids.length, 0);
  const shares = sharesFor(groups.length);
  const counts: SplitCounts = { train: 0, validation: 0, test: 0 };
  for (const group of groups) counts[group.split] += group.ids.length;
  const penalty = (split: Split, count: number) => {
    if (shares[split] === 0) return count > 0 ? 1e9 * count : 0;
    return count === 0 ? 1e6 : (count - shares[split] * total) ** 2;
  };
  const cost = (change: Partial<SplitCounts>) =>
    splits.reduce((sum, split) => sum + penalty(split, counts[split] + (change[split] ?? 0)), 0);
  for (;;) {
    let best = cost({}) - 1e-9;
    let apply: (() => void) | undefined;
    const consider = (change: Partial<SplitCounts>, act: () => void) => {
      const value = cost(change);
      if (value < best) [best, apply] = [value, act];
    };
    for (const [index, a] of groups.entries()) {
      const size = a.ids.length;
      for (const to of splits) {
        if (to !== a.split) consider({ [a.split]: -size, [to]: size }, () => move(a, to));
      }
      for (const b of groups.slice(index + 1)) {
        const more = b.ids.length - size;
        if (a.split === b.split || more === 0) continue;
        consider({ [a.split]: more, [b.split]: -more }, () => {
          const from = a.split;
          move(a, b.split);
          move(b, from);
        });
      }
    }
    if (!apply) return;
    apply();
  }
  function move(group: Group, to: Split) {
    counts[group.split] -= group.ids.length;
    counts[to] += group.ids.length;
    group.split = to;
  }
}

/** How well the shares were met. */
export interface SplitBalance {
  readonly images: SplitCounts;
  /** Shares of all pictures, 0 … 1. */
  readonly shares: SplitCounts;
  /** Species without a picture in a split. */
  readonly speciesWithout: SplitCounts;
  /** Mean over species of |share of train − 0.7|. */
  readonly meanTrainDeviation: number;
}

/** Measures the balance of a finished split. */
export function splitBalance(rows: readonly { readonly dex: number; readonly split: Split }[]): SplitBalance {
  const images = countSplits(rows);
  const speciesWithout: SplitCounts = { train: 0, validation: 0, test: 0 };
  let deviation = 0;
  const species = Map.groupBy(rows, (row) => row.dex);
  for (const members of species.values()) {
    const counts = countSplits(members);
    for (const split of splits) if (counts[split] === 0) speciesWithout[split]++;
    deviation += Math.abs(counts.train / members.length - splitShares.train);
  }
  const share = (split: Split) => rows.length ? images[split] / rows.length : 0;
  return {
    images,
    shares: { train: share("train"), validation: share("validation"), test: share("test") },
    speciesWithout,
    meanTrainDeviation: species.size ? deviation / species.size : 0,
  };
}

/** Pictures in each split. */
export function countSplits(rows: Iterable<{ readonly split: Split }>): SplitCounts {
  const counts: SplitCounts = { train: 0, validation: 0, test: 0 };
  for (const row of rows) counts[row.split]++;
  return counts;
}

/**
 * SHA-256 of which raw picture is in which split. Neither the rows' order counts nor where the pictures came from: the same pictures in the
 * same splits have the same hash on every machine.
 */
export function splitHash(rows: Iterable<Pick<ManifestRow, "sha256" | "split">>): string {
  return sha256(Array.from(rows, ({ sha256, split }) => `${split} ${sha256}\n`).sort().join(""));
}
