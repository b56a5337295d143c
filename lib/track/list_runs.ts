/** All runs of a folder, one summary each, the newest first. */

import { join } from "node:path";
import { describeError, exists, InputError, isLocked, reason } from "../runtime/mod.ts";
import { bestCheckpointPath, checkpointFolder, type StopReason } from "../train/mod.ts";
import { idOfFolder, readRun, type Run } from "./read_run.ts";

/** "running": a process has it open. "killed": it has no end, and no process has it open. "broken": its log cannot be read. */
export type RunState = StopReason | "failed" | "running" | "killed" | "broken";

/** A run in a few figures. */
export interface RunSummary {
  readonly id: string;
  readonly folder: string;
  readonly name: string;
  readonly state: RunState;
  /** ISO 8601; of a broken log unknown. */
  readonly started?: string;
  readonly lastTime?: string;
  /** Epochs that were begun. */
  readonly epochs: number;
  readonly steps: number;
  readonly images: number;
  /** Mean loss of the last epoch's finite steps. */
  readonly loss?: number;
  /** The figures of the best validation; of the last one where none was monitored. */
  readonly figures: Readonly<Record<string, number>>;
  readonly incidents: number;
  readonly resumes: number;
  /** Files in `checkpoints/` and `best/`. */
  readonly checkpoints: number;
  /** Of the whole folder. */
  readonly bytes: number;
  /** What is wrong with the log, or why training failed. */
  readonly problem?: string;
}

/** Summaries of all runs below a folder; without such a folder none. A broken log is a summary that says so. */
export async function listRuns(folder: string): Promise<RunSummary[]> {
  const summaries: RunSummary[] = [];
  for (const name of await listRunFolders(folder)) summaries.push(await summarizeRun(join(folder, name)));
  const time = ({ started = "" }: RunSummary) => started;
  return summaries.sort((a, b) => time(a) < time(b) ? 1 : time(a) > time(b) ? -1 : a.id < b.id ? 1 : -1);
}

/** One run's summary. */
export async function summarizeRun(folder: string): Promise<RunSummary> {
  const { bytes, checkpoints } = await measure(folder);
  const files = { folder, bytes, checkpoints };
  const running = await isLocked(folder);
  let run: Run;
  try {
    run = await readRun(folder);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return {
      ...{ id: idOfFolder(folder), name: "", state: running ? "running" : "broken", problem: describeError(error) },
      ...{ epochs: 0, steps: 0, images: 0, figures: {}, incidents: 0, resumes: 0, ...files },
    };
  }
  const { start, steps, validations, end } = run;
  const lastEpoch = steps.at(-1)?.epoch;
  const losses = steps.filter(({ epoch, finite, skipped }) => epoch === lastEpoch && finite && !skipped).map((
    { loss },
  ) => loss);
  const shown = validations.findLast(({ best }) => best) ?? validations.at(-1);
  return {
    ...{ id: run.id, name: start.name, started: start.wall.time, lastTime: run.lastTime, ...files },
    state: running ? "running" : end?.reason ?? "killed",
    epochs: lastEpoch === undefined ? 0 : lastEpoch + 1,
    steps: steps.length,
    images: steps.reduce((sum, { images }) => sum + images, 0),
    ...(losses.length ? { loss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length } : {}),
    figures: shown?.figures ?? {},
    incidents: run.incidents.length,
    resumes: run.resumes.length,
    ...(end?.problem === undefined ? {} : { problem: end.problem }),
  };
}

/** The names of the folders below a folder that hold a log; without such a folder none. */
export async function listRunFolders(folder: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (isDirectory && await exists(join(folder, name, "log.jsonl"))) names.push(name);
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw new InputError(`${folder}: expected a folder of runs, found ${reason(error)}`, { cause: error });
  }
  return names.sort();
}

async function measure(folder: string): Promise<{ bytes: number; checkpoints: number }> {
  let bytes = 0, checkpoints = 0;
  const walk = async (place: string) => {
    for await (const entry of Deno.readDir(place)) {
      const path = join(place, entry.name);
      if (entry.isDirectory) await walk(path);
      else if (entry.isFile) {
        bytes += (await Deno.stat(path).catch(() => undefined))?.size ?? 0; // training may have removed it meanwhile
        const kept = place === checkpointFolder(folder) && entry.name.endsWith(".safetensors");
        if (kept || path === bestCheckpointPath(folder)) checkpoints++;
      }
    }
  };
  await walk(folder);
  return { bytes, checkpoints };
}
