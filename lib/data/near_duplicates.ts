/** Near-duplicates: joins pictures of one species that show the same drawing, finds pictures shared between species. */

import { compareText } from "./order.ts";
import { countBits, type Fingerprint, fingerprintDistance, parseFingerprint } from "./fingerprint.ts";

/**
 * Two pictures of one species whose fingerprints are at most this far apart (differing gradient bits + 2 x differing
 * outline bits, of 288 + 288) are the same drawing.
 *
 * Chosen by looking at pairs of 24,384 pictures of 1,025 species (notebook 01 shows some). Of 3,670 pairs that are one
 * drawing for certain (regular and shiny, coloured and grey), half lie below 10 and 99.4 % within 64. Of the other pairs
 * of a species between 50 and 66, nearly every one is a drawing recoloured, redrawn in its pose for another game, or the
 * next frame; beyond 75 they are mixed. Of 4.6 million random pairs of different species 8 lie below 60.
 */
export const nearDuplicateThreshold = 64;

/** Pictures of different species nearer than this are reported: one of the two labels is probably wrong. */
export const crossSpeciesThreshold = 40;

/** The score that the thresholds are about. */
export function nearDuplicateScore(a: Fingerprint, b: Fingerprint): number {
  const { gradient, outline } = fingerprintDistance(a, b);
  return gradient + 2 * outline;
}

/** What grouping needs to know of a picture. */
export interface Groupable {
  readonly id: string;
  readonly dex: number;
  /** Hexadecimal, see `fingerprint`. */
  readonly fingerprint: string;
  /** A key that pictures known to be one drawing share, e.g. the frames of an animation. */
  readonly lineage?: string | undefined;
}

/**
 * Joins the near-duplicates of every species: pictures with one lineage, and pictures whose fingerprints are within
 * `threshold`, directly or through others (single linkage by union-find, so that no two groups hold a near pair).
 * Returns group names by picture id, e.g. "0025-g02", numbered by the smallest id in the group. The order of `pictures`
 * does not matter. O(n²) within a species.
 */
export function groupNearDuplicates(
  pictures: readonly Groupable[],
  { threshold = nearDuplicateThreshold }: { threshold?: number } = {},
): Map<string, string> {
  const groups = new Map<string, string>();
  for (const [dex, members] of Map.groupBy(pictures, (picture) => picture.dex)) {
    const sorted = members.toSorted((a, b) => compareText(a.id, b.id));
    const roots = unite(sorted, threshold);
    const names = new Map<number, string>();
    for (const [index, { id }] of sorted.entries()) {
      const root = roots[index]!;
      let name = names.get(root);
      if (name === undefined) {
        name = `${String(dex).padStart(4, "0")}-g${String(names.size + 1).padStart(2, "0")}`;
        names.set(root, name);
      }
      groups.set(id, name);
    }
  }
  return groups;
}

/** The root of each picture's set. */
function unite(pictures: readonly Groupable[], threshold: number): number[] {
  const parent = pictures.map((_, index) => index);
  const find = (at: number): number => {
    while (parent[at] !== at) {
      parent[at] = parent[parent[at]!]!;
      at = parent[at]!;
    }
    return at;
  };
  const join = (a: number, b: number) => {
    const [low, high] = [find(a), find(b)].toSorted((x, y) => x - y) as [number, number];
    parent[high] = low;
  };
  const lineages = new Map<string, number>();
  for (const [index, { lineage }] of pictures.entries()) {
    if (lineage === undefined) continue;
    const first = lineages.get(lineage);
    if (first === undefined) lineages.set(lineage, index);
    else join(first, index);
  }
  const prints = pictures.map((picture) => parseFingerprint(picture.fingerprint));
  for (let i = 0; i < prints.length; i++) {
    for (let j = i + 1; j < prints.length; j++) {
      if (find(i) !== find(j) && nearDuplicateScore(prints[i]!, prints[j]!) <= threshold) join(i, j);
    }
  }
  return pictures.map((_, index) => find(index));
}

