/** Writes a run's folder: `config.yaml` once, `log.jsonl` line by line and never anything but at its end. */

import { join } from "node:path";
import { stringify } from "yaml";
import {
  exists,
  type FolderLock,
  InputError,
  LineFile,
  lockFolder,
  reason,
  writeAtomic,
  type YamlValue,
} from "../runtime/mod.ts";
import type { FitLog } from "../train/mod.ts";
import { entryText, type LogEntry } from "./entries.ts";
import type { Environment } from "./environment.ts";
import { runId } from "./run_id.ts";

/** Settings of `createRun`. */
export interface RunOptions {
  /** The folder of run folders. */
  readonly folder: string;
  readonly name: string;
  /** All settings as resolved. */
  readonly config: YamlValue;
  readonly environment: Environment;
  /** Default: from the time, the name and a few random digits. */
  readonly id?: string;
  readonly now?: () => Date;
}

/**
 * Makes `FOLDER/ID/` with `config.yaml` and a log that starts with the settings and the environment. Throws InputError when
 * such a run is there; WorkError when another process writes it.
 */
export async function createRun(
  { folder, name, config, environment, now = () => new Date(), id = runId({ name, now: now() }) }: RunOptions,
): Promise<RunLog> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(id)) {
    throw new InputError(`run: expected an id of letters, digits, ".", "_" and "-", found "${id}"`);
  }
  const run = join(folder, id);
  const lock = await lockFolder(run);
  try {
    if (await hasStart(run)) {
      throw new InputError(`${run}: expected no run of this name, found one; resume it or give another name`);
    }
    await writeAtomic(join(run, "config.yaml"), stringify(config));
    const log = new RunLog(run, id, lock);
    log.append({
      kind: "start",
      id,
      name,
      config,
      environment: { ...environment },
      wall: { time: now().toISOString() },
    });
    return log;
  } catch (error) {
    lock.release();
    throw error;
  }
}

/**
 * The log of a run that may have been begun before: `createRun`, or where it is there `openRun`. `resumed`: training goes on
 * from a checkpoint; otherwise what the log holds is superseded as a whole.
 */
export async function startRun(
  { resumed, id, ...options }: RunOptions & { readonly id: string; readonly resumed: boolean },
): Promise<RunLog> {
  const run = join(options.folder, id);
  if (!(await hasStart(run))) return await createRun({ id, ...options });
  const log = await openRun(run);
  if (!resumed) {
    const time = (options.now?.() ?? new Date()).toISOString();
    log.append({ kind: "resume", step: 0, epoch: 0, stepInEpoch: 0, file: "", from: id, wall: { time } });
  }
  return log;
}

/**
 * Opens the log of a run to go on with it; half a last line, which a kill leaves, is cut off. Throws InputError when there is
 * no such run; WorkError when another process writes it.
 */
export async function openRun(folder: string): Promise<RunLog> {
  const path = join(folder, "log.jsonl");
  if (!(await exists(path))) throw new InputError(`${folder}: expected a run with a log.jsonl, found none`);
  const lock = await lockFolder(folder);
  try {
    const bytes = await Deno.readFile(path);
    const first = new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(10) + 1));
    const id = /^\{"kind":"start","id":"([^"]+)"/.exec(first)?.[1];
    if (id === undefined) throw new InputError(`${path}:1: expected the start of a run, found "${first.slice(0, 60)}"`);
    return new RunLog(folder, id, lock);
  } catch (error) {
    lock.release();
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new InputError(`${path}: expected a log, found ${reason(error)}`, { cause: error });
    }
    throw error;
  }
}

/** Whether a run was begun: a process killed before its first line was whole leaves nothing to go on with. */
async function hasStart(run: string): Promise<boolean> {
  const path = join(run, "log.jsonl");
  return await exists(path) && (await Deno.readFile(path)).includes(10);
}

/**
 * A run that this process writes. Each event is one line, with the system before `append` returns, so that a killed process
 * loses none. A "resume" line supersedes what lines before it say of that step and later ones; `readRun` leaves that out.
 */
export class RunLog implements FitLog, Disposable {
  readonly folder: string;
  readonly id: string;
  readonly #lock: FolderLock;
  readonly #lines: LineFile;

  /** @internal use createRun or openRun */
  constructor(folder: string, id: string, lock: FolderLock) {
    this.folder = folder;
    this.id = id;
    this.#lock = lock;
    this.#lines = new LineFile(join(folder, "log.jsonl"));
  }

  /** Writes a line. Throws WorkError when the disk is full; the log is then as before. */
  append(entry: LogEntry): void {
    this.#lines.append(entryText(entry));
  }

  flush(): void {
    this.#lines.flush();
  }

  [Symbol.dispose](): void {
    this.#lines[Symbol.dispose]();
    this.#lock.release();
  }
}
