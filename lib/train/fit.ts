/**
 * The fit loop: epochs of steps, validation, checkpoints, until there is a reason to stop. Batches depend on epoch and step,
 * dropout on the step, all else is in the checkpoint: so training that was killed and resumed gives the same bits.
 */

import type { ProgressListener } from "../runtime/mod.ts";
import type { Step, StepResult } from "./compile_step.ts";
import { TrainError } from "./errors.ts";
import type { BatchSource } from "./fit/batches.ts";
import type { CheckpointStoreOptions } from "./fit/checkpoint_store.ts";
import type { FitLog, StopReason } from "./fit/events.ts";
import { goesBack, type GuardOptions, guardSettings } from "./guard/options.ts";
import type { GuardIncident } from "./guard/state.ts";
import { FitLoop } from "./fit/loop.ts";
import type { Monitor } from "./fit/monitor.ts";
import type { Best } from "./fit/progress.ts";
import type { Resume } from "./fit/resume.ts";
import type { Schedule } from "./schedules.ts";

/** Settings of `fit`. */
export interface FitOptions {
  /** From `compileStep` (or `compileTensorFlowStep`), not run before. */
  readonly step: Step;
  readonly epochs: number;
  readonly stepsPerEpoch: number;
  readonly batches: BatchSource;
  /** The learning rate by step, counted over all epochs. */
  readonly schedule: Schedule;
  readonly validation?: Validation;
  readonly budget?: Budget;
  /** Default: no checkpoints. */
  readonly checkpoints?: CheckpointPlan;
  /**
   * Looks for a collapse and turns it away: `guard: {}` for the defaults. Without it only steps that are not finite are looked
   * at. Needs checkpoints where it may go back to one.
   */
  readonly guard?: GuardOptions | undefined;
  /** From `chooseResume`, `findResume` or `readResume`. */
  readonly resume?: Resume | undefined;
  /** Names the run in its checkpoints. Default: "". */
  readonly runId?: string;
  /** `configHash` of the settings: a resume with others is noted in the log. Default: "". */
  readonly configHash?: string;
  readonly log?: FitLog;
  readonly callbacks?: readonly FitCallbacks[];
  readonly onProgress?: ProgressListener;
  /** When it is aborted, the step in progress is finished, a checkpoint written, and training stops. */
  readonly signal?: AbortSignal;
  /** Training fails after so many steps in a row that were not finite. Default: 10. */
  readonly maxNonFinite?: number;
  /** More that a checkpoint has to hold, as JSON: the state of a curriculum. */
  readonly custom?: { save(): unknown; load(saved: unknown): void };
  /** Told of what is odd and goes on. */
  readonly warn?: (message: string) => void;
  /** Milliseconds since 1970. Default: `Date.now`. */
  readonly now?: () => number;
}

/** How the weights are tried on pictures that are not trained on. */
export interface Validation {
  /**
   * Returns figures by name. It should look at the signal now and then and throw when that is aborted: then the validation
   * is made anew after the resume.
   */
  readonly run: (place: { epoch: number; step: number; signal: AbortSignal }) => Promise<Record<string, number>>;
  /** After every so many epochs, and after the last. Default: 1. */
  readonly every?: number;
  /** Decides the best. Without it no validation is better than another. */
  readonly monitor?: Monitor;
  /** How many it looks at: of few, the guard takes no fall for a collapse that chance explains. Default: many. */
  readonly pictures?: number;
  /** Stop after so many validations in a row that were not better than the best. Default: never. */
  readonly patience?: number;
}

/** When training stops before its last epoch, cleanly and with a checkpoint. */
export interface Budget {
  /** Steps over all epochs, those before a resume included. */
  readonly steps?: number;
  /** Seconds of this call. The clock decides only where to stop, never what a step does. */
  readonly seconds?: number;
}

/** Where and when checkpoints are written; always one at the end, and the best. */
export interface CheckpointPlan extends CheckpointStoreOptions {
  /** Default: 10. */
  readonly everyEpochs?: number;
  /** Also within epochs. Default: never. */
  readonly everySteps?: number;
  /** Also within epochs, by the clock. Default: never. */
  readonly everyMinutes?: number;
}

