/** Decoded pictures in one compact file, so that epochs after the first decode nothing. */

import { join } from "node:path";
import {
  diskError,
  InputError,
  lockFolder,
  type ProgressListener,
  reason,
  WorkerPool,
  WorkError,
} from "../../runtime/mod.ts";
import { datasetPaths, type ManifestRow } from "../manifest.ts";
import { type Picture, pictureFrom } from "../augment/mod.ts";
import type { DecodeJob } from "./decode_worker.ts";
import {
  type CacheRecord,
  type DecodedPicture,
  decodeHead,
  encodeRecord,
  headLength,
  isIntact,
  pixelBytes,
} from "./record.ts";

/** The first bytes of a cache file: what it is, its version, and the size it was made for (u32). */
const magic = "PKDXCACHE1\n\0";
const prefaceLength = magic.length + 4;
/** Pictures in one message to a worker. */
const jobLength = 16;

export interface OpenCacheOptions {
  /** Where the dataset lies: the folder that holds `processed/`. */
  readonly dataFolder: string;
  /** The longest side that is kept, in pixels. */
  readonly size: number;
  readonly workers?: number;
  readonly onProgress?: ProgressListener;
}

/**
 * An open cache. `read` gives a picture's pixels; the file's path and records are what workers need to read on their own.
 */
export class PictureCache implements Disposable {
  readonly path: string;
  readonly size: number;
  /** How many pictures `openCache` had to decode: 0 when the file was whole and up to date. */
  readonly decoded: number;
  readonly #records: ReadonlyMap<string, CacheRecord>;
  readonly #file: Deno.FsFile;

  constructor(path: string, size: number, records: ReadonlyMap<string, CacheRecord>, decoded: number) {
    this.path = path;
    this.size = size;
    this.decoded = decoded;
    this.#records = records;
    this.#file = Deno.openSync(path);
  }

  /** Where a row's pixels lie. Throws InputError when the cache was opened without that row. */
  record(row: Pick<ManifestRow, "id" | "imageSha256">): CacheRecord {
    const record = this.#records.get(row.imageSha256);
    if (!record) {
      throw new InputError(`${this.path}: expected picture ${row.id}, found none; open the cache with its row`);
    }
    return record;
  }

