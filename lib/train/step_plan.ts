/** The graphs of a training step: forward, backward, accumulation and update, and the tensors they keep. */

import {
  add,
  cast,
  type DType,
  Graph,
  isStatic,
  mul,
  type Shape,
  type Tensor,
  toModel,
  type Value,
} from "../onnx/mod.ts";
import { gradients, poolFirst } from "../autodiff/mod.ts";
import type { Device } from "../runtime/mod.ts";
import { TrainError } from "./errors.ts";
import { type AcceptedIntegers, acceptedIntegers } from "./losses/accepted.ts";
import { globalNorm, type Optimizer } from "./optimizer.ts";
import type { TrainableModel } from "./trainable.ts";
import { copyModel, flatShape, type MaskInput, type ModelCopy } from "./training_graph.ts";
import {
  gradientPort,
  type KeptTensor,
  mayOverwrite,
  type SlotRole,
  statisticPort,
  type UpdateSources,
  writeUpdate,
} from "./update_plan.ts";

/** A tensor that is kept between steps: the step reads it and gives its next elements. */
export interface Slot {
  /** The input of the step's graphs, and the name in a checkpoint. */
  readonly name: string;
  /** The output with the next elements. */
  readonly next: string;
  readonly role: SlotRole;
  readonly dtype: DType;
  /** In the model and in a checkpoint; the step's graphs have the elements in one dimension (`flatShape`). */
  readonly shape: readonly number[];
  /** The next elements may be written over the present ones; else they need a buffer of their own. */
  readonly inPlace: boolean;
}

/** A parameter's gradient, kept until the update has read it. */
export interface GradientSlot {
  /** The input of the update; with micro-batches also the sum so far, an input of the first graph. */
  readonly name: string;
  /** The output of the first graph. */
  readonly next: string;
  readonly dtype: DType;
  /** As the first graph gives it; as an input it has one dimension. */
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
  /** The bytes of the ONNX file that works out loss and gradients; without an `update`, the whole step. */
  readonly model: Uint8Array<ArrayBuffer>;
  /** The bytes of the ONNX file of optimizer and averages, run when loss and gradients were finite. */
  readonly update: Uint8Array<ArrayBuffer> | undefined;
  /** The bytes of the inference graph, its weights as inputs. */
  readonly inference: Uint8Array<ArrayBuffer>;
  readonly slots: readonly Slot[];
  /** What passes between the two graphs, or from one micro-batch to the next. */
  readonly gradients: readonly GradientSlot[];
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

/**
 * Writes the graphs of a step. On the CPU they are two: loss and gradients, then the update, which most optimizers can write over
 * the kept tensors, so that there is one copy of them. A device with memory of its own gets one graph, so that gradients
 * never leave it. Throws TrainError, AutodiffError or OnnxError for what cannot be trained.
 */
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
  const split = device === "cpu";
  const summed = accumulate === 1 ? raw : accumulated(graph, raw, model, accumulate);
  const passed: GradientSlot[] = [];
  const finished = !split && accumulate === 1 ? summed : model.parameters.map(({ name, staticShape }, i) => {
    const port = gradientPort(name);
    const output = graph.output(withoutReshape(summed[i]!), accumulate === 1 ? port : `next/${port}`);
    const shape = isStatic(output.shape) ? output.shape : flatShape(staticShape);
    passed.push({ name: port, next: output.name, dtype: output.dtype, shape });
    return output;
  });
  const update = split ? new Graph("update") : graph;
  const declared = (name: string, { dtype, staticShape }: Value) => update.input(name, dtype, flatShape(staticShape));
  const sources: UpdateSources = split
    ? {
      graph: update,
      learningRate: update.input(PORTS.learningRate, "float32", []),
      parameters: model.parameters.map((source) => declared(source.name, source)),
      gradients: model.parameters.map((source) => declared(gradientPort(source.name), source)),
      gradientNorm: () => update.values.get(PORTS.gradientNorm) ?? update.input(PORTS.gradientNorm, "float32", []),
      statistics: [...copy.nextStatistics.keys()],
      statistic: (source) => declared(statisticPort(source.name), source),
    }
    : {
      graph,
      learningRate: graph.input(PORTS.learningRate, "float32", []),
      parameters: wrt,
      gradients: finished,
      statistics: [...copy.nextStatistics.keys()],
      statistic: (source) => copy.nextStatistics.get(source)!,
    };
  const norm = split ? globalNorm(finished) : undefined;
  const { kept, gradientNorm } = writeUpdate(model, options, sources);
  graph.output(norm ?? gradientNorm(), PORTS.gradientNorm);
  const statistics = [...copy.nextStatistics].map(([source, next]): KeptTensor => ({
    name: source.name,
    role: "statistic",
    initial: source.tensor!,
    next,
  }));
  const consumers = update.consumers();
  const initial: Record<string, Tensor> = {};
  const slots = [...kept, ...statistics].map(({ name, role, initial: first, next }): Slot => {
    const { dtype, shape } = first;
    if ((first.data as Float32Array).some((element) => element !== 0 || Object.is(element, -0))) initial[name] = first;
    const home = role === "statistic" ? graph : update;
    const output = home.output(next, `next/${name}`);
    const inPlace = split && role !== "statistic" && mayOverwrite(update.value(name), output, consumers);
    return { name, role, dtype, shape, next: output.name, inPlace };
  });
  const fed = [...model.graph.inputs.map((value) => values.get(value)!), ...targets];
  return {
    model: toModel(graph),
    update: split ? toModel(update) : undefined,
    inference: inferenceModel(model, device),
    slots,
    gradients: passed,
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

/**
 * What a Reshape reads, for its output would be a copy: the elements are the same. Not between a scalar and one element, which
 * the update tells apart.
 */
function withoutReshape(value: Value): Value {
  let result = value;
  while (result.producer?.opType === "Reshape" && result.producer.domain === "") {
    const source = result.producer.input(0);
    if (!source.producer || !source.type || !isStatic(source.shape)) break;
    if ((source.rank === 0) !== (value.rank === 0)) break;
    result = source;
  }
  return result;
}

/** Gradients summed over micro-batches: sum ← keep · sum + gradient / count, keep 0 in the first. */
function accumulated(
  graph: Graph,
  gradientsOfBatch: readonly Value[],
  model: TrainableModel,
  count: number,
): Value[] {
  const keep = graph.input(PORTS.keep, "float32", []);
  return model.parameters.map((source, i) => {
    const old = graph.input(gradientPort(source.name), source.dtype, flatShape(source.staticShape));
    const factor = source.dtype === "float32" ? keep : cast(keep, source.dtype);
    return add(mul(old, factor), mul(gradientsOfBatch[i]!, 1 / count));
  });
}

function inferenceModel(model: TrainableModel, device: Device): Uint8Array<ArrayBuffer> {
  const { graph, values } = copyModel(model, { training: false, device });
  for (const output of model.graph.outputs) graph.output(values.get(output)!, output.name);
  return toModel(graph);
}
