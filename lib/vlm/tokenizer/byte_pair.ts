/** Byte-pair encoding learned from texts, in the form that CLIP has it (Sennrich et al. 2016; Radford et al. 2021, section 2.4). */

/** What ends a word's last piece: "cat</w>" is a word's end, "cat" its beginning. */
export const END_OF_WORD = "</w>";

/** CLIP's words: contractions, runs of letters, single digits, runs of other signs. */
export const WORDS = String.raw`'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`;

/** A visible sign for each byte: itself where it is one in Latin-1, else one from U+0100 on (Radford et al. 2019, GPT-2's code). */
export const BYTE_SIGNS: readonly string[] = (() => {
  const isVisible = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isVisible(byte) ? byte : next++));
})();

/** A text as CLIP's tokenizer cuts it: lower case, one space for many, words as byte signs. */
export function wordsOf(text: string): string[] {
  const normal = text.normalize("NFC").replace(/\s+/g, " ").toLowerCase();
  return [...normal.matchAll(new RegExp(WORDS, "gu"))].map(([word]) =>
    [...new TextEncoder().encode(word)].map((byte) => BYTE_SIGNS[byte]!).join("")
  );
}

/** Two neighbouring pieces that become one. */
export type Merge = readonly [left: string, right: string];

/** Settings of `learnMerges`. */
export interface LearnOptions {
  /** The most merges. */
  readonly merges: number;
  /** A pair must occur so often. Default: 2. */
  readonly least?: number;
}

/**
 * The merges of the most frequent neighbours, one after another (Sennrich et al. 2016, algorithm 1), over the words of texts. Of
 * pairs that are equally frequent the one that comes first by code units. Ends early where no pair is frequent enough.
 */
export function learnMerges(texts: Iterable<string>, { merges: most, least = 2 }: LearnOptions): Merge[] {
  // No word goes over a space: what stands between spaces is cut into words once, however often it comes.
  const tokens = new Map<string, number>(), counts = new Map<string, number>();
  const count = (into: Map<string, number>, key: string, more: number) => into.set(key, (into.get(key) ?? 0) + more);
  for (const text of texts) for (const token of text.split(/\s+/)) count(tokens, token, 1);
  for (const [token, often] of tokens) for (const word of wordsOf(token)) count(counts, word, often);
  const words = [...counts].map(([word, count]) => ({ pieces: piecesOf(word), count }));
  // Counts of all pairs, and the words in which each has ever stood, kept up to date as words change.
  const pairs = new Map<string, number>(), places = new Map<string, Set<number>>();
  const tally = (index: number, sign: 1 | -1) => {
    const { pieces, count } = words[index]!;
    for (let i = 1; i < pieces.length; i++) {
      const pair = `${pieces[i - 1]} ${pieces[i]}`;
      const now = (pairs.get(pair) ?? 0) + sign * count;
      if (now > 0) pairs.set(pair, now);
      else pairs.delete(pair);
      const own = places.get(pair);
      if (own) own.add(index);
      else places.set(pair, new Set([index]));
    }
  };
  words.forEach((_, index) => tally(index, 1));
  const merges: Merge[] = [];
  while (merges.length < most) {
    const best = mostFrequent(pairs, least);
    if (!best) break;
    merges.push(best);
    for (const index of places.get(best.join(" "))!) {
      tally(index, -1);
      words[index]!.pieces = merged(words[index]!.pieces, best);
      tally(index, 1);
    }
  }
  return merges;
}

/** A word's first pieces: its signs, the last with the end of the word. */
function piecesOf(word: string): string[] {
  const signs = [...word];
  return [...signs.slice(0, -1), signs.at(-1)! + END_OF_WORD];
}

function mostFrequent(pairs: ReadonlyMap<string, number>, least: number): Merge | undefined {
  let best: string | undefined, highest = least - 1;
  for (const [pair, count] of pairs) {
    if (count > highest || (count === highest && best !== undefined && pair < best)) [best, highest] = [pair, count];
  }
  return best?.split(" ") as Merge | undefined;
}

function merged(pieces: readonly string[], [left, right]: Merge): string[] {
  const result: string[] = [];
  for (let i = 0; i < pieces.length; i++) {
    if (pieces[i] === left && pieces[i + 1] === right) {
      result.push(left + right);
      i++;
    } else result.push(pieces[i]!);
  }
  return result;
}
