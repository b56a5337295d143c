/** Which checkpoint training goes on from. */

import { join } from "node:path";
import { describeError, exists } from "../../runtime/mod.ts";
import {
  architectureHash,
  type CheckpointHead,
  NewerVersionError,
  readCheckpoint,
  readCheckpointHead,
  type TensorSpec,
} from "../checkpoint.ts";
import type { StepState } from "../compile_step.ts";
import { TrainError } from "../errors.ts";
import { bestCheckpointPath, checkpointFolder, isCheckpointName } from "./checkpoint_store.ts";
import { type FitProgress, parseProgress } from "./progress.ts";

/** A checkpoint to go on from. */
export interface Resume {
  /** Its file. */
  readonly path: string;
  readonly state: StepState;
  readonly progress: FitProgress;
}

/** Settings of `findResume`. */
export interface FindResumeOptions {
  /** The folder of run folders. */
  readonly folder: string;
  /** Further folders to look into: each a folder of run folders, or a run folder itself (a backup). */
  readonly extraFolders?: readonly string[];
  /** The run to go on with; without one the newest of all. */
  readonly runId?: string | undefined;
  /** `step.tensors`: what the checkpoint has to fit. */
  readonly tensors: readonly TensorSpec[];
  /** Told of each checkpoint that is passed over, one line each. */
  readonly warn?: (message: string) => void;
}

/** Settings of `chooseResume`. */
export interface ChooseResumeOptions extends FindResumeOptions {
  /** "auto", or the path of a checkpoint, a run folder or a folder of checkpoints. Default: begin a new run. */
  readonly resume?: string | undefined;
  /** Begin a new run, whatever checkpoints there are. */
  readonly forceNewRun?: boolean;
}

/** What `--resume` and `--force-new-run` ask for; undefined: a new run. Throws TrainError as `findResume` and `readResume`. */
export async function chooseResume(
  { resume, forceNewRun = false, ...options }: ChooseResumeOptions,
): Promise<Resume | undefined> {
  if (forceNewRun && resume !== undefined && resume !== "auto") {
    throw new TrainError(`resume: expected either a checkpoint or force-new-run, found both ("${resume}")`);
  }
  if (forceNewRun || resume === undefined) return undefined;
  return resume === "auto" ? await findResume(options) : await readResume(resume, options);
}

/**
 * Scans run folders for the newest checkpoint that is whole. Those of the run asked for come first; when it has none, the
 * newest of another run with the same architecture is taken, with a warning. Checkpoints that are cut or damaged, and other
 * runs' that do not fit, are passed over with a warning. Undefined when there is nothing to go on from. Throws TrainError
 * when the newest checkpoint of the run asked for is of another architecture or a newer version, or when all it has are
 * damaged and no other run's fits.
 */
export async function findResume(
  { folder, extraFolders = [], runId, tensors, warn = () => {} }: FindResumeOptions,
): Promise<Resume | undefined> {
  const candidates: Candidate[] = [];
  const foreign: string[] = []; // what is wrong with other runs is told only when one of them is needed
  let damaged = 0;
  for (const path of await checkpointPaths([folder, ...extraFolders])) {
    // A damaged head does not tell its run; its folder does.
    const named = runId !== undefined && path.split(/[\\/]/).includes(runId);
    try {
      const head = await readCheckpointHead(path);
      candidates.push({ path, head, progress: parseProgress(head.progress, path) });
    } catch (error) {
      if (named && error instanceof NewerVersionError) throw error;
      if (named) damaged++;
      (named ? warn : (message: string) => foreign.push(message))(describeError(error));
    }
  }
  candidates.sort((a, b) => Date.parse(b.progress.savedAt) - Date.parse(a.progress.savedAt));
  const own = candidates.filter(({ progress }) => progress.runId === runId);
  const others = candidates.filter(({ progress }) => progress.runId !== runId);
  for (const candidate of own) {
    expectArchitecture(candidate, tensors);
    const resume = await readWhole(candidate.path).catch((error) => warn(describeError(error)));
    if (resume) return resume;
    damaged++;
  }
  foreign.forEach(warn);
  const unfit = new Set<string>();
  for (const candidate of others) {
    const { path, progress } = candidate;
    if (unfit.has(progress.runId)) continue;
    try {
      expectArchitecture(candidate, tensors);
      const resume = await readWhole(path);
      if (runId === undefined) return resume;
      warn(
        `resume: expected a checkpoint of run ${runId}, found none that is whole; going on with ${path} of run ${progress.runId}`,
      );
      return resume;
    } catch (error) {
      if (error instanceof ArchitectureError) unfit.add(progress.runId);
      warn(describeError(error));
    }
  }
  if (damaged > 0) {
    throw new TrainError(
      `resume: expected a whole checkpoint of run ${runId}, found ${damaged} damaged and no other; force-new-run begins anew`,
    );
  }
  return undefined;
}

