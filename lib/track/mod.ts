/** Runs: the log of each, which is the truth, and reading, listing, comparing and removing them. */

export { describeEnvironment, type Environment } from "./environment.ts";
export { type LogEntry, parseEntry, type StartEntry } from "./entries.ts";
export { compareRuns, type RunComparison, type RunSeries } from "./compare_runs.ts";
export { findRun } from "./find_run.ts";
export { listRunFolders, listRuns, type RunState, type RunSummary, summarizeRun } from "./list_runs.ts";
export { type PruneOptions, type PruneReport, pruneRuns } from "./prune_runs.ts";
export { lossesOf, readLog, readRun, type Run } from "./read_run.ts";
export { createRun, openRun, RunLog, type RunOptions, startRun } from "./run_log.ts";
export { configHash, runId, type RunIdOptions } from "./run_id.ts";
