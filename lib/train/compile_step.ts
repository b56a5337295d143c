/** A training step compiled from a model, a loss and an optimizer. */

import { Graph, type Tensor } from "../onnx/mod.ts";
import type { Device } from "../runtime/mod.ts";
import { type Batch, checkBatch, nonFiniteElement, splitBatch } from "./batch.ts";
import type { TensorSpec } from "./checkpoint.ts";
import { TrainError } from "./errors.ts";
import type { Optimizer } from "./optimizer.ts";
import type { NamePattern } from "./patterns.ts";
import { StepEngine, type StepHost, type StepLimits, type StepOutcome, type WeightSource } from "./step_engine.ts";
import { type LossContext, type LossResult, planStep, type Slot, type StepPlan } from "./step_plan.ts";
import { RemoteStep } from "./step_worker.ts";
import { trainable, TrainableModel } from "./trainable.ts";

/** Settings of `compileStep`. */
export interface StepOptions {
  /** An inference graph (of which all parameters are trained but those in `freeze`), or what `trainable` made. */
  readonly model: Graph | TrainableModel;
  /** Writes the loss: `({ output, input }) => crossEntropy(output("logits"), input("labels", "int64", ["N"]))`. */
  readonly loss: (context: LossContext) => LossResult;
  readonly optimizer: Optimizer;
  /** Parameters that stay as they are. Only with a Graph as model. */
  readonly freeze?: NamePattern | readonly NamePattern[];
  /** Keep a moving average of weights and statistics with this decay (usual: 0.999 … 0.9999). Default: none. */
  readonly averageDecay?: number;
  /** A step takes its batch in so many parts, to need less memory. Default: 1. */
  readonly accumulate?: number;
  /** Numbers for symbols of the model's input shapes, e.g. `{ N: 32 }`. Default: sizes stay open. */
  readonly symbols?: Readonly<Record<string, number>>;
  /** Names of values to keep for the backward pass; what lies before is computed a second time, to need less memory. */
  readonly recompute?: readonly string[];
  /**
   * Take maxima before batch normalisations and activations that keep the order, which then have less to do (`poolFirst`
   * of lib/autodiff): the same up to rounding. Default: true where nothing is named in `recompute`.
   */
  readonly poolFirst?: boolean;
  /** Default: "cpu". */
  readonly device?: Device;
  /** CPU threads; default: one a physical core. */
  readonly threads?: number;
  /** Run in a worker, so that the caller's thread stays free. Default: true. */
  readonly worker?: boolean;
  /** Seeds dropout. Default: 0. */
  readonly seed?: string | number;
  /**
   * Keep ONNX Runtime's memory between steps. Default: true. False gives it back (a CNN at 224 px, batch 16: 490 instead of
   * 780 MB between steps, 850 at the peak either way), and takes it anew in each step.
   */
  readonly arena?: boolean;
  /** Write an operator profile to a file whose name begins so; finished by `dispose`. */
  readonly profile?: string;
}

/** What a step reports. */
export interface StepResult {
  /** Before the update; the mean over micro-batches. */
  readonly loss: number;
  /** The length of all gradients taken as one vector, before clipping. */
  readonly gradientNorm: number;
  /** False: the loss or a gradient was NaN or infinite, and the step changed nothing. */
  readonly finite: boolean;
  /** False: the step changed nothing but the count of steps: it was not finite, or beyond a limit. */
  readonly applied: boolean;
  /** Why the step was not applied, in one line; undefined when it was. */
  readonly problem?: string;
  /** The rate that was applied (unless the step was not). */
  readonly learningRate: number;
  /** How many steps were run before, those that were not applied included. */
  readonly step: number;
  /** One element: a number; the last micro-batch's. */
  readonly metrics: Readonly<Record<string, number | Tensor>>;
}

/** With what a step is taken. */
export interface RunOptions extends StepLimits {
  readonly learningRate: number;
}

/** All that training needs to go on from. */
export interface StepState {
  /** How many steps were run. */
  readonly step: number;
  /** Weights, statistics, optimizer state and averages by name. */
  readonly tensors: Readonly<Record<string, Tensor>>;
}

/**
 * Compiles a training step: one ONNX Runtime session for forward, backward, accumulation, clipping, optimizer and moving
 * average. Throws TrainError, AutodiffError or OnnxError, naming the place, for what cannot be trained; WorkError when the
 * device is not there.
 */
