/** What `fit` writes into a run's log: one plain object an event, with everything that a clock measured under `wall`. */

import type { GuardIncident } from "../guard/state.ts";

/** When, and how fast: never the same in two runs. */
export interface Wall {
  /** ISO 8601, UTC. */
  readonly time: string;
}

/** Where in the training something happened. */
interface Place {
  /** Steps that were run before; for what happens between two steps, steps run so far. */
  readonly step: number;
  /** The epoch in progress, from 0; of a validation, the epoch that it follows. */
  readonly epoch: number;
}

/** One optimizer step. */
export interface StepEvent extends Place {
  readonly kind: "step";
  readonly loss: number;
  /** Parts of the loss and whatever else the loss function reports as single numbers. */
  readonly metrics: Readonly<Record<string, number>>;
  readonly learningRate: number;
  readonly gradientNorm: number;
  /** False: the step changed nothing. */
  readonly finite: boolean;
  /** The guard let the step change nothing, though it was finite: it was beyond a limit, or is passed over. */
  readonly skipped?: true;
  readonly images: number;
  readonly wall: Wall & { readonly imagesPerSecond: number };
}

/** One validation. */
export interface ValidationEvent extends Place {
  readonly kind: "validation";
  readonly figures: Readonly<Record<string, number>>;
  /** Whether the monitored figure is the best so far. */
  readonly best: boolean;
  readonly wall: Wall & { readonly seconds: number };
}

/** A checkpoint was written and read back. */
export interface CheckpointEvent extends Place {
  readonly kind: "checkpoint";
  readonly stepInEpoch: number;
  /** Relative to the run's folder. */
  readonly file: string;
  /** Why now; "minutes" was decided by the clock. */
  readonly why: CheckpointReason;
  /** Whether it became the best, in `best/`, too. */
  readonly best: boolean;
  readonly wall: Wall & { readonly seconds: number };
}

/** Why a checkpoint is written. */
export type CheckpointReason = "start" | "epochs" | "steps" | "minutes" | "best" | "rollback" | "end";

/** Something went wrong. */
export interface IncidentEvent extends Place {
  readonly kind: "incident";
  readonly what: "warning" | GuardIncident["what"];
  /** The evidence and what was done, one line. */
  readonly cause: string;
  /** Of the guard: the value that was found and the range that was expected. */
  readonly evidence?: GuardIncident["evidence"];
  /** Of the guard: what was done. A "stop" goes back to the best weights, too. */
  readonly response?: GuardIncident["response"];
  /**
   * Training went back to a checkpoint, as with a `ResumeEvent`: what the log holds from its step on is superseded. `rateFactor`
   * multiplies the schedule's learning rate from here on; steps from `passes[0]` up to, not with, `passes[1]` go by.
   */
  readonly rollback?: NonNullable<GuardIncident["rollback"]>;
  readonly wall: Wall;
}

/** Training goes on from a checkpoint: what the log holds from this step on is superseded by what follows. */
export interface ResumeEvent extends Place {
  readonly kind: "resume";
  readonly stepInEpoch: number;
  /** The checkpoint's name, without its folder; "" where training begins anew without one. */
  readonly file: string;
  /** The run that wrote the checkpoint. */
  readonly from: string;
  readonly wall: Wall;
}

/** Why training stopped. "time budget" and "interrupted" were decided by the clock or a person, "failed" by an error, "guard" by `fit`'s guard. */
export type StopReason = "finished" | "early stop" | "step budget" | "time budget" | "interrupted" | "guard";

/** Training stopped. */
export interface EndEvent extends Place {
  readonly kind: "end";
  readonly reason: StopReason | "failed";
  /** What failed, one line. */
  readonly problem?: string;
  readonly images: number;
  readonly wall: Wall & { readonly seconds: number };
}

/** Any event. */
export type FitEvent =
  | StepEvent
  | ValidationEvent
  | CheckpointEvent
  | IncidentEvent
  | ResumeEvent
  | EndEvent;

/** Takes events in order; `lib/track` keeps them in a file. */
export interface FitLog {
  append(event: FitEvent): void;
  /** Makes sure that all events so far outlive a power cut; called before each checkpoint. */
  flush?(): void;
}
