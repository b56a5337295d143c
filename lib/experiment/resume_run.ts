/** Which run a training goes on with, and from which checkpoint. */

import { dirname, join } from "node:path";
import { describeError, exists, WorkError } from "../runtime/mod.ts";
import { listRuns, readRun } from "../track/mod.ts";
import {
  copyRun,
  findResume,
  hasCheckpoints,
  readResume,
  type Resume,
  type TensorSpec,
  TrainError,
} from "../train/mod.ts";

/** Settings of `chooseRun`. */
export interface ChooseRunOptions {
  /** The folder of run folders. */
  readonly runsFolder: string;
  /** What runs of these settings are named. */
  readonly name: string;
  /** "auto", a checkpoint, a run's folder, or undefined for a new run. */
  readonly resume?: string | undefined;
  readonly forceNewRun?: boolean;
  /** Further folders of run folders, such as a backup. */
  readonly extraFolders?: readonly string[];
  readonly tensors: readonly TensorSpec[];
  /** What a finished run has in its folder. Default: "model.json". */
  readonly finished?: string;
  readonly warn?: (message: string) => void;
}

/** A run that is gone on with; without a checkpoint it begins anew. */
export interface ChosenRun {
  readonly id: string;
  readonly resume: Resume | undefined;
}

/**
 * The run to go on with; undefined: begin a new one. "auto" takes the newest run of that name that has no model yet, and of its
 * checkpoints the newest that is whole; where it has none that fits, the next older such run, with a warning, and an error where
 * none of them has one. A run that was
 * killed before its first checkpoint begins anew under its id. A path is a checkpoint, or the folder of a run. What lies in
 * another folder is first copied among the runs. Throws TrainError as `findResume` and `readResume`.
 */
export async function chooseRun(
  {
    runsFolder,
    name,
    resume,
    forceNewRun = false,
    extraFolders = [],
    tensors,
    finished = "model.json",
    warn = () => {},
  }: ChooseRunOptions,
): Promise<ChosenRun | undefined> {
  if (forceNewRun && resume !== undefined && resume !== "auto") {
    throw new TrainError(`--resume: expected either a checkpoint or --force-new-run, found both ("${resume}")`);
  }
  if (forceNewRun || resume === undefined) return undefined;
  if (resume !== "auto") return await fromPath(resume, { runsFolder, tensors, warn });
  let unfit: unknown;
  const ids = await unfinishedRuns([runsFolder, ...extraFolders], { name, finished });
  for (const [index, id] of ids.entries()) {
    const places = [runsFolder, ...extraFolders].map((folder) => join(folder, id));
    if (!(await exists(places[0]!))) await bringBack(places, join(runsFolder, id), warn);
    const [folder, ...others] = places;
    const own = { folder: folder!, extraFolders: others, runId: id, tensors, warn };
    const isLast = index === ids.length - 1;
    const found = await findResume(own).catch((error) => {
      if (!(error instanceof TrainError)) throw error;
      unfit ??= error;
      if (!isLast) warn(describeError(error));
      return undefined;
    });
    if (found) return { id, resume: found };
    // Where there are checkpoints that cannot be used, no run is begun anew in silence, this one or an older one.
    if (!unfit && await hasCheckpoints(places)) {
      unfit = new TrainError(
        `${folder}: expected a checkpoint that fits, found only others; --force-new-run begins anew`,
      );
    }
    if (isLast && unfit) throw unfit;
    if (isLast) return { id, resume: undefined };
    warn(`${folder}: expected a checkpoint to go on from, found none; looking at ${ids[index + 1]}`);
  }
  return undefined;
}

async function fromPath(
  path: string,
  { runsFolder, tensors, warn }: {
    runsFolder: string;
    tensors: readonly TensorSpec[];
    warn: (message: string) => void;
  },
): Promise<ChosenRun> {
  // A run's own folder: what is wrong with its newest checkpoint is then the error, not a warning.
  const own = await exists(join(path, "log.jsonl")) ? (await readRun(path)).id : undefined;
  const resume = own === undefined
    ? await readResume(path, { tensors, warn })
    : await findResume({ folder: path, runId: own, tensors, warn });
  if (!resume) throw new TrainError(`${path}: expected a checkpoint to go on from, found none`);
  const id = resume.progress.runId;
  if (id === "") throw new TrainError(`${resume.path}: expected a checkpoint of a run, found one without a run`);
  const home = join(runsFolder, id), origin = dirname(dirname(resume.path));
  if (!(await exists(home)) && await exists(join(origin, "log.jsonl"))) await bringBack([home, origin], home, warn);
  return { id, resume };
}

/** Copies a run from the first other place that has it. */
async function bringBack(places: readonly string[], home: string, warn: (message: string) => void): Promise<void> {
  for (const place of places) {
    if (place === home || !(await exists(join(place, "log.jsonl")))) continue;
    await copyRun(place, home);
    warn(`${home}: expected the run there, found it in ${place} only; copied back`);
    return;
  }
  throw new WorkError(`${home}: expected the run there or in a further folder, found it in none`);
}

/** Ids of runs of a name without a model, the newest first. */
async function unfinishedRuns(
  folders: readonly string[],
  { name, finished: file }: { readonly name: string; readonly finished: string },
): Promise<string[]> {
  const started = new Map<string, string>();
  const finished = new Set<string>();
  for (const folder of folders) {
    for (const run of await listRuns(folder)) {
      if (run.name !== name || run.started === undefined) continue;
      started.set(run.id, run.started);
      if (await exists(join(run.folder, file))) finished.add(run.id);
    }
  }
  return [...started].filter(([id]) => !finished.has(id))
    .sort(([idA, a], [idB, b]) => a < b ? 1 : a > b ? -1 : idA < idB ? 1 : -1).map(([id]) => id);
}
