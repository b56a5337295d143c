/** The graph of a training step: forward, backward, accumulation, optimizer and averages, and the tensors it keeps. */

import {
  add,
  cast,
  div,
  type DType,
  Graph,
  min,
  mul,
  type Shape,
  sub,
  type Tensor,
  tensor,
  toModel,
  type Value,
  zeros,
} from "../onnx/mod.ts";
import { gradients, poolFirst } from "../autodiff/mod.ts";
import type { Device } from "../runtime/mod.ts";
import { TrainError } from "./errors.ts";
import { type AcceptedIntegers, acceptedIntegers } from "./losses/accepted.ts";
import { applyOptimizer, type Optimizer, OptimizerContext, type StateTensor } from "./optimizer.ts";
import type { TrainableModel } from "./trainable.ts";
import { copyModel, flatShape, type MaskInput, type ModelCopy } from "./training_graph.ts";

/** What a kept tensor is for. */
export type SlotRole = "parameter" | "statistic" | "optimizer" | "average" | "accumulated";

/** A tensor that is kept between steps: the step reads it and gives its next elements. */
export interface Slot {
  /** The input of the step, and the name in a checkpoint. */
  readonly name: string;
  /** The output with the next elements. */
  readonly next: string;
  readonly role: SlotRole;
  readonly dtype: DType;
  /** In the model and in a checkpoint; the step's graph has the elements in one dimension (`flatShape`). */
  readonly shape: readonly number[];
}

/** An input that the caller feeds. */
export interface FedInput {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly accepted?: AcceptedIntegers | undefined;
}

/** All that is needed to run a step; plain data that can be sent to a worker. */
export interface StepPlan {
  /** The bytes of the step's ONNX file. */
  readonly model: Uint8Array<ArrayBuffer>;
  /** The bytes of the inference graph, its weights as inputs. */
  readonly inference: Uint8Array<ArrayBuffer>;
  readonly slots: readonly Slot[];
  /** The elements of the slots before the first step, by slot name; a slot that is not there begins with zeros. */
  readonly initial: Readonly<Record<string, Tensor>>;
  readonly inputs: readonly FedInput[];
  readonly masks: readonly MaskInput[];
  /** Names of metrics; each is the output `metric/NAME`. */
  readonly metrics: readonly string[];
  /** Micro-batches in a step. */
  readonly accumulate: number;
}

/** Inputs and outputs of the step's graph that are not the caller's. */
export const PORTS = {
  learningRate: "step/learning_rate",
  keep: "step/keep",
  loss: "step/loss",
  gradientNorm: "step/gradient_norm",
} as const;

/** What a loss function is given: the model's values inside the graph of the step. */
export interface LossContext {
  readonly graph: Graph;
  /** An output of the model. */
  output(name?: string): Value;
  /** Any value of the model by its name. */
  value(name: string): Value;
  /** Declares an input that is fed with each batch, such as the labels. */
  input(name: string, dtype: DType, shape: Shape): Value;
}

/** A scalar loss, or one with further values to report. */
export type LossResult = Value | { readonly loss: Value; readonly metrics?: Readonly<Record<string, Value>> };

/** Settings of `planStep`. */
export interface PlanOptions {
  readonly model: TrainableModel;
  readonly loss: (context: LossContext) => LossResult;
  readonly optimizer: Optimizer;
  readonly averageDecay?: number | undefined;
  readonly accumulate: number;
  readonly symbols: Readonly<Record<string, number>>;
  readonly recompute: readonly string[];
  readonly poolFirst?: boolean;
  readonly device: Device;
}

/** Writes the graph of a step. Throws TrainError, AutodiffError or OnnxError for what cannot be trained. */
export function planStep(options: PlanOptions): StepPlan {
  const { model, accumulate, symbols, device } = options;
  const copy = copyModel(model, { training: true, device, symbols, flat: true });
  const { graph, values, weights } = copy;
  const { loss: written, metrics, targets } = writeLoss(options, copy);
  // Outputs before the rewrite, so that it leaves them.
  graph.output(written.dtype === "float32" ? written : cast(written, "float32"), PORTS.loss);
  for (const [name, value] of Object.entries(metrics)) graph.output(value, `metric/${name}`);
  if (options.poolFirst) poolFirst(graph);
  const loss = written.dtype === "float32" ? graph.value(PORTS.loss) : written;
  const wrt = model.parameters.map((value) => weights.get(value)!);
  const checkpoint = options.recompute.map((name) => valueOf(model.graph, copy, name));
  const raw = gradients(loss, wrt, { device, ...(checkpoint.length > 0 ? { checkpoint } : {}) });
  const slots: Slot[] = [];
  const initial: Record<string, Tensor> = {};
  const keepTensor: KeepTensor = (name, role, first, next) => {
    const { dtype, shape } = first;
    slots.push({ name, role, dtype, shape, next: graph.output(next, `next/${name}`).name });
    if ((first.data as Float32Array).some((element) => element !== 0 || Object.is(element, -0))) initial[name] = first;
  };
  const finished = accumulate === 1 ? raw : accumulated(graph, raw, model, accumulate, keepTensor);
  const learningRate = graph.input(PORTS.learningRate, "float32", []);
  const trained = model.parameters.map((source, i) => ({
    name: source.name,
    value: wrt[i]!,
    dtype: source.dtype,
    shape: source.staticShape,
  }));
  const context = new OptimizerContext(graph, trained, learningRate);
  const norm = context.globalNorm(finished);
  const updated = applyOptimizer(options.optimizer, finished, context);
  const nextWeights = new Map<Value, Value>(copy.nextStatistics);
  model.parameters.forEach((source, i) => nextWeights.set(source, updated[i]!));
  if (options.averageDecay !== undefined) {
    for (const { name, initial, next } of averages(graph, nextWeights, options.averageDecay)) {
      keepTensor(name, "average", initial, next!);
    }
  }
  for (const { name, initial, next } of context.states) keepTensor(name, "optimizer", initial, next!);
  for (const [source, next] of nextWeights) {
    const role = copy.nextStatistics.has(source) ? "statistic" : "parameter";
    keepTensor(source.name, role, source.tensor!, next);
  }
  graph.output(norm, PORTS.gradientNorm);
  const fed = [...model.graph.inputs.map((value) => values.get(value)!), ...targets];
  return {
    model: toModel(graph),
    inference: inferenceModel(model, device),
    slots,
    initial,
    inputs: fed.map((value) => ({
      name: value.name,
      dtype: value.dtype,
      shape: value.shape,
      accepted: acceptedIntegers(value),
    })),
    masks: copy.masks,
    metrics: Object.keys(metrics),
    accumulate,
  };
}