/** Called in order, and waited for. What they throw ends training. */
export interface FitCallbacks {
  onStep?(event: { result: StepResult; epoch: number; images: number; imagesPerSecond: number }): void | Promise<void>;
  /** After the epoch's validation; `loss` is the mean over the steps that were applied. */
  onEpoch?(event: { epoch: number; step: number; loss: number }): void | Promise<void>;
  onValidation?(
    event: { epoch: number; step: number; figures: Readonly<Record<string, number>>; best: boolean },
  ): void | Promise<void>;
  onCheckpoint?(event: { path: string; epoch: number; step: number; best: boolean }): void | Promise<void>;
  /** Last, also when training fails. */
  onEnd?(event: { reason: StopReason | "failed" }): void | Promise<void>;
}

/** What `fit` tells at the end. */
export interface FitResult {
  readonly reason: StopReason;
  /** Epochs that were finished. */
  readonly epochs: number;
  readonly step: number;
  /** Images trained on. */
  readonly images: number;
  readonly best: Best | null;
  /** Figures of the last validation. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Steps that were not finite. */
  readonly nonFinite: number;
  /** Steps that were finite and not applied, because the guard's limits forbade it. */
  readonly skipped: number;
  /** What the guard found and did, the newest 100. */
  readonly incidents: readonly GuardIncident[];
  /** What the guard's rollbacks have made of the learning rate: the schedule's times this. */
  readonly rateFactor: number;
  /** The guard ended training and found nothing to go back to: the step's weights are not to be used. */
  readonly spoilt: boolean;
  /** Time in training, what lay before a resume included. */
  readonly seconds: number;
  /** The last checkpoint, relative to the run's folder. */
  readonly checkpoint?: string;
}

/**
 * Trains. Throws TrainError for options, batches or a checkpoint that do not fit, for a source of batches that ends too
 * early, and for too many steps in a row that were not finite; WorkError when a checkpoint cannot be written. With a guard a
 * collapse is no error: training ends with "guard" and the best weights when going back does not help.
 */
export async function fit(options: FitOptions): Promise<FitResult> {
  checkOptions(options);
  using loop = await FitLoop.open(options);
  return await loop.run();
}

function checkOptions({ step, epochs, stepsPerEpoch, resume, ...options }: FitOptions): void {
  const whole = (name: string, value: number | undefined) => {
    if (value !== undefined && !(Number.isInteger(value) && value >= 1)) {
      throw new TrainError(`fit: ${name}: expected a whole number from 1, found ${value}`);
    }
  };
  const { validation, budget, checkpoints, maxNonFinite } = options;
  whole("epochs", epochs);
  whole("stepsPerEpoch", stepsPerEpoch);
  whole("validation.every", validation?.every);
  whole("validation.patience", validation?.patience);
  whole("validation.pictures", validation?.pictures);
  whole("budget.steps", budget?.steps);
  whole("maxNonFinite", maxNonFinite);
  whole("checkpoints.keep", checkpoints?.keep);
  whole("checkpoints.everyEpochs", checkpoints?.everyEpochs);
  whole("checkpoints.everySteps", checkpoints?.everySteps);
  for (const [name, value] of [["budget.seconds", budget?.seconds], ["everyMinutes", checkpoints?.everyMinutes]]) {
    if (value !== undefined && !(Number(value) > 0)) {
      throw new TrainError(`fit: ${name}: expected a number above 0, found ${value}`);
    }
  }
  if (options.guard && !checkpoints && goesBack(guardSettings(options.guard))) {
    throw new TrainError("fit: guard: expected checkpoints to go back to, or no response that does, found neither");
  }
  if (validation?.patience !== undefined && !validation.monitor) {
    throw new TrainError("fit: patience: expected a monitor that says what is better, found none");
  }
  if (!resume && step.step !== 0) {
    throw new TrainError(
      `fit: expected a step that has not run or a checkpoint to go on from, found one after ${step.step} steps`,
    );
  }
}
