/** Files that appear whole or not at all, and folders that one process at a time may write. */

import { dirname, join } from "node:path";
import { createHash } from "node:crypto";
import { InputError, WorkError } from "./errors.ts";

/** Marks files that were being written; `removeTemporary` clears what a killed process left. */
const TEMPORARY = ".tmp~";

/**
 * Writes a file so that a reader sees the old content or the new, never a part: a temporary file beside it is
 * written, optionally flushed to the disk (`durable`), and renamed over it. Throws WorkError when the disk is full.
 */
export async function writeAtomic(
  path: string,
  content: Uint8Array | string,
  { durable = false }: { durable?: boolean } = {},
): Promise<void> {
  // Several workers of one process may write one path at the same time.
  const temporary = `${path}.${crypto.randomUUID().slice(0, 13)}${TEMPORARY}`;
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  try {
    const file = await Deno.open(temporary, { write: true, create: true, truncate: true });
    try {
      for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
      if (durable) await file.sync();
    } finally {
      file.close();
    }
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw diskError(error, path);
  }
}

/** Names the file and the cause of a failed write; a full disk becomes a WorkError that says so. */
export function diskError(error: unknown, path: string): Error {
  const code = (error as { code?: string }).code;
  if (code === "ENOSPC" || code === "EDQUOT" || /No space left|os error 28\b/.test(String(error))) {
    return new WorkError(`${path}: no space left on the disk; free some and run the same command again`, {
      cause: error,
    });
  }
  return error instanceof Error ? error : new WorkError(`${path}: ${String(error)}`);
}

/** Removes the temporary files under a folder that a killed process left behind; returns how many. */
export async function removeTemporary(folder: string): Promise<number> {
  let removed = 0;
  try {
    for await (const entry of Deno.readDir(folder)) {
      const path = join(folder, entry.name);
      if (entry.isDirectory) removed += await removeTemporary(path);
      else if (entry.name.endsWith(TEMPORARY)) {
        await Deno.remove(path).catch(() => {});
        removed++;
      }
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return removed;
}

/** SHA-256 as 64 hexadecimal digits. */
export function sha256(content: Uint8Array | string): string {
  return createHash("sha256").update(content).digest("hex");
}

/** SHA-256 of a file that may be larger than the memory. */
export async function sha256File(path: string): Promise<string> {
  const hash = createHash("sha256");
  const file = await Deno.open(path);
  for await (const chunk of file.readable) hash.update(chunk);
  return hash.digest("hex");
}

/** Whether something stands at the path. */
export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}

/** Reads JSON; a missing or broken file is one InputError that names it. */
export async function readJson(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    throw new InputError(`${path}: expected a JSON file, found ${reason(error)}`, { cause: error });
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InputError(`${path}: expected JSON, found ${(error as Error).message}`, { cause: error });
  }
}

/** Why a file cannot be read, in a few words. */
export function reason(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "nothing there";
  if (error instanceof Deno.errors.PermissionDenied) return "a file that may not be read";
  if (error instanceof Deno.errors.IsADirectory) return "a folder";
  return error instanceof Error ? error.message : String(error);
}

/** A lock on a folder; `release()` gives it back (so does the end of the process). */
export interface FolderLock {
  release(): void;
}

/**
 * Locks a folder for this process (an advisory lock on `FOLDER/.lock`, which the system drops when the process ends,
 * however it ends). Throws WorkError at once when another process holds it.
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  await Deno.mkdir(folder, { recursive: true });
  const path = join(folder, ".lock");
  const file = await Deno.open(path, { create: true, write: true, read: true });
  if (!(await file.tryLock(true))) {
    const holder = new TextDecoder().decode(await Deno.readFile(path)).trim();
    file.close();
    throw new WorkError(
      `${folder}: expected no other writer, found process ${holder || "unknown"} at work; wait for it or stop it`,
    );
  }
  await file.truncate();
  await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
  return {
    release() {
      file.unlockSync();
      file.close();
    },
  };
}

/** Whether another process (or another lock of this one) holds a folder's lock. Makes nothing. */
export async function isLocked(folder: string): Promise<boolean> {
  try {
    using file = await Deno.open(join(folder, ".lock"), { read: true, write: true });
    const free = await file.tryLock(true);
    if (free) await file.unlock();
    return !free;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}

/** Makes the folder that a file will stand in. */
export async function ensureParent(path: string): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
}