/** Two pictures of different species that look the same. */
export interface CrossSpeciesPair {
  readonly a: string;
  readonly b: string;
  /** As `nearDuplicateScore`. */
  readonly score: number;
}

/** Width of a band of gradient bit counts, within which pictures are sorted by outline bits. */
const bandWidth = 8;
const wordCount = 15;

/**
 * Pairs of pictures of different species within `threshold`, nearest first, at most `limit`. All pairs are compared,
 * but most are dismissed by a bound: the numbers of set bits of two fingerprints, which a mirror does not change, differ
 * by no more than the distance. 24,384 pictures (297 million pairs) take 2 to 3 seconds.
 */
export function findCrossSpecies(
  pictures: readonly Groupable[],
  { threshold = crossSpeciesThreshold, limit = 10_000 }: { threshold?: number; limit?: number } = {},
): CrossSpeciesPair[] {
  const sorted = pictures.map(({ id, dex, fingerprint }) => {
    const print = parseFingerprint(fingerprint);
    const bits = print.words.map(countBits);
    const gradient = bits.subarray(0, 10).reduce((sum, count) => sum + count, 0);
    const outline = bits.subarray(10).reduce((sum, count) => sum + count, 0);
    return { id, dex, print, gradient, outline, band: Math.floor(gradient / bandWidth) };
  }).sort((a, b) => a.band - b.band || a.outline - b.outline || compareText(a.id, b.id));
  const words = new Int32Array(sorted.length * wordCount);
  const mirrored = new Int32Array(sorted.length * wordCount);
  for (const [index, { print }] of sorted.entries()) {
    words.set(print.words, index * wordCount);
    mirrored.set(print.mirrored, index * wordCount);
  }
  const outlines = Int32Array.from(sorted, (item) => item.outline);
  const bandStarts: number[] = [];
  for (const [index, { band }] of sorted.entries()) while (bandStarts.length <= band) bandStarts.push(index);
  bandStarts.push(sorted.length);

  const pairs: CrossSpeciesPair[] = [];
  for (const [i, item] of sorted.entries()) {
    for (let band = item.band; band + 1 < bandStarts.length; band++) {
      const apart = Math.max(0, band * bandWidth - item.gradient);
      if (apart > threshold) break;
      const slack = Math.floor((threshold - apart) / 2);
      const end = bandStarts[band + 1]!;
      let j = band === item.band ? i + 1 : firstAtLeast(outlines, bandStarts[band]!, end, item.outline - slack);
      for (; j < end && outlines[j]! <= item.outline + slack; j++) {
        const near = isWithin(words, i, words, j, threshold) || isWithin(words, i, mirrored, j, threshold);
        if (!near || sorted[j]!.dex === item.dex) continue;
        const [a, b] = item.id < sorted[j]!.id ? [item, sorted[j]!] : [sorted[j]!, item];
        pairs.push({ a: a.id, b: b.id, score: nearDuplicateScore(a.print, b.print) });
      }
    }
  }
  return pairs.sort((x, y) => x.score - y.score || compareText(x.a, y.a) || compareText(x.b, y.b)).slice(0, limit);
}

/** Index of the first value ≥ `value` in a sorted stretch. */
function firstAtLeast(values: Int32Array, from: number, to: number, value: number): number {
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (values[middle]! < value) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** Whether the score of fingerprint i of `a` and j of `b` is within the threshold; stops as soon as it is not. */
function isWithin(a: Int32Array, i: number, b: Int32Array, j: number, threshold: number): boolean {
  const atA = i * wordCount, atB = j * wordCount;
  let score = 0;
  for (let word = wordCount - 1; word >= 0; word--) {
    const bits = countBits(a[atA + word]! ^ b[atB + word]!);
    score += word >= 10 ? 2 * bits : bits;
    if (score > threshold) return false;
  }
  return true;
}