type KeepTensor = (name: string, role: SlotRole, initial: Tensor, next: Value) => void;

/** Writes the loss behind a copy of the model: the scalar, the metrics, and the inputs that it declared. */
export function writeLoss({ model, loss }: Pick<PlanOptions, "model" | "loss">, copy: ModelCopy) {
  const { graph, values } = copy;
  const targets: Value[] = [];
  const result = loss({
    graph,
    output(name) {
      const outputs = model.graph.outputs;
      const found = name === undefined ? outputs[0] : outputs.find((output) => output.name === name);
      if (found) return values.get(found)!;
      const known = outputs.map((output) => output.name).join(", ");
      throw new TrainError(`loss: expected an output of the model (${known}), found "${name}"`);
    },
    value: (name) => valueOf(model.graph, copy, name),
    input(name, dtype, shape) {
      const value = graph.input(name, dtype, shape);
      targets.push(value);
      return value;
    },
  });
  const { loss: scalar, metrics = {} } = "loss" in result ? result : { loss: result };
  return { loss: scalar, metrics, targets };
}

function valueOf(source: Graph, { graph, values }: ModelCopy, name: string): Value {
  const found = source.values.get(name);
  const copied = found && values.get(found);
  if (copied && graph.values.get(copied.name) === copied) return copied;
  if (copied) {
    throw new TrainError(
      `model "${source.name}": expected a value named "${name}", found that poolFirst took its place`,
    );
  }
  throw new TrainError(`model "${source.name}": expected a value named "${name}", found none`);
}

/** Gradients summed over micro-batches: sum ← keep · sum + gradient / count, keep 0 in the first. */
function accumulated(
  graph: Graph,
  gradientsOfBatch: readonly Value[],
  model: TrainableModel,
  count: number,
  keepTensor: KeepTensor,
): Value[] {
  const keep = graph.input(PORTS.keep, "float32", []);
  return model.parameters.map((source, i) => {
    const name = `accumulated/${source.name}`;
    const old = graph.input(name, source.dtype, flatShape(source.staticShape));
    const factor = source.dtype === "float32" ? keep : cast(keep, source.dtype);
    const sum = add(mul(old, factor), mul(gradientsOfBatch[i]!, 1 / count));
    keepTensor(name, "accumulated", zeros(source.dtype, source.staticShape), sum);
    return sum;
  });
}

/**
 * The exponential moving average of weights and statistics: a ← d · a + (1 − d) · w with d = min(decay, (1 + t) / (10 + t)) in step t, so
 * that the first steps do not drag the starting values along (TensorFlow's ExponentialMovingAverage with num_updates).
 */
export function averages(graph: Graph, next: ReadonlyMap<Value, Value>, decay: number): StateTensor[] {
  if (!(decay > 0 && decay < 1)) {
    throw new TrainError(`compileStep: expected averageDecay between 0 and 1, found ${decay}`);
  }
  const count: StateTensor = declare(graph, "average_count", tensor("float64", [], [0]));
  count.next = add(count.value, 1);
  const factor = min([div(add(count.value, 1), add(count.value, 10)), decay]);
  const typed = new Map<DType, Value>();
  const result = [count];
  for (const [source, fresh] of next) {
    const state = declare(graph, `average/${source.name}`, source.tensor!);
    if (!typed.has(source.dtype)) typed.set(source.dtype, cast(factor, source.dtype));
    const part = typed.get(source.dtype)!;
    state.next = add(mul(state.value, part), mul(fresh, sub(1, part)));
    result.push(state);
  }
  return result;
}

function declare(graph: Graph, name: string, initial: Tensor): StateTensor {
  return { name, initial, value: graph.input(name, initial.dtype, flatShape(initial.shape)), next: undefined };
}

function inferenceModel(model: TrainableModel, device: Device): Uint8Array<ArrayBuffer> {
  const { graph, values } = copyModel(model, { training: false, device });
  for (const output of model.graph.outputs) graph.output(values.get(output)!, output.name);
  return toModel(graph);
}
