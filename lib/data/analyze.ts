/** What a dataset is made of, as plain numbers for tables and plots. */

import { speciesByDex } from "../species/mod.ts";
import type { ManifestRow, Split } from "./manifest.ts";

type SplitNumbers = Readonly<Record<Split, number>>;

export interface DatasetAnalysis {
  readonly images: number;
  readonly classes: number;
  readonly splits: SplitNumbers;
  /** One row a class, in dex order. */
  readonly perClass: readonly (SplitNumbers & {
    readonly dex: number;
    readonly classId: number;
    readonly images: number;
    readonly groups: number;
  })[];
  /** How unequal the classes are. */
  readonly balance: {
    readonly smallest: number;
    readonly median: number;
    readonly largest: number;
    readonly mean: number;
    /** exp of the entropy of the class shares: as many equally large classes would be as varied. */
    readonly effectiveClasses: number;
  };
  /** Images of each source and of each kind within it, most first. */
  readonly sources:
    readonly (SplitNumbers & { readonly source: string; readonly kind: string; readonly images: number })[];
  /** Stored sizes in pixels. */
  readonly sizes: {
    readonly smallest: readonly [width: number, height: number];
    readonly median: readonly [width: number, height: number];
    readonly largest: readonly [width: number, height: number];
    /** Images by their longer side, in steps of `step` pixels from 0. */
    readonly longerSide: { readonly step: number; readonly counts: readonly number[] };
    readonly transparent: number;
  };
  readonly groups: {
    readonly count: number;
    /** `sizes[i]`: groups of i + 1 images. */
    readonly sizes: readonly number[];
    /** Images that have a near-duplicate. */
    readonly imagesWithNearDuplicate: number;
    /** The largest groups, largest first. */
    readonly largest: readonly { readonly group: string; readonly dex: number; readonly images: number }[];
  };
}

/** Counts everything that the manifest alone tells. Throws RangeError for no rows. */
export function analyzeDataset(rows: readonly ManifestRow[]): DatasetAnalysis {
  if (rows.length === 0) throw new RangeError("analyzeDataset: expected at least one picture, found none");
  const classes = [...Map.groupBy(rows, ({ classId }) => classId)].sort(([a], [b]) => a - b);
  const groups = [...Map.groupBy(rows, ({ group }) => group)].map(([group, members]) => ({
    group,
    dex: members[0]!.dex,
    images: members.length,
  })).sort((a, b) => b.images - a.images || (a.group < b.group ? -1 : 1));
  const sizes = new Array<number>(groups[0]!.images).fill(0);
  for (const { images } of groups) sizes[images - 1] = sizes[images - 1]! + 1;
  const perClass = classes.map(([classId, members]) => ({
    ...{ dex: members[0]!.dex, classId, images: members.length },
    groups: new Set(members.map(({ group }) => group)).size,
    ...bySplit(members),
  }));
  return {
    images: rows.length,
    classes: classes.length,
    splits: bySplit(rows),
    perClass,
    balance: balanceOf(perClass.map(({ images }) => images)),
    sources: [...Map.groupBy(rows, (row) => `${row.source}\n${pictureKind(row)}`)].map(([key, members]) => ({
      source: members[0]!.source,
      kind: key.slice(key.indexOf("\n") + 1),
      images: members.length,
      ...bySplit(members),
    })).sort((a, b) => b.images - a.images || (a.kind < b.kind ? -1 : 1)),
    sizes: sizesOf(rows),
    groups: {
      count: groups.length,
      sizes,
      imagesWithNearDuplicate: groups.reduce((sum, { images }) => sum + (images > 1 ? images : 0), 0),
      largest: groups.filter(({ images }) => images > 1).slice(0, 20),
    },
  };
}

/**
 * What a picture is by its path: the folders and the file's name without what only tells pictures of one kind apart, that
 * is numbers, hashes and the species' own name. "0025/web-6c6445c0.webp" and "0025/web-eacfeafe.webp" are "web", "pokemon/shiny/25.gif" is
 * "pokemon/shiny", "regular/mr-mime-galar.png" is "regular/galar".
 */
export function pictureKind({ path, dex }: Pick<ManifestRow, "path" | "dex">): string {
  const own = new Set(speciesByDex(dex).name.toLowerCase().split(/[^\p{L}\d]+/u));
  const tells = (word: string) =>
    !/^\d+$/.test(word) && !/^((?=.*\d)[0-9a-f]{6,}|[0-9a-f]{8})$/i.test(word) && !own.has(word.toLowerCase());
  const parts = path.replace(/\.[^./]*$/, "").split("/").map((part) => part.split(/[-_ ]/).filter(tells).join("-"));
  return parts.filter((part) => part !== "").join("/") || "(unnamed)";
}

function bySplit(rows: readonly ManifestRow[]): SplitNumbers {
  const counts = { train: 0, validation: 0, test: 0 };
  for (const { split } of rows) counts[split]++;
  return counts;
}

function balanceOf(counts: readonly number[]): DatasetAnalysis["balance"] {
  const sorted = counts.toSorted((a, b) => a - b);
  const total = sorted.reduce((sum, count) => sum + count, 0);
  const entropy = -sorted.reduce((sum, count) => sum + count / total * Math.log(count / total), 0);
  return {
    smallest: sorted[0]!,
    median: median(sorted),
    largest: sorted.at(-1)!,
    mean: total / sorted.length,
    effectiveClasses: Math.exp(entropy),
  };
}

const sizeStep = 32;

function sizesOf(rows: readonly ManifestRow[]): DatasetAnalysis["sizes"] {
  const widths = rows.map(({ width }) => width).sort((a, b) => a - b);
  const heights = rows.map(({ height }) => height).sort((a, b) => a - b);
  const counts: number[] = [];
  for (const { width, height } of rows) {
    const bin = Math.floor(Math.max(width, height) / sizeStep);
    while (counts.length <= bin) counts.push(0);
    counts[bin] = counts[bin]! + 1;
  }
  return {
    smallest: [widths[0]!, heights[0]!],
    median: [median(widths), median(heights)],
    largest: [widths.at(-1)!, heights.at(-1)!],
    longerSide: { step: sizeStep, counts },
    transparent: rows.filter(({ transparent }) => transparent).length,
  };
}

function median(sorted: readonly number[]): number {
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
