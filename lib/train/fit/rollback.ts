/** Which checkpoint of its own run training goes back to. */

import { describeError } from "../../runtime/mod.ts";
import { architectureHash, readCheckpointHead, type TensorSpec } from "../checkpoint.ts";
import { bestCheckpointPath } from "./checkpoint_store.ts";
import { type FitProgress, parseProgress } from "./progress.ts";
import { checkpointPaths, readWhole, type Resume } from "./resume.ts";

/** Settings of `findRollback`. */
export interface RollbackOptions {
  /** The run's folder. */
  readonly folder: string;
  readonly runId: string;
  /** A place within an epoch of another length means another one. */
  readonly stepsPerEpoch: number;
  readonly tensors: readonly TensorSpec[];
  /** Checkpoints of more steps hold what went wrong. */
  readonly upTo: number;
  /** Those of fewer steps first: the one gone back to before did not help. */
  readonly before?: number | undefined;
  /** The best first, whenever it was. */
  readonly toBest?: boolean;
  /** Files that should be there, so that a lost one is told. */
  readonly files: readonly string[];
}

/** What was found. */
export interface RollbackTarget {
  readonly target: Resume | undefined;
  /** One line for each checkpoint that was looked at and is lost, damaged or another's. */
  readonly problems: readonly string[];
  /** The best checkpoint cannot be read any more. */
  readonly bestLost: boolean;
}

/** The newest checkpoint that is whole, by its hash, and from before the trouble; those that are not are passed over. */
export async function findRollback(
  { folder, runId, stepsPerEpoch, tensors, upTo, before = Infinity, toBest = false, files }: RollbackOptions,
): Promise<RollbackTarget> {
  const best = bestCheckpointPath(folder), problems: string[] = [];
  let bestLost = false;
  const fail = (path: string, problem: string) => {
    problems.push(problem);
    bestLost ||= path === best;
  };
  const paths = await checkpointPaths([folder]);
  for (const path of files) {
    if (!paths.includes(path)) fail(path, `${path}: expected a checkpoint, found nothing there`);
  }
  const candidates: { path: string; progress: FitProgress; step: number }[] = [];
  for (const path of paths) {
    try {
      const head = await readCheckpointHead(path), progress = parseProgress(head.progress, path);
      if (progress.runId !== runId || architectureHash(head.tensors) !== architectureHash(tensors)) {
        fail(path, `${path}: expected a checkpoint of this run and architecture, found another's`);
      } else if (progress.stepInEpoch > 0 && progress.stepsPerEpoch !== stepsPerEpoch) {
        fail(path, `${path}: expected an epoch of ${stepsPerEpoch} steps, found one of ${progress.stepsPerEpoch}`);
      } else if (head.step <= upTo || (toBest && path === best)) candidates.push({ path, progress, step: head.step });
    } catch (error) {
      fail(path, describeError(error));
    }
  }
  const rank = ({ path, step }: { path: string; step: number }) => toBest && path === best ? 0 : step < before ? 1 : 2;
  candidates.sort((a, b) =>
    rank(a) - rank(b) || Date.parse(b.progress.savedAt) - Date.parse(a.progress.savedAt) || Number(a.path === best) -
      Number(b.path === best)
  );
  for (const { path } of candidates) {
    try {
      return { target: await readWhole(path), problems, bestLost };
    } catch (error) {
      fail(path, describeError(error));
    }
  }
  return { target: undefined, problems, bestLost };
}
