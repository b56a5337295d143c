/** Many pictures or texts → embeddings, with a cache: what was embedded once is not embedded again. */

import { augment, decodeFile, type Picture, type SkippedItem } from "../../data/mod.ts";
import { InputError, type ProgressListener, reason, type Tensor, tensor } from "../../runtime/mod.ts";
import type { Encoder } from "../encoder.ts";
import { type EmbeddingCache, pictureKey, textKey } from "./embedding_cache.ts";

/** A picture to embed. */
export interface PictureItem {
  /** For people, in `skipped`: the path, the manifest's id. */
  readonly id: string;
  /** A file's path, or its raw bytes. */
  readonly source: string | Uint8Array;
}

/** Settings of `embedPictures` and `embedTexts`. */
export interface EmbedOptions {
  /** Default: none, all is embedded. */
  readonly cache?: EmbeddingCache | undefined;
  /** Items read, decoded and embedded together, and kept before the next are. Default: 32. */
  readonly batch?: number | undefined;
  readonly onProgress?: ProgressListener | undefined;
  /** Stops between two batches; what is done is kept in the cache. */
  readonly signal?: AbortSignal | undefined;
}

/** What `embedPictures` gives. */
export interface EmbeddedPictures<T extends PictureItem> {
  /** The items that could be decoded, in their order: row i is of items[i]. */
  readonly items: readonly T[];
  /** [N, D], rows of length 1. */
  readonly features: Tensor<"float32">;
  /** Items that are no pictures, with the cause. */
  readonly skipped: readonly SkippedItem[];
  /** Rows that came from the cache. */
  readonly cached: number;
}

/**
 * Embeds pictures, decoded as building a data set decodes them (of an animation the first frame). One that cannot be read or
 * decoded is skipped with its cause; the others of its batch are embedded. A killed run goes on where it was, with the cache:
 * only its last batch is embedded again. Throws InputError for a cache of another encoder, whatever the encoder throws, and the
 * signal's reason.
 */
export async function embedPictures<T extends PictureItem>(
  encoder: Encoder,
  items: readonly T[],
  { cache, batch = 32, onProgress, signal }: EmbedOptions = {},
): Promise<EmbeddedPictures<T>> {
  checkOptions(encoder, cache, batch);
  const skipped: SkippedItem[] = [], kept: T[] = [], rows: Float32Array[] = [];
  let cached = 0;
  const read = (from: number) => Promise.all(items.slice(from, from + batch).map((item) => readItem(item, cache)));
  let next = read(0);
  try {
    for (let from = 0; from < items.length; from += batch) {
      signal?.throwIfAborted();
      const part = await next;
      next = read(from + batch); // decoded in other threads while this one embeds
      const fresh = part.filter((each) => each.picture !== undefined);
      const embedded = fresh.length === 0 ? undefined : await encoder.embedImages(fresh.map(({ picture }) => picture!));
      fresh.forEach((each, i) => each.row = rowOf(embedded!, i));
      cache?.add(fresh.map(({ key, row }) => [key, row!] as const));
      for (const [i, { row, cause, picture }] of part.entries()) {
        const item = items[from + i]!;
        if (row === undefined) skipped.push({ path: item.id, cause: cause! });
        else {
          kept.push(item);
          rows.push(row);
          if (picture === undefined) cached++;
        }
      }
      onProgress?.({
        label: `embed (${encoder.name})`,
        done: from + part.length,
        total: items.length,
        unit: "pictures",
      });
    }
  } finally {
    await next.catch(() => {}); // read ahead, when the embedding failed
  }
  return { items: kept, features: stack(rows, encoder.dimension), skipped, cached };
}

/** Embeds texts, [N, D] in their order; a text that stands twice, or in the cache, is embedded once. Throws as `embedPictures`. */
export async function embedTexts(
  encoder: Encoder,
  texts: readonly string[],
  { cache, batch = 32, onProgress, signal }: EmbedOptions = {},
): Promise<Tensor<"float32">> {
  checkOptions(encoder, cache, batch);
  const known = new Map<string, Float32Array>();
  for (const text of texts) {
    const row = cache?.get(textKey(text));
    if (row) known.set(text, row);
  }
  const fresh = [...new Set(texts)].filter((text) => !known.has(text));
  for (let from = 0; from < fresh.length; from += batch) {
    signal?.throwIfAborted();
    const part = fresh.slice(from, from + batch);
    const embedded = await encoder.embedTexts(part);
    part.forEach((text, i) => known.set(text, rowOf(embedded, i)));
    cache?.add(part.map((text) => [textKey(text), known.get(text)!] as const));
    onProgress?.({ label: `embed (${encoder.name})`, done: from + part.length, total: fresh.length, unit: "texts" });
  }
  return stack(texts.map((text) => known.get(text)!), encoder.dimension);
}

interface ReadItem {
  readonly key: string;
  /** Absent when the row is known or there is a cause. */
  readonly picture?: Picture;
  row?: Float32Array | undefined;
  /** Why there is no picture. */
  readonly cause?: string;
}

async function readItem({ source }: PictureItem, cache: EmbeddingCache | undefined): Promise<ReadItem> {
  let bytes: Uint8Array;
  try {
    bytes = typeof source === "string" ? await Deno.readFile(source) : source;
  } catch (error) {
    return { key: "", cause: `expected a picture, found ${reason(error)}` };
  }
  const key = pictureKey(bytes), row = cache?.get(key);
  if (row) return { key, row };
  try {
    const { data, width, height } = (await decodeFile(bytes)).pictures[0]!;
    return { key, picture: augment.pictureFrom(data, width, height, 4) };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { key, cause: error.message };
  }
}

function checkOptions(encoder: Encoder, cache: EmbeddingCache | undefined, batch: number): void {
  if (!Number.isInteger(batch) || batch < 1) throw new InputError(`embed: expected batch from 1, found ${batch}`);
  if (cache && cache.owner.identity !== encoder.identity) {
    throw new InputError(`${cache.path}: expected embeddings of ${encoder.name}, found those of ${cache.owner.name}`);
  }
}

function rowOf({ data, shape }: Tensor<"float32">, row: number): Float32Array {
  return data.slice(row * shape[1]!, (row + 1) * shape[1]!);
}

function stack(rows: readonly Float32Array[], dimension: number): Tensor<"float32"> {
  const data = new Float32Array(rows.length * dimension);
  rows.forEach((row, i) => data.set(row, i * dimension));
  return tensor("float32", [rows.length, dimension], data);
}
