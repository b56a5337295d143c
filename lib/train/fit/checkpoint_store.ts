/** The checkpoints of one run: each read back before an older one goes, the newest few kept, the best always. */

import { Buffer } from "node:buffer";
import { join } from "node:path";
import {
  diskError,
  ensureParent,
  type FolderLock,
  InputError,
  lockFolder,
  removeTemporary,
  WorkError,
  writeAtomic,
} from "../../runtime/mod.ts";
import { checkpointName, encodeCheckpoint, readCheckpointHead } from "../checkpoint.ts";
import type { StepState } from "../compile_step.ts";
import { type FitProgress, parseProgress, plainProgress } from "./progress.ts";

/** Settings of `CheckpointStore.open`. */
export interface CheckpointStoreOptions {
  /** The run's folder; checkpoints lie in `checkpoints/` and `best/`. */
  readonly folder: string;
  /** How many of the newest to keep beside the best. Default: 3. */
  readonly keep?: number;
  /** Writes a file whole or not at all; by default flushed to the disk. */
  readonly write?: (path: string, content: Uint8Array) => Promise<void>;
}

/** Ends the names of files that were not yet read back. */
const UNVERIFIED = ".unverified~";

/** Where the best checkpoint of a run lies. */
export function bestCheckpointPath(runFolder: string): string {
  return join(runFolder, "best", "checkpoint.safetensors");
}

/** The folder of a run's other checkpoints. */
export function checkpointFolder(runFolder: string): string {
  return join(runFolder, "checkpoints");
}

/** Writes, verifies and removes the checkpoints of a run; no other process may while it is open. */
export class CheckpointStore implements Disposable {
  readonly #options: Required<CheckpointStoreOptions>;
  readonly #lock: FolderLock;
  /** When each file in `checkpoints/` was saved, milliseconds. */
  readonly #files = new Map<string, number>();
  #newest = -Infinity;

  private constructor(options: Required<CheckpointStoreOptions>, lock: FolderLock) {
    this.#options = options;
    this.#lock = lock;
  }

  /** Takes the folder, clears what a killed process left half written. Throws WorkError when another process has it. */
  static async open({ folder, keep = 3, write = writeDurable }: CheckpointStoreOptions): Promise<CheckpointStore> {
    const own = checkpointFolder(folder);
    const lock = await lockFolder(own);
    for (const place of [own, join(folder, "best")]) {
      await removeTemporary(place);
      for (const name of await fileNames(place)) {
        if (name.endsWith(UNVERIFIED)) await Deno.remove(join(place, name));
      }
    }
    const store = new CheckpointStore({ folder, keep, write }, lock);
    await store.#add(bestCheckpointPath(folder));
    for (const name of (await fileNames(own)).filter(isCheckpointName)) await store.#add(join(own, name), name);
    return store;
  }

  /**
   * Writes a checkpoint into `checkpoints/` and, when asked, into `best/`; reads each back; then removes what is more than the
   * newest few. Returns the path relative to the run's folder. Throws WorkError when the disk is full or gives back other
   * bytes; older checkpoints are then as they were.
   */
  async save(
    state: StepState,
    progress: Omit<FitProgress, "savedAt">,
    { last, best, now }: { last: boolean; best: boolean; now: Date },
  ): Promise<string> {
    const saved = Math.max(now.getTime(), this.#newest + 1); // a clock that was set back changes no order
    const savedAt = new Date(saved).toISOString();
    const content = encodeCheckpoint({ state, progress: plainProgress({ ...progress, savedAt }) });
    this.#newest = saved;
    const { folder } = this.#options;
    if (best) await this.#write(bestCheckpointPath(folder), content);
    if (!last) return join("best", "checkpoint.safetensors");
    const name = checkpointName(state.step);
    await this.#write(join(checkpointFolder(folder), name), content);
    this.#files.set(name, saved);
    await this.#prune();
    return join("checkpoints", name);
  }

  /** The paths of those in `checkpoints/` that should be there. */
  get files(): readonly string[] {
    return [...this.#files.keys()].map((name) => join(checkpointFolder(this.#options.folder), name));
  }

  /** Removes those in `checkpoints/` of more steps than `step`: training went back to before them. */
  async removeAfter(step: number): Promise<void> {
    for (const name of [...this.#files.keys()]) if (name > checkpointName(step)) await this.#remove(name);
  }

  [Symbol.dispose](): void {
    this.#lock.release();
  }

  /** Counts in a file that was there before; a damaged one counts for nothing, and is left to whoever wants to look at it. */
  async #add(path: string, name?: string): Promise<void> {
    try {
      const saved = Date.parse(parseProgress((await readCheckpointHead(path)).progress, path).savedAt);
      this.#newest = Math.max(this.#newest, saved);
      if (name !== undefined) this.#files.set(name, saved);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
    }
  }

  async #write(path: string, content: Uint8Array): Promise<void> {
    const unverified = `${path}${UNVERIFIED}`;
    try {
      await ensureParent(path);
      await this.#options.write(unverified, content);
      await expectContent(unverified, content);
      await Deno.rename(unverified, path);
    } catch (error) {
      await Deno.remove(unverified).catch(() => {});
      throw diskError((error as Error).cause ?? error, path); // the cause names the file that people know
    }
  }

  async #prune(): Promise<void> {
    const byAge = [...this.#files].sort(([, a], [, b]) => b - a);
    for (const [name] of byAge.slice(Math.max(1, this.#options.keep))) await this.#remove(name);
  }

  async #remove(name: string): Promise<void> {
    await Deno.remove(join(checkpointFolder(this.#options.folder), name)).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    this.#files.delete(name);
  }
}

/** Whether a file's name is that of a checkpoint. */
export function isCheckpointName(name: string): boolean {
  return /^step-\d{9,}\.safetensors$/.test(name);
}

function writeDurable(path: string, content: Uint8Array): Promise<void> {
  return writeAtomic(path, content, { durable: true });
}

async function fileNames(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).filter((entry) => entry.isFile).map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Reads a file back in parts. Throws WorkError when it is not what was written. */
async function expectContent(path: string, content: Uint8Array): Promise<void> {
  using file = await Deno.open(path);
  const part = new Uint8Array(1 << 20);
  for (let at = 0;;) {
    const read = await file.read(part);
    if (read === null && at === content.length) return;
    if (read === null || !sameBytes(part.subarray(0, read), content.subarray(at, at + read))) {
      throw new WorkError(`${path}: expected the ${content.length} bytes that were written, found others after ${at}`);
    }
    at += read;
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}