export async function compileStep(options: StepOptions): Promise<Step> {
  const { model, accumulate = 1, device = "cpu", worker = true, threads, profile, arena = true, seed = 0 } = options;
  if (!(Number.isInteger(accumulate) && accumulate >= 1)) {
    throw new TrainError(`compileStep: expected accumulate to be a whole number from 1, found ${accumulate}`);
  }
  if (options.freeze !== undefined && !(model instanceof Graph)) {
    throw new TrainError("compileStep: expected freeze to be given to trainable, found it here too");
  }
  const trained = model instanceof Graph ? trainable(model, { freeze: options.freeze }) : model;
  const plan = planStep({
    model: trained,
    loss: options.loss,
    optimizer: options.optimizer,
    averageDecay: options.averageDecay,
    accumulate,
    symbols: options.symbols ?? {},
    recompute: options.recompute ?? [],
    poolFirst: options.poolFirst ?? (options.recompute ?? []).length === 0,
    device,
  });
  const host = await (worker ? RemoteStep : StepEngine).open(plan, { device, threads, seed, profile, arena });
  return new Step(trained, {
    ...plan,
    initial: {},
    model: new Uint8Array(),
    update: undefined,
    inference: new Uint8Array(),
  }, host);
}

/** A compiled step with its weights and optimizer state. Calls run one after another, in the order they are made. */
export class Step implements AsyncDisposable {
  readonly #model: TrainableModel;
  readonly #plan: StepPlan;
  readonly #host: StepHost;
  #step = 0;
  #last: Promise<unknown> = Promise.resolve();
  #disposed = false;

  /** @internal use compileStep */
  constructor(model: TrainableModel, plan: StepPlan, host: StepHost) {
    this.#model = model;
    this.#plan = plan;
    this.#host = host;
  }

  /** How many steps were run. */
  get step(): number {
    return this.#step;
  }

  /** Whether a moving average of the weights is kept. */
  get averaged(): boolean {
    return this.#plan.slots.some(({ role }) => role === "average");
  }

  /** What a state of this step holds, without the elements. */
  get tensors(): readonly TensorSpec[] {
    return this.#kept().map(({ name, dtype, shape }) => ({ name, dtype, shape }));
  }

  /**
   * Trains on one batch: a tensor for each input of the model and the loss. With `accumulate` the batch is split along the
   * first dimension of all its tensors, or given in parts. A step whose loss or gradient is not finite, or whose loss or
   * gradients' length is beyond a limit, changes nothing but the count of steps, bit for bit, on every device and engine.
   * Throws TrainError for a batch, learning rate or limit that does not fit.
   */
  run(batch: Batch | readonly Batch[], { learningRate, ...limits }: RunOptions): Promise<StepResult> {
    return this.#queue(async () => {
      if (!(Number.isFinite(learningRate) && learningRate >= 0)) {
        throw new TrainError(`step: expected a learning rate from 0, found ${learningRate}`);
      }
      for (const [name, limit] of Object.entries(limits)) {
        if (Number.isNaN(limit)) throw new TrainError(`step: ${name}: expected a number, found NaN`);
      }
      const { accumulate, inputs } = this.#plan;
      const batches = Array.isArray(batch) ? batch as readonly Batch[] : splitBatch(batch as Batch, accumulate);
      if (batches.length !== accumulate) {
        throw new TrainError(`step: expected ${accumulate} micro-batches, found ${batches.length}`);
      }
      for (const part of batches) checkBatch(part, inputs);
      const outcome = await this.#host.run(batches, learningRate, this.#step, limits);
      const metrics = Object.fromEntries(
        Object.entries(outcome.metrics).map(([name, found]) => [
          name,
          found.data.length === 1 ? Number(found.data[0]) : found,
        ]),
      );
      const problem = outcome.applied ? {} : { problem: problemOf(batches, outcome, this.#step, limits) };
      return { ...outcome, ...problem, learningRate, step: this.#step++, metrics };
    });
  }

  /** The model's outputs for a batch of its inputs, with the weights as they are now or their moving average. */
  evaluate(batch: Batch, { weights = "current" }: { weights?: WeightSource } = {}): Promise<Record<string, Tensor>> {
    this.#expectAverage(weights);
    return this.#queue(() => {
      checkBatch(batch, this.#model.graph.inputs.map(({ name, dtype, shape }) => ({ name, dtype, shape })));
      return this.#host.evaluate(batch, weights);
    });
  }

