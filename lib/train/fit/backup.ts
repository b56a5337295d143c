/** A run's folder in a second place: copied now and then while training goes on, each file whole or not at all. */

import { dirname, join, relative } from "node:path";
import { describeError, diskError } from "../../runtime/mod.ts";
import { readCheckpoint } from "../checkpoint.ts";
import type { FitCallbacks } from "../fit.ts";
import { checkpointFolder, isCheckpointName } from "./checkpoint_store.ts";

/** Settings of `backup`. */
export interface BackupOptions {
  /** The run's folder. */
  readonly from: string;
  /** The folder that becomes its copy, on another disk or a mounted drive. */
  readonly to: string;
  /** Default: 30. */
  readonly everyMinutes?: number;
  /** Told when the second place fails; training goes on. */
  readonly warn?: (message: string) => void;
  /** Milliseconds. Default: `Date.now`. */
  readonly now?: () => number;
}

/**
 * Callbacks for `fit` that copy the run's folder while training goes on, and once more at the end, which is waited for. A
 * copy that fails is told of and tried again at the next time.
 */
export function backup(
  { from, to, everyMinutes = 30, warn = () => {}, now = Date.now }: BackupOptions,
): FitCallbacks {
  let last = now();
  let running: Promise<void> | undefined;
  const copy = () =>
    copyRun(from, to).then(() => {}, (error) => warn(`backup: ${describeError(error)}; training goes on`))
      .finally(() => running = undefined);
  return {
    onStep() {
      if (running || now() - last < 60_000 * everyMinutes) return;
      last = now();
      running = copy();
    },
    async onEnd() {
      await running;
      await copy();
    },
  };
}

/**
 * Copies a run's folder into another: only files that changed, each under a temporary name and then renamed, the log last so
 * that it is never older than a checkpoint. Checkpoints that the run no longer has are removed from the copy when the
 * newest one there could be read. Returns the files copied, relative to the folder. Also brings a backup back.
 */
export async function copyRun(from: string, to: string): Promise<string[]> {
  const files = (await filesBelow(from)).map((path) => relative(from, path))
    .sort((a, b) => Number(isLog(a)) - Number(isLog(b)) || (a < b ? -1 : 1));
  const copied: string[] = [];
  for (const file of files) {
    if (await copyFile(join(from, file), join(to, file))) copied.push(file);
  }
  await removeSurplus(from, to);
  return copied;
}

/** Ends the names of files that are being copied. */
const UNFINISHED = ".copy~";

/** Whether the file had changed. One that was removed meanwhile is no error. */
async function copyFile(from: string, to: string): Promise<boolean> {
  const unfinished = `${to}${UNFINISHED}`;
  try {
    const source = await Deno.stat(from);
    const target = await Deno.stat(to).catch(() => undefined);
    if (target && target.size === source.size && Number(target.mtime) === Number(source.mtime)) return false;
    await Deno.mkdir(dirname(to), { recursive: true });
    await Deno.copyFile(from, unfinished);
    const { size } = await Deno.stat(unfinished);
    if (size < source.size) throw new Error(`${to}: expected ${source.size} bytes after copying, found ${size}`);
    // The time of what was copied: a file that changes while it is copied is copied again next time.
    if (source.mtime) await Deno.utime(unfinished, source.mtime, source.mtime).catch(() => {});
    await Deno.rename(unfinished, to);
    return true;
  } catch (error) {
    await Deno.remove(unfinished).catch(() => {});
    if (error instanceof Deno.errors.NotFound && !(await Deno.stat(from).catch(() => undefined))) return false;
    throw diskError(error, to);
  }
}

async function removeSurplus(from: string, to: string): Promise<void> {
  const names = async (run: string) => {
    const entries = await Array.fromAsync(Deno.readDir(checkpointFolder(run))).catch(() => []);
    return entries.map(({ name }) => name).filter(isCheckpointName).sort();
  };
  const kept = new Set(await names(from)), there = await names(to);
  const surplus = there.filter((name) => !kept.has(name));
  const newest = there.findLast((name) => kept.has(name));
  if (surplus.length === 0 || newest === undefined) return;
  await readCheckpoint(join(checkpointFolder(to), newest));
  for (const name of surplus) await Deno.remove(join(checkpointFolder(to), name));
}

async function filesBelow(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isFile, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) files.push(...await filesBelow(path));
    else if (isFile && name !== ".lock" && !name.endsWith("~")) files.push(path);
  }
  return files;
}

function isLog(file: string): boolean {
  return file === "log.jsonl";
}