/**
 * Reads the checkpoint to go on from: a file, or the newest whole one of a run folder or folder of checkpoints. Throws
 * TrainError when there is none, or it is damaged, of a newer version or of another architecture.
 */
export async function readResume(
  path: string,
  { tensors, warn = () => {} }: Pick<FindResumeOptions, "tensors" | "warn">,
): Promise<Resume> {
  const stat = await Deno.stat(path).catch(() => undefined);
  if (!stat) throw new TrainError(`${path}: expected a checkpoint or the folder of a run, found nothing there`);
  if (stat.isDirectory) {
    const found = await findResume({ folder: path, tensors, warn });
    if (found) return found;
    throw new TrainError(`${path}: expected a checkpoint that fits in this folder, found none`);
  }
  const head = await readCheckpointHead(path);
  expectArchitecture({ path, head, progress: parseProgress(head.progress, path) }, tensors);
  return await readWhole(path);
}

/** The error for a checkpoint of another model or optimizer. */
export class ArchitectureError extends TrainError {
  override name = "ArchitectureError";
}

interface Candidate {
  readonly path: string;
  readonly head: CheckpointHead;
  readonly progress: FitProgress;
}

/** Reads a checkpoint of `fit`. Throws as `readCheckpoint`. */
export async function readWhole(path: string): Promise<Resume> {
  const { state, progress } = await readCheckpoint(path);
  return { path, state, progress: parseProgress(progress, path) };
}

/** Throws ArchitectureError that names the first tensor in which checkpoint and step differ. */
function expectArchitecture({ path, head }: Candidate, tensors: readonly TensorSpec[]): void {
  if (architectureHash(head.tensors) === architectureHash(tensors)) return;
  const text = (spec: TensorSpec | undefined) =>
    spec ? `"${spec.name}" ${spec.dtype} [${spec.shape.join(", ")}]` : "no such tensor";
  const byName = new Map(head.tensors.map((spec) => [spec.name, spec]));
  const names = new Set(tensors.map(({ name }) => name));
  const wanted = tensors.find((spec) => text(byName.get(spec.name)) !== text(spec));
  const surplus = head.tensors.find(({ name }) => !names.has(name));
  const [expected, found] = wanted ? [text(wanted), text(byName.get(wanted.name))] : ["no more tensors", text(surplus)];
  throw new ArchitectureError(
    `${path}: expected a checkpoint of this architecture and optimizer, with ${expected}, found another's with ${found}`,
  );
}

/** All checkpoint files of the folders: in run folders, or in the folder itself. */
export async function checkpointPaths(folders: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  for (const folder of folders) {
    for (const run of [folder, ...await folderNames(folder)]) {
      for (const place of [checkpointFolder(run), ...(run === folder ? [run] : [])]) {
        for (const name of await names(place)) if (isCheckpointName(name)) found.add(join(place, name));
      }
      if (await exists(bestCheckpointPath(run))) found.add(bestCheckpointPath(run));
    }
  }
  return [...found];
}

/** Whether run folders hold any checkpoint, whole or not. */
export async function hasCheckpoints(runFolders: readonly string[]): Promise<boolean> {
  return (await checkpointPaths(runFolders)).length > 0;
}

async function folderNames(folder: string): Promise<string[]> {
  return (await entries(folder)).filter((entry) => entry.isDirectory).map(({ name }) => join(folder, name)).sort();
}

async function names(folder: string): Promise<string[]> {
  return (await entries(folder)).filter((entry) => entry.isFile).map(({ name }) => name).sort();
}

async function entries(folder: string): Promise<Deno.DirEntry[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return [];
    throw error;
  }
}