  /** The decoded picture of a row, at most `size` pixels on its longer side. */
  read(row: Pick<ManifestRow, "id" | "imageSha256">): Picture {
    return readRecord(this.#file, this.record(row), this.path);
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** Reads one record's pixels. Throws WorkError when the file does not hold it (any more) where it should. */
export function readRecord(file: Deno.FsFile, record: CacheRecord, path: string): Picture {
  const bytes = new Uint8Array(headLength + pixelBytes(record));
  const start = record.offset - headLength;
  file.seekSync(start, Deno.SeekMode.Start);
  if (!fillSync(file, bytes) || decodeHead(bytes, start)?.sha256 !== record.sha256 || !isIntact(bytes)) {
    throw new WorkError(
      `${path}: expected the picture ${record.sha256.slice(0, 12)}… at byte ${start}, found other data`,
    );
  }
  return pictureFrom(bytes.subarray(headLength), record.width, record.height, record.channels);
}

/**
 * Opens the cache of the given rows at a size, and makes or mends it first where needed: every record is checked against its
 * CRC-32 and the rows' content hashes; what is stale, cut off or corrupt is decoded again, the rest is taken over. The new
 * file is written beside the old one and renamed when it is whole; after a kill the next call goes on where it stopped.
 * Throws InputError for a missing or changed stored picture, WorkError for a full disk or a second writer.
 */
export async function openCache(
  rows: readonly ManifestRow[],
  { dataFolder, size, workers, onProgress = () => {} }: OpenCacheOptions,
): Promise<PictureCache> {
  if (!Number.isInteger(size) || size < 1 || size > 4096) {
    throw new InputError(`cache: expected a size of 1 … 4096 pixels, found ${size}`);
  }
  if (rows.length === 0) throw new InputError("cache: expected at least one picture, found none");
  const { cache: folder, processed } = datasetPaths(dataFolder);
  const path = join(folder, `pictures_${size}.cache`);
  const wanted = new Map(rows.map((row) => [row.imageSha256, join(processed, row.image)]));
  const present = await scan(path, size);
  if ([...wanted.keys()].every((hash) => present.records.has(hash))) {
    return new PictureCache(path, size, present.records, 0);
  }
  const lock = await lockFolder(folder);
  try {
    const decoded = await write(path, size, wanted, present.records, workers, onProgress);
    const { records } = await scan(path, size);
    return new PictureCache(path, size, records, decoded);
  } finally {
    lock.release();
  }
}

/** The intact records from the start of a file, and where they end; none when it is missing or of another kind. */
async function scan(path: string, size: number): Promise<{ records: Map<string, CacheRecord>; end: number }> {
  const records = new Map<string, CacheRecord>();
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { records, end: 0 };
    throw new InputError(`${path}: expected a cache file, found ${reason(error)}`, { cause: error });
  }
  try {
    const preface = new Uint8Array(prefaceLength);
    if (!fillSync(file, preface) || !equal(preface, prefaceOf(size))) return { records, end: 0 };
    let end = prefaceLength;
    const head = new Uint8Array(headLength);
    let buffer = new Uint8Array(1 << 20);
    while (fillSync(file, head)) {
      const record = decodeHead(head, end);
      if (!record) break;
      const length = headLength + pixelBytes(record);
      if (length > headLength + 4 * size * size) break;
      if (buffer.length < length) buffer = new Uint8Array(length);
      const whole = buffer.subarray(0, length);
      whole.set(head);
      if (!fillSync(file, whole.subarray(headLength)) || !isIntact(whole)) break;
      records.set(record.sha256, record);
      end += length;
    }
    return { records, end };
  } finally {
    file.close();
  }
}

/** Writes the wanted records to `PATH.part` behind what an earlier call left there, then renames it. Returns how many it decoded. */
async function write(
  path: string,
  size: number,
  wanted: ReadonlyMap<string, string>,
  old: ReadonlyMap<string, CacheRecord>,
  workers: number | undefined,
  onProgress: ProgressListener,
): Promise<number> {
  const part = `${path}.part`;
  const begun = await scan(part, size);
  // Only a prefix of the wanted records in their order counts: so the finished file is the same whether or not it was interrupted.
  const order = [...wanted.keys()];
  const done = [...begun.records.keys()];
  const goesOn = begun.end > 0 && done.every((hash, index) => hash === order[index]);
  const skip = goesOn ? done.length : 0;
  const file = await Deno.open(part, { create: true, write: true });
  const source = old.size ? await Deno.open(path) : undefined;
  try {
    await file.truncate(goesOn ? begun.end : 0);
    await file.seek(0, Deno.SeekMode.End);
    if (!goesOn) await writeAll(file, prefaceOf(size));
    const rest = order.slice(skip);
    const fresh = rest.filter((hash) => !old.has(hash)).map((hash) => ({ path: wanted.get(hash)!, sha256: hash }));
    let count = skip;
    const report = () =>
      onProgress({ label: `decode to ${size} px`, done: count, total: order.length, unit: "pictures" });
    report();
    using decoder = new Decoder(fresh, size, workers);
    for (const hash of rest) {
      const record = old.get(hash);
      if (record) await writeAll(file, copyOf(source!, record));
      else await writeAll(file, encodeRecord(await decoder.next()));
      if (++count % 64 === 0 || count === order.length) report();
    }
    await file.sync();
    await Deno.rename(part, path);
    return fresh.length;
  } catch (error) {
    throw diskError(error, path);
  } finally {
    file.close();
    source?.close();
  }
}

/** Decodes pictures in workers, in order. */
class Decoder implements Disposable {
  readonly #pool: WorkerPool<DecodeJob, DecodedPicture[]> | undefined;
  readonly #batches: AsyncGenerator<DecodedPicture[]> | undefined;
  #ready: DecodedPicture[] = [];

  constructor(pictures: readonly { path: string; sha256: string }[], size: number, workers: number | undefined) {
    if (pictures.length === 0) return;
    const jobs: DecodeJob[] = [];
    for (let at = 0; at < pictures.length; at += jobLength) {
      jobs.push({ size, pictures: pictures.slice(at, at + jobLength) });
    }
    this.#pool = new WorkerPool(new URL("./decode_worker.ts", import.meta.url), {
      name: "decode",
      ...(workers === undefined ? {} : { size: workers }),
    });
    this.#batches = this.#pool.map(jobs);
  }

  async next(): Promise<DecodedPicture> {
    if (this.#ready.length === 0) {
      const { value, done } = await this.#batches!.next();
      if (done) throw new WorkError("decode: expected another picture, found the end");
      this.#ready = value.reverse();
    }
    return this.#ready.pop()!;
  }

  [Symbol.dispose](): void {
    this.#pool?.close();
  }
}

function copyOf(file: Deno.FsFile, record: CacheRecord): Uint8Array {
  const bytes = new Uint8Array(headLength + pixelBytes(record));
  file.seekSync(record.offset - headLength, Deno.SeekMode.Start);
  if (!fillSync(file, bytes)) throw new WorkError(`cache: expected ${bytes.length} more bytes, found the end`);
  return bytes;
}

function prefaceOf(size: number): Uint8Array {
  const preface = new Uint8Array(prefaceLength);
  preface.set(new TextEncoder().encode(magic));
  new DataView(preface.buffer).setUint32(magic.length, size, true);
  return preface;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}

/** Fills the bytes from the file's position; false when the file ends first. */
function fillSync(file: Deno.FsFile, bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length;) {
    const read = file.readSync(bytes.subarray(at));
    if (read === null) return false;
    at += read;
  }
  return true;
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}
