/** Names as paths of tokens, and the exact search for the likeliest of them. */

import { InputError } from "../../runtime/mod.ts";

/** A place in the trie: what may follow, and the name that ends here. */
interface TrieNode {
  readonly next: Map<number, TrieNode>;
  name?: string;
}

/** Names by their tokens. */
export class NameTrie {
  readonly root: TrieNode = { next: new Map() };
  readonly #names: string[] = [];

  /** Adds a name. Throws InputError for one without tokens, and for tokens that are another's already. */
  add(name: string, tokens: readonly number[]): void {
    if (tokens.length === 0) throw new InputError(`name "${name}": expected tokens, found none`);
    let node = this.root;
    for (const token of tokens) {
      let child = node.next.get(token);
      if (!child) node.next.set(token, child = { next: new Map() });
      node = child;
    }
    if (node.name !== undefined) {
      throw new InputError(`name "${name}": expected tokens of its own, found those of "${node.name}"`);
    }
    node.name = name;
    this.#names.push(name);
  }

  get names(): readonly string[] {
    return this.#names;
  }
}

/** A name with what the model gives it. */
export interface ScoredName {
  readonly name: string;
  /** log p(tokens of the name, then the end | picture, question) of the model, over all its tokens. */
  readonly logProbability: number;
}

/** What `searchNames` found. */
export interface NameSearch {
  /** The likeliest first, exactly. */
  readonly names: readonly ScoredName[];
  /** The probability of all names that were reached, those beyond `names` included. */
  readonly mass: number;
  /** At most so much more have the names that were not reached. */
  readonly rest: number;
}

/** Settings of `searchNames`. */
export interface NameSearchOptions {
  /** Names to find. */
  readonly top: number;
  /** Tokens that end an answer. */
  readonly ends: readonly number[];
  /** Go on until the names that were not reached have at most this share of the probability. Default: 0.01. */
  readonly tolerance?: number;
  /** Beginnings that the model continues at a time. Default: 16. */
  readonly batch?: number;
  readonly signal?: AbortSignal | undefined;
}

/** log p of every token after each of the beginnings. */
export type NextTokens = (beginnings: readonly (readonly number[])[]) => Promise<readonly Float32Array[]>;

/**
 * The likeliest names, exactly: beginnings are continued in the order of their probability (uniform-cost search, Dijkstra 1959).
 * As a continuation is never likelier than its beginning, a name that is likelier than every open beginning has no better
 * one behind it; a beam of fixed width can lose it. Only tokens that continue a name, or end it, are followed: what a mask on
 * the logits does, but probabilities stay those of the whole vocabulary, so that names with few continuations are not favoured.
 */
export async function searchNames(
  trie: NameTrie,
  nextTokens: NextTokens,
  { top, ends, tolerance = 0.01, batch = 16, signal }: NameSearchOptions,
): Promise<NameSearch> {
  if (!(Number.isInteger(top) && top >= 1)) throw new InputError(`names: expected at least one guess, found ${top}`);
  if (!(tolerance >= 0)) throw new InputError(`names: expected a tolerance from 0, found ${tolerance}`);
  const found: ScoredName[] = [];
  let open: { readonly tokens: readonly number[]; readonly node: TrieNode; readonly log: number }[] = [
    { tokens: [], node: trie.root, log: 0 },
  ];
  const wanted = Math.min(top, trie.names.length);
  const massOf = (logs: readonly number[]) => logs.reduce((sum, log) => sum + Math.exp(log), 0);
  for (;;) {
    signal?.throwIfAborted();
    open.sort((a, b) => b.log - a.log);
    found.sort((a, b) => b.logProbability - a.logProbability || (a.name < b.name ? -1 : 1));
    const mass = massOf(found.map(({ logProbability }) => logProbability)), rest = massOf(open.map(({ log }) => log));
    const isExact = found.length >= wanted && !(open[0] && open[0].log > found[wanted - 1]!.logProbability);
    if (open.length === 0 || (isExact && rest <= tolerance * (mass + rest))) {
      return { names: found.slice(0, wanted), mass, rest };
    }
    const part = open.slice(0, batch);
    open = open.slice(batch);
    const logs = await nextTokens(part.map(({ tokens }) => tokens));
    for (const [i, { tokens, node, log }] of part.entries()) {
      const after = logs[i]!;
      if (node.name !== undefined) {
        found.push({ name: node.name, logProbability: log + Math.log(massOf(ends.map((end) => after[end]!))) });
      }
      for (const [token, child] of node.next) {
        open.push({ tokens: [...tokens, token], node: child, log: log + after[token]! });
      }
    }
  }
}
