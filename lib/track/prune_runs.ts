/** Removes runs that nobody needs any more. */

import { InputError, isLocked } from "../runtime/mod.ts";
import { listRuns, type RunSummary } from "./list_runs.ts";

/** Which runs to remove: those that meet every condition given. At least one must be given. */
export interface PruneOptions {
  /** The folder of run folders. */
  readonly folder: string;
  /** Last written more than so many days ago. */
  readonly olderThanDays?: number | undefined;
  /** Not among the newest so many. */
  readonly keep?: number | undefined;
  /** Without a checkpoint. */
  readonly withoutCheckpoints?: boolean;
  /** Remove them; otherwise only say which. */
  readonly remove?: boolean;
  readonly now?: Date;
}

/** What was removed, or would be. */
export interface PruneReport {
  readonly selected: readonly RunSummary[];
  readonly removed: boolean;
  readonly bytes: number;
}

/** Selects and, when asked, removes runs; never one that a process is writing. Throws InputError when no condition is given. */
export async function pruneRuns(
  { folder, olderThanDays, keep, withoutCheckpoints = false, remove = false, now = new Date() }: PruneOptions,
): Promise<PruneReport> {
  if (olderThanDays === undefined && keep === undefined && !withoutCheckpoints) {
    throw new InputError(
      "prune: expected older-than, keep or without-checkpoints, found none: that would be every run",
    );
  }
  const runs = await listRuns(folder);
  const selected: RunSummary[] = [];
  for (const [index, run] of runs.entries()) {
    if (run.state === "running" || index < (keep ?? 0)) continue;
    if (withoutCheckpoints && run.checkpoints > 0) continue;
    if (olderThanDays !== undefined && !(await age(run, now) > olderThanDays)) continue;
    selected.push(run);
  }
  for (const run of remove ? selected : []) {
    if (!(await isLocked(run.folder))) await Deno.remove(run.folder, { recursive: true });
  }
  return { selected, removed: remove, bytes: selected.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** Days since the run was last written. */
async function age({ lastTime, folder }: RunSummary, now: Date): Promise<number> {
  const last = lastTime === undefined ? (await Deno.stat(folder)).mtime : new Date(lastTime);
  return (now.getTime() - (last ?? now).getTime()) / 86_400_000;
}
