/** The store of finished pictures: files named by what they were made of, and a journal that lists them. */

import { join } from "node:path";
import { z } from "zod";
import { diskError, sha256, writeAtomic } from "../runtime/mod.ts";
import { compareText } from "./order.ts";

const hash = z.string().regex(/^[0-9a-f]{64}$/);

/** One file of the store. */
const storedFileSchema = z.strictObject({ name: z.string(), sha256: hash, bytes: z.int().min(1) });
export type StoredFile = z.infer<typeof storedFileSchema>;

const storedPictureSchema = z.strictObject({
  frame: z.int().min(0).optional(),
  width: z.int().min(1),
  height: z.int().min(1),
  transparent: z.boolean(),
  fingerprint: z.string(),
  /** At most 416 px, alpha kept. */
  image: storedFileSchema,
  /** 416 x 416, on its background. */
  jpeg: storedFileSchema,
});
export type StoredPicture = z.infer<typeof storedPictureSchema>;

/** What became of a raw file: its pictures, or why it has none. */
const journalRowSchema = z.strictObject({
  /** SHA-256 of the raw file. */
  sha256: hash,
  /** Frames that were asked for. */
  frames: z.int().min(1),
  /** Everything else that the result depends on, see `settingsHash`. */
  settings: z.string(),
  pictures: z.array(storedPictureSchema),
  cause: z.string().optional(),
});
export type JournalRow = z.infer<typeof journalRowSchema>;

/** The journal's key of a raw file. */
export function journalKey(row: Pick<JournalRow, "sha256" | "frames">): string {
  return `${row.sha256}:${row.frames}`;
}

/** Everything besides the raw bytes that the finished pictures depend on. */
export interface PictureSettings {
  readonly seed: number;
  /** Quality of the 416 x 416 JPEG, 1 … 100. */
  readonly jpegQuality: number;
  /** Version of libvips, whose encoders write the bytes. */
  readonly codec: string;
}

/** Bumped when the way of making pictures or fingerprints changes. */
const recipe = 1;

/** Twelve hexadecimal digits that differ when the settings do. */
export function settingsHash(settings: PictureSettings): string {
  return sha256(JSON.stringify([recipe, settings.seed, settings.jpegQuality, settings.codec])).slice(0, 12);
}

/** The file name in the store, with its folder: one of 256, so that no folder gets long. */
export function storeName(raw: string, frame: number | undefined, settings: string, extension: string): string {
  const which = frame === undefined ? "" : `-f${frame}`;
  return `${raw.slice(0, 2)}/${raw.slice(2, 34)}${which}-${settings}.${extension}`;
}

/** Makes the 256 folders of the store. */
export async function makeStore(folder: string): Promise<void> {
  for (let i = 0; i < 256; i++) await Deno.mkdir(join(folder, i.toString(16).padStart(2, "0")), { recursive: true });
}

/** Removes files of the store that `keep` does not name; returns how many. */
export async function sweepStore(folder: string, keep: ReadonlySet<string>): Promise<number> {
  let removed = 0;
  for await (const shard of Deno.readDir(folder)) {
    for await (const file of Deno.readDir(join(folder, shard.name))) {
      if (keep.has(`${shard.name}/${file.name}`)) continue;
      await Deno.remove(join(folder, shard.name, file.name));
      removed++;
    }
  }
  return removed;
}

/** Rows between two flushes to the disk. */
const batchSize = 100;

/**
 * The append-only list of what is finished. A row is added only when its files stand in the store, and reaches the disk
 * in batches of 100, so a kill costs at most a batch. A last line that a kill cut short is dropped.
 */
export class Journal {
  readonly #path: string;
  readonly #rows = new Map<string, JournalRow>();
  #pending: string[] = [];

  private constructor(path: string) {
    this.#path = path;
  }

  /** Opens a journal and reads the rows that were made with these settings. */
  static async open(path: string, settings: string): Promise<Journal> {
    const journal = new Journal(path);
    let text = "";
    try {
      text = await Deno.readTextFile(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    if (whole.length < text.length) await writeAtomic(path, whole);
    for (const line of whole.split("\n")) {
      const row = parseRow(line);
      if (row?.settings === settings) journal.#rows.set(journalKey(row), row);
    }
    return journal;
  }

  get size(): number {
    return this.#rows.size;
  }

  get(raw: Pick<JournalRow, "sha256" | "frames">): JournalRow | undefined {
    return this.#rows.get(journalKey(raw));
  }

  /** Adds a row; every hundredth call writes. */
  async add(row: JournalRow): Promise<void> {
    this.#rows.set(journalKey(row), row);
    this.#pending.push(JSON.stringify(row) + "\n");
    if (this.#pending.length >= batchSize) await this.flush();
  }

  /** Writes what is pending. Throws WorkError when the disk is full; the rows stay pending. */
  async flush(): Promise<void> {
    if (this.#pending.length === 0) return;
    const file = await Deno.open(this.#path, { append: true, create: true, read: true });
    const start = (await file.stat()).size;
    try {
      const bytes = new TextEncoder().encode(this.#pending.join(""));
      for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
      await file.syncData();
      this.#pending = [];
    } catch (error) {
      await file.truncate(start).catch(() => {});
      throw diskError(error, this.#path);
    } finally {
      file.close();
    }
  }

  /** Rewrites the journal with only the rows in use, sorted, so that it does not tell in which order they were made. */
  async compact(keys: ReadonlySet<string>): Promise<void> {
    for (const key of this.#rows.keys()) if (!keys.has(key)) this.#rows.delete(key);
    const rows = [...this.#rows.values()].sort((a, b) => compareText(journalKey(a), journalKey(b)));
    await writeIfChanged(this.#path, rows.map((row) => JSON.stringify(row) + "\n").join(""));
    this.#pending = [];
  }
}

/** A damaged line counts as not there: its picture is made again. */
function parseRow(line: string): JournalRow | undefined {
  if (line === "") return undefined;
  try {
    return journalRowSchema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}

/** Writes a text file unless it says so already; returns whether it wrote. */
export async function writeIfChanged(path: string, text: string): Promise<boolean> {
  try {
    if (await Deno.readTextFile(path) === text) return false;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  await writeAtomic(path, text, { durable: true });
  return true;
}
