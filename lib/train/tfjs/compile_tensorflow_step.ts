/** The second engine: the same model, loss and optimizer trained by TensorFlow.js with its own gradients. */

import { Graph } from "../../onnx/mod.ts";
import { Step, type StepOptions } from "../compile_step.ts";
import { TrainError } from "../errors.ts";
import { trainable, type TrainableModel } from "../trainable.ts";
import { startTensorFlow, type TensorFlowBackend, type TensorFlowRuntime } from "./backend.ts";
import { TensorFlowEngine } from "./engine.ts";
import { planTensorFlow, type TensorFlowPlan } from "./plan.ts";

/** Settings of `compileTensorFlowStep`: those of `compileStep` that TensorFlow.js has too. */
export interface TensorFlowStepOptions extends
  Pick<
    StepOptions,
    "model" | "loss" | "optimizer" | "freeze" | "averageDecay" | "accumulate" | "symbols" | "seed"
  > {
  /** Default: the fastest that is installed and starts: node-gpu, node, webgpu, cpu. */
  readonly backend?: TensorFlowBackend;
}

/** A `Step` that TensorFlow.js runs, and which TensorFlow.js that is. */
export class TensorFlowStep extends Step {
  /** Which package and backend were picked, and why not a faster one. */
  readonly engine: Readonly<Omit<TensorFlowRuntime, "tf">>;

  /** @internal use compileTensorFlowStep */
  constructor(
    model: TrainableModel,
    plan: TensorFlowPlan,
    { tf, ...engine }: TensorFlowRuntime,
    seed: string | number,
  ) {
    super(model, { ...plan.step, initial: {} }, new TensorFlowEngine(tf, plan, seed));
    this.engine = engine;
  }
}

/**
 * `compileStep` on TensorFlow.js: for checking gradients against a second implementation, and for those who have its native
 * bindings. The step's graph has no backward part; TensorFlow.js differentiates the forward part itself. It runs on the
 * caller's thread. States can be exchanged with those of `compileStep`. Throws TrainError that names in one line the operators
 * which TensorFlow.js lacks, or why no backend starts.
 */
export async function compileTensorFlowStep(options: TensorFlowStepOptions): Promise<TensorFlowStep> {
  const { model, accumulate = 1, seed = 0 } = options;
  if (!(Number.isInteger(accumulate) && accumulate >= 1)) {
    throw new TrainError(`compileTensorFlowStep: expected accumulate to be a whole number from 1, found ${accumulate}`);
  }
  if (options.freeze !== undefined && !(model instanceof Graph)) {
    throw new TrainError("compileTensorFlowStep: expected freeze to be given to trainable, found it here too");
  }
  const trained = model instanceof Graph ? trainable(model, { freeze: options.freeze }) : model;
  const plan = planTensorFlow({
    model: trained,
    loss: options.loss,
    optimizer: options.optimizer,
    averageDecay: options.averageDecay,
    accumulate,
    symbols: options.symbols ?? {},
  });
  return new TensorFlowStep(trained, plan, await startTensorFlow(options.backend), seed);
}
