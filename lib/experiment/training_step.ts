/** The compiled step of a training, from its settings. */

import type { Device } from "../runtime/mod.ts";
import { compileStep, compileTensorFlowStep, nominalBatch, type Step } from "../train/mod.ts";
import type { TrainingConfig } from "./config.ts";
import { optimizerOf } from "./recipe.ts";
import type { TaskNetwork } from "./task/task.ts";

/** Settings of `compileTrainingStep`; as `trainExperiment` has them. */
export interface TrainingStepOptions {
  readonly config: TrainingConfig;
  readonly seed: number;
  /** Default: "cpu". */
  readonly device?: Device;
  /** Default: "onnx". */
  readonly engine?: "onnx" | "tfjs";
  /** CPU threads; default: one a core. */
  readonly threads?: number;
}

/** A step and how many batches one takes. */
export interface TrainingStep {
  readonly step: Step;
  readonly accumulate: number;
}

/** Compiles forward, backward and update of a network as a training's settings say. Throws TrainError for what cannot be. */
export async function compileTrainingStep(
  task: TaskNetwork,
  { config, seed, device = "cpu", engine = "onnx", threads = navigator.hardwareConcurrency }: TrainingStepOptions,
): Promise<TrainingStep> {
  const { batch, nominalBatch: nominal = batch, averageDecay, recompute } = config.training;
  const { accumulate, decayFactor } = nominalBatch({ nominal, batch });
  const shared = {
    model: task.graph,
    loss: task.loss,
    optimizer: optimizerOf(config.optimizer, { decayFactor: nominal === batch ? 1 : decayFactor }),
    accumulate,
    symbols: { N: batch },
    seed,
    ...(averageDecay === undefined ? {} : { averageDecay }),
  };
  const step = engine === "tfjs"
    ? await compileTensorFlowStep(shared)
    : await compileStep({ ...shared, device, threads, recompute });
  return { step, accumulate };
}
