/** Embeddings in one file that opens at once: content hash → row, of one encoder. */

import { createHash } from "node:crypto";
import { diskError, ensureParent, InputError, WorkError } from "../../runtime/mod.ts";
import type { Encoder } from "../encoder.ts";

/** Whose embeddings a file holds. */
export type CacheOwner = Pick<Encoder, "name" | "identity" | "dimension">;

const MAGIC = "PKDXEMB1";
/** Bytes of a key: SHA-256. */
const KEY = 32;

/** The key of a picture: SHA-256 of the raw file. */
export function pictureKey(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The key of a text; no file of the same bytes has it. */
export function textKey(text: string): string {
  return createHash("sha256").update("text\0").update(text).digest("hex");
}

/**
 * A file of embeddings that only grows. Layout, little-endian as every machine that Deno runs on: "PKDXEMB1", the length of the header as uint32, the header in JSON
 * (name, identity, dimension; filled with spaces to a multiple of 4), then records of one size: 32 bytes of key, `dimension`
 * float32, MurmurHash3 of both. A cut or damaged tail is dropped at opening, a damaged record before it skipped. One process may
 * write at a time.
 */
export class EmbeddingCache implements Disposable {
  readonly path: string;
  readonly owner: CacheOwner;
  /** Records that were dropped at opening because their checksum was wrong or they were cut. */
  readonly dropped: number;
  readonly #file: Deno.FsFile;
  readonly #rows: Map<string, Float32Array>;
  #end: number;

  /** @internal use openEmbeddingCache */
  constructor(
    path: string,
    file: Deno.FsFile,
    { owner, rows, end, dropped }: {
      readonly owner: CacheOwner;
      readonly rows: Map<string, Float32Array>;
      readonly end: number;
      readonly dropped: number;
    },
  ) {
    [this.path, this.owner, this.dropped] = [path, owner, dropped];
    [this.#file, this.#rows, this.#end] = [file, rows, end];
  }

  /** Embeddings that it holds. */
  get size(): number {
    return this.#rows.size;
  }

  /** The row of a key, not to be changed; undefined when it has none. */
  get(key: string): Float32Array | undefined {
    return this.#rows.get(key);
  }

  /**
   * Adds rows; a key that is there keeps its row. All is with the system before it returns, so that a killed process loses none.
   * Throws InputError for a row of another size, WorkError when the disk is full: the file is then as before.
   */
  add(rows: Iterable<readonly [key: string, row: Float32Array]>): void {
    const { dimension } = this.owner, fresh = new Map<string, Float32Array>();
    for (const [key, row] of rows) {
      if (row.length !== dimension || !/^[0-9a-f]{64}$/.test(key)) {
        throw new InputError(
          `${this.path}: expected a SHA-256 and ${dimension} numbers, found "${key}" and ${row.length}`,
        );
      }
      if (!this.#rows.has(key)) fresh.set(key, row.slice());
    }
    if (fresh.size === 0) return;
    const size = recordSize(dimension);
    const bytes = new Uint8Array(size * fresh.size), words = new Uint32Array(bytes.buffer);
    let at = 0;
    for (const [key, row] of fresh) {
      bytes.set(Uint8Array.fromHex(key), at);
      new Float32Array(bytes.buffer, at + KEY, dimension).set(row);
      const end = (at += size) / 4 - 1;
      words[end] = checksum(words.subarray((at - size) / 4, end));
    }
    try {
      this.#file.seekSync(this.#end, Deno.SeekMode.Start);
      for (let done = 0; done < bytes.length;) done += this.#file.writeSync(bytes.subarray(done));
    } catch (error) {
      try {
        this.#file.truncateSync(this.#end);
      } catch {
        // what is left is a cut tail: it is dropped when the file is opened again
      }
      throw diskError(error, this.path);
    }
    this.#end += bytes.length;
    for (const [key, row] of fresh) this.#rows.set(key, row);
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/**
 * Opens the cache of an encoder, or makes it. Throws InputError for a file that is no cache or is another encoder's: one line
 * with both names; WorkError when another process has it open.
 */
export async function openEmbeddingCache(path: string, owner: CacheOwner): Promise<EmbeddingCache> {
  await ensureParent(path);
  const file = await Deno.open(path, { read: true, write: true, create: true });
  try {
    if (!await file.tryLock(true)) {
      throw new WorkError(
        `${path}: expected no other writer, found a process that has it open; wait for it or stop it`,
      );
    }
    const bytes = await Deno.readFile(path);
    const header = encodeHeader(owner);
    // Killed while the header was written: nothing is lost.
    if (bytes.length < header.length && startsWith(header, bytes)) {
      await file.truncate();
      await file.write(header);
      return new EmbeddingCache(path, file, {
        owner,
        rows: new Map(),
        end: header.length,
        dropped: 0,
      });
    }
    const start = checkHeader(path, bytes, owner);
    const { rows, end, dropped } = readRecords(bytes, start, owner.dimension);
    if (end < bytes.length) await file.truncate(end);
    return new EmbeddingCache(path, file, { owner, rows, end, dropped });
  } catch (error) {
    file.close();
    throw error;
  }
}

/** MurmurHash3_x86_32 with seed 0 (Appleby 2011) of whole words: as sure as a CRC-32 against torn writes, and fast in JavaScript. */
export function checksum(words: Uint32Array): number {
  let hash = 0;
  for (let i = 0; i < words.length; i++) {
    let word = Math.imul(words[i]!, 0xcc9e2d51);
    word = Math.imul((word << 15) | (word >>> 17), 0x1b873593);
    hash ^= word;
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
  }
  hash ^= 4 * words.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

const recordSize = (dimension: number) => KEY + 4 * dimension + 4;

function encodeHeader({ name, identity, dimension }: CacheOwner): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify({ name, identity, dimension }));
  const length = Math.ceil(json.length / 4) * 4;
  const header = new Uint8Array(MAGIC.length + 4 + length).fill(32);
  header.set(new TextEncoder().encode(MAGIC));
  new DataView(header.buffer).setUint32(MAGIC.length, length, true);
  header.set(json, MAGIC.length + 4);
  return header;
}

function startsWith(whole: Uint8Array, part: Uint8Array): boolean {
  return part.every((byte, i) => byte === whole[i]);
}

/** Where the records begin. */
function checkHeader(path: string, bytes: Uint8Array, owner: CacheOwner): number {
  const found = new TextDecoder().decode(bytes.subarray(0, MAGIC.length));
  let header: Partial<CacheOwner> | undefined, start = 0;
  if (found === MAGIC && bytes.length >= MAGIC.length + 4) {
    start = MAGIC.length + 4 + new DataView(bytes.buffer).getUint32(MAGIC.length, true);
    try {
      header = JSON.parse(new TextDecoder().decode(bytes.subarray(MAGIC.length + 4, start)));
    } catch {
      // refused below
    }
  }
  if (typeof header?.identity !== "string") {
    throw new InputError(`${path}: expected a cache of embeddings, found another file (${bytes.length} bytes)`);
  }
  if (header.identity !== owner.identity || header.dimension !== owner.dimension) {
    const tell = ({ name, identity, dimension }: Partial<CacheOwner>) =>
      `${name} (${identity?.slice(0, 12)}, ${dimension} numbers)`;
    throw new InputError(`${path}: expected embeddings of ${tell(owner)}, found those of ${tell(header)}`);
  }
  return start;
}

function readRecords(bytes: Uint8Array<ArrayBuffer>, start: number, dimension: number) {
  const size = recordSize(dimension), view = new DataView(bytes.buffer);
  const rows = new Map<string, Float32Array>();
  let end = start, good = 0, seen = 0;
  for (let at = start; at + size <= bytes.length; at += size) {
    seen++;
    if (checksum(new Uint32Array(bytes.buffer, at, size / 4 - 1)) !== view.getUint32(at + size - 4, true)) continue;
    good++;
    end = at + size;
    // The file's bytes are the row where they lie at a multiple of 4, as they do: header and records are multiples of 4.
    rows.set(bytes.subarray(at, at + KEY).toHex(), new Float32Array(bytes.buffer, at + KEY, dimension));
  }
  return { rows, end, dropped: seen - good + ((bytes.length - start) % size > 0 ? 1 : 0) };
}
