/** Sweeps: many trainings of varied settings, compared on validation. */

export { halvingRungs, type Rung } from "./halving.ts";
export type { TrialEntry } from "./log.ts";
export type { AblationDifference, SweepResult, VariantResult } from "./results.ts";
export { runSweep, type RunTrial, type SweepOptions, type TrialOutcome, type TrialTask } from "./run_sweep.ts";
export { readSweepConfig, type SweepConfig, sweepConfigSchema } from "./settings.ts";
export { datasetIdentity, trainTrials, type TrainTrialsOptions } from "./train_trial.ts";
export { planTrials, type Trial } from "./trials.ts";
