/** The settings of fine-tuning and what it gives. */

import type { Graph } from "../../onnx/mod.ts";
import type { Device, Tensor } from "../../runtime/mod.ts";
import type { FitOptions, FitResult, NamePattern, Optimizer, RateMultiplier, Schedule, Step } from "../../train/mod.ts";
import type { LearnedContext } from "./context.ts";
import type { Examples } from "./examples.ts";
import type { LowRankAdapters, LowRankOptions } from "./low_rank.ts";
import type { PromptTokens, TowerKind } from "./tower.ts";

/** ONNX files (or graphs) of a CLIP's towers. One that is not there is not run. */
export interface TowerFiles {
  readonly image?: string | Graph;
  readonly text?: string | Graph;
}

/** What is left to say to `fit`: validation, checkpoints, resume, log, signal, guard. */
export type FitSettings = Omit<FitOptions, "step" | "epochs" | "stepsPerEpoch" | "batches" | "schedule">;

/** What all methods take. */
export interface TuningOptions {
  /** Pictures, or cached features where the image tower stays as it is. */
  readonly examples: Examples;
  /** A text of each class, for its embedding by the text tower. */
  readonly prompts?: PromptTokens;
  /** The classes' text embeddings [C, D], where there is no text tower or it stays as it is. */
  readonly prototypes?: Tensor<"float32">;
  /**
   * "classes" (default): cross-entropy against the classes' texts. "pairs": each picture with its own text (its class's prompt
   * unless the batch brings others) against all of the batch, in both directions; two pictures of one class in a batch
   * count as strangers then.
   */
  readonly objective?: "classes" | "pairs";
  /** What cosines are multiplied by. Default: 100, CLIP's. */
  readonly logitScale?: number;
  /**
   * How many classes a step's loss compares, where the text tower runs in each step: those of its pictures, and others drawn
   * evenly. Default: all. What the backward pass needs of all texts is kept, counted by operators about 30 · layers · T · W
   * numbers a text: 57 MB with CLIP's own text tower (12 layers, 77 tokens, width 512), so that 1,025 classes at once are for
   * small towers and short texts, and 32 to 128 for large ones.
   */
  readonly classesPerStep?: number;
  /** Default: 10. */
  readonly epochs?: number;
  /** Of cached features. Default: 32. */
  readonly batchSize?: number;
  /** The highest rate. Default: 0.002 for "coop", 2e-4 for "lora", 1e-5 for "full". */
  readonly learningRate?: number;
  /** Default: a rise over a tenth of the steps, then half a cosine to 0. */
  readonly schedule?: Schedule;
  /** Default: SGD with momentum 0.9 and decay 5e-4 for "coop" (Zhou et al. 2022), else AdamW. */
  readonly optimizer?: Optimizer;
  /** Decides the starting values, the order of examples and the classes drawn. Default: 0. */
  readonly seed?: string | number;
  readonly device?: Device;
  readonly threads?: number;
  /** Default: true. */
  readonly worker?: boolean;
  /** Told the compiled step, whose `tensors` a resume is looked for with. */
  readonly fit?: (step: Step) => FitSettings | Promise<FitSettings>;
}

/** Learned context before the class's name. */
export interface ContextTuning extends TuningOptions {
  readonly method: "coop";
  readonly context?: {
    /** Vectors: M. The prompts have as many placeholders from `start` on. Default: 16. */
    readonly length?: number;
    /** Default: 1, after a begin token. */
    readonly start?: number;
    /** Each class has vectors of its own. Default: false, one set for all. */
    readonly perClass?: boolean;
  };
}

/** Low-rank adapters beside attention's matrices. */
export interface LowRankTuning extends TuningOptions {
  readonly method: "lora";
  readonly lora?: LowRankOptions & {
    /** Default: those that are given. */
    readonly towers?: readonly TowerKind[];
  };
}

/** All weights. */
export interface FullTuning extends TuningOptions {
  readonly method: "full";
  /** Towers that are trained. Default: those that are given. */
  readonly towers?: readonly TowerKind[];
  /** Weights that stay, by their names with the tower's before them: "image/*", /token_embedding/. */
  readonly freeze?: NamePattern | readonly NamePattern[];
  /** Factors of the learning rate by weight's name, for the default optimizer: `[{ pattern: "text/*", factor: 0.1 }]`. */
  readonly rates?: readonly RateMultiplier[];
  /** Learn the scale too, as its logarithm, up to 100 (Radford et al. 2021, section 2.5). Default: false. */
  readonly learnLogitScale?: boolean;
}

/** Settings of `fineTune`. */
export type FineTuneOptions = ContextTuning | LowRankTuning | FullTuning;

/** How training went. */
export interface Tuned {
  readonly fit: FitResult;
  /** The loss of each step of this call, before its update. */
  readonly losses: readonly number[];
}

export interface ContextTuned extends Tuned {
  readonly method: "coop";
  readonly context: LearnedContext;
}

export interface LowRankTuned extends Tuned {
  readonly method: "lora";
  readonly adapters: readonly LowRankAdapters[];
  /** The towers with their adapters merged: ready for `toFile`. */
  readonly towers: Readonly<Partial<Record<TowerKind, Graph>>>;
}

export interface FullTuned extends Tuned {
  readonly method: "full";
  /** The trained towers: ready for `toFile`. */
  readonly towers: Readonly<Partial<Record<TowerKind, Graph>>>;
  readonly logitScale: number;
}

/** What a method gives. */
export type FineTuned<O extends FineTuneOptions> = O extends ContextTuning ? ContextTuned
  : O extends LowRankTuning ? LowRankTuned
  : FullTuned;