  /** Copies of the trained weights and running statistics, by their names in the model. */
  async parameters({ weights = "current" }: { weights?: WeightSource } = {}): Promise<Record<string, Tensor>> {
    this.#expectAverage(weights);
    const slots = this.#plan.slots.filter(({ role }) => role === "parameter" || role === "statistic");
    const stored = (name: string) => weights === "average" ? `average/${name}` : name;
    const found = await this.#queue(() => this.#host.read(slots.map(({ name }) => stored(name))));
    return Object.fromEntries(slots.map(({ name }) => [name, found[stored(name)]!]));
  }

  /** How far the moving average of the parameters is from them: ‖average − current‖ / ‖current‖, all taken as one vector. */
  async averageDistance(): Promise<number> {
    this.#expectAverage("average");
    return await this.#queue(() => this.#host.averageDistance());
  }

  /** The inference graph with the weights as they are now or their moving average: ready for `toFile`. */
  async model({ weights = "current" }: { weights?: WeightSource } = {}): Promise<Graph> {
    const tensors = await this.parameters({ weights });
    const { graph } = this.#model;
    for (const [name, content] of Object.entries(tensors)) graph.setTensor(graph.value(name), content);
    return graph;
  }

  /** Copies of all that is kept between steps. */
  async state(): Promise<StepState> {
    const names = this.#kept().map(({ name }) => name);
    return await this.#queue(async () => ({ step: this.#step, tensors: await this.#host.read(names) }));
  }

  /** Goes on from a state, with bit-identical results. Throws TrainError, changing nothing, when it is another model's or optimizer's. */
  load({ step, tensors }: StepState): Promise<void> {
    return this.#queue(async () => {
      const kept = this.#kept();
      for (const { name, dtype, shape } of kept) {
        const found = tensors[name];
        if (!found) throw new TrainError(`state: expected a tensor "${name}", found none`);
        if (found.dtype !== dtype || String(found.shape) !== String(shape)) {
          throw new TrainError(
            `state: "${name}": expected ${dtype} [${shape.join(", ")}], found ${found.dtype} [${
              found.shape.join(", ")
            }]`,
          );
        }
      }
      const unknown = Object.keys(tensors).find((name) => !kept.some((slot) => slot.name === name));
      if (unknown !== undefined) throw new TrainError(`state: expected the tensors of this step, found "${unknown}"`);
      await this.#host.write(tensors);
      this.#step = step;
    });
  }

  /** Ends the session and the worker; safe to call twice. */
  async dispose(): Promise<void> {
    if (this.#disposed) return;
    await this.#last.catch(() => {});
    this.#disposed = true;
    await this.#host.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  #kept(): readonly Slot[] {
    return this.#plan.slots;
  }

  #expectAverage(weights: WeightSource): void {
    if (weights === "average" && !this.averaged) {
      throw new TrainError("step: expected averageDecay to be set for averaged weights, found none");
    }
  }

  #queue<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.catch(() => {}).then(() => {
      if (this.#disposed) throw new TrainError("step: expected an open step, found a disposed one");
      return work();
    });
    this.#last = result;
    return result;
  }
}

function problemOf(
  batches: readonly Batch[],
  { loss, gradientNorm, finite }: StepOutcome,
  step: number,
  { lossLimit = Infinity, gradientLimit = Infinity }: StepLimits,
): string {
  if (finite) {
    const what = loss > lossLimit
      ? `a loss up to ${lossLimit}, found ${loss}`
      : `gradients of length up to ${gradientLimit}, found ${gradientNorm}`;
    return `step ${step}: expected ${what}; nothing was changed`;
  }
  const found = Number.isFinite(loss)
    ? `gradients of length ${gradientNorm} at a loss of ${loss}`
    : `a loss of ${loss} and gradients of length ${gradientNorm}`;
  const cause = batches.map(nonFiniteElement).find((element) => element !== undefined);
  return `step ${step}: expected a finite loss and gradients, found ${found}${
    cause ? `; ${cause}` : ""
  }; nothing was changed`;
}
