/** Copies of a model's graph with its weights as inputs: to train and to evaluate. */

import {
  add,
  batchNormalizationTraining,
  cast,
  type DType,
  elementCount,
  Graph,
  mul,
  type Node,
  pow,
  reduceMean,
  reshape,
  type Shape,
  sub,
  type Value,
} from "../onnx/mod.ts";
import type { Device } from "../runtime/mod.ts";
import { TrainError } from "./errors.ts";
import type { TrainableModel } from "./trainable.ts";

/** A random mask that is fed in each step: 0 with probability `ratio`, else 1 / (1 − ratio). */
export interface MaskInput {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly ratio: number;
}

/** A copy of a model inside another graph. */
export interface ModelCopy {
  readonly graph: Graph;
  /** The copy's value for each of the model's. */
  readonly values: ReadonlyMap<Value, Value>;
  /** The input of the copy for each of the model's parameters and statistics: of one dimension when `flat`. */
  readonly weights: ReadonlyMap<Value, Value>;
  /** Running statistics after a training step, by the model's initialiser. */
  readonly nextStatistics: ReadonlyMap<Value, Value>;
  readonly masks: readonly MaskInput[];
}

/** Settings of `copyModel`. */
export interface CopyModelOptions {
  /** Put normalisations and dropout in their training form. */
  readonly training: boolean;
  readonly device: Device;
  /** Weights are inputs of one dimension, brought into their shapes in the graph. Default: false. */
  readonly flat?: boolean;
  /** Numbers for symbols of the inputs' shapes. */
  readonly symbols?: Readonly<Record<string, number>>;
}

/** A new graph with the model's nodes; its parameters and statistics are inputs of the same names. */
export function copyModel(model: TrainableModel, options: CopyModelOptions): ModelCopy {
  const { training, device, flat = false, symbols = {} } = options;
  const { graph: source } = model;
  const graph = new Graph(source.name);
  for (const [domain, version] of source.domains) graph.domains.set(domain, version);
  const values = new Map<Value, Value>();
  const nextStatistics = new Map<Value, Value>();
  const masks: MaskInput[] = [];
  const kept = new Set([...model.parameters, ...model.statistics]);
  const weights = new Map<Value, Value>();
  for (const input of source.inputs) {
    const shape = input.shape.map((dim) => typeof dim === "string" ? symbols[dim] ?? dim : dim);
    values.set(input, graph.input(input.name, input.dtype, shape));
  }
  for (const value of source.initialisers) {
    if (!kept.has(value)) {
      values.set(value, graph.constant(value.tensor!, { name: value.name }));
      continue;
    }
    const shape = value.staticShape;
    const input = graph.input(value.name, value.dtype, flat ? flatShape(shape) : shape);
    weights.set(value, input);
    values.set(value, input.rank === shape.length ? input : reshape(input, shape));
  }
  const read = (value: Value | undefined) => value && values.get(value);
  for (const node of source.nodes) {
    let made: readonly (Value | undefined)[];
    const ratio = model.dropouts.get(node);
    if (training && model.normalizations.has(node)) {
      made = [trainingNormalization(node, read, nextStatistics, device)];
    } else if (training && ratio !== undefined) {
      const x = read(node.input(0))!;
      if (node.outputs[1] && source.consumers().has(node.outputs[1])) {
        throw node.fail("expected that nothing reads the mask of dropout, found a reader");
      }
      const mask = { name: `dropout/${node.name}`, dtype: x.dtype, shape: x.shape, ratio };
      masks.push(mask);
      made = [mul(x, graph.input(mask.name, mask.dtype, mask.shape))];
    } else made = plainCopy(graph, node, read);
    node.outputs.forEach((output, i) => {
      const copy = made[i];
      if (!output || !copy) return;
      copy._type ??= output.type;
      if (!graph.values.has(output.name)) graph.rename(copy, output.name);
      values.set(output, copy);
    });
  }
  return { graph, values, weights, nextStatistics, masks };
}

/**
 * The shape in which a step keeps a tensor: one dimension in place of several. ONNX Runtime 1.30 takes 8 ms in place of 0.2
 * to scale a [512, 1024, 1, 1] by a number, and moves transpositions of gradients behind a Reshape to four dimensions,
 * where they take 20 ms in place of 4. A Reshape costs nothing.
 */
export function flatShape(shape: readonly number[]): readonly number[] {
  return shape.length <= 1 ? shape : [elementCount(shape)];
}

function plainCopy(
  graph: Graph,
  node: Node,
  read: (value: Value | undefined) => Value | undefined,
): readonly (Value | undefined)[] {
  if (node.opType === "CastLike" && node.domain === "") return [cast(read(node.input(0))!, node.input(1).dtype)];
  const [first] = graph.node(node.opType, node.inputs.map(read), Object.fromEntries(node.attributes), {
    name: node.name,
    outputs: node.outputs.map((output) => output !== undefined),
    domain: node.domain,
  });
  return first?.producer?.outputs ?? [];
}

/**
 * Normalises by the batch and blends its mean and population variance into the running ones: r ← momentum · r + (1 − momentum) · batch,
 * as ONNX's training mode has it. The operator itself runs with momentum 0, so that its outputs are the batch's own
 * statistics, which the backward pass reads.
 */
function trainingNormalization(
  node: Node,
  read: (value: Value | undefined) => Value | undefined,
  nextStatistics: Map<Value, Value>,
  device: Device,
): Value {
  const [x, scale, bias, mean, variance] = node.inputs.map((input) => read(input)!) as [
    Value,
    Value,
    Value,
    Value,
    Value,
  ];
  const epsilon = node.float("epsilon"), momentum = node.float("momentum");
  const batch = device === "webgpu"
    ? composedNormalization(x, scale, bias, epsilon)
    : fusedNormalization(x, scale, bias, mean, variance, epsilon);
  const blended = (old: Value, fresh: Value) => add(mul(old, momentum), mul(fresh, 1 - momentum));
  nextStatistics.set(node.input(3), blended(mean, batch.mean));
  nextStatistics.set(node.input(4), blended(variance, batch.variance));
  return batch.y;
}

interface NormalizedBatch {
  readonly y: Value;
  readonly mean: Value;
  readonly variance: Value;
}

function fusedNormalization(
  x: Value,
  scale: Value,
  bias: Value,
  mean: Value,
  variance: Value,
  epsilon: number,
): NormalizedBatch {
  // ONNX Runtime writes the new statistics over the inputs, whatever they are: copies, so that the step's own stay, made
  // afresh in each run, so that a NaN of one batch does not live on.
  const copies = [mul(mean, 0), mul(variance, 0)] as const;
  const { y, runningMean, runningVariance } = batchNormalizationTraining(x, scale, bias, ...copies, {
    epsilon,
    momentum: 0,
  });
  return { y, mean: runningMean, variance: runningVariance };
}

/** For devices without the operator's training mode. */
function composedNormalization(x: Value, scale: Value, bias: Value, epsilon: number): NormalizedBatch {
  const axes = x.shape.map((_, axis) => axis).filter((axis) => axis !== 1);
  const channels = [-1, ...axes.slice(1).map(() => 1)];
  const along = (value: Value) => reshape(value, channels);
  const mean = reduceMean(x, { axes });
  const centred = sub(x, along(mean));
  const variance = reduceMean(mul(centred, centred), { axes });
  const factor = mul(scale, pow(add(variance, epsilon), -0.5));
  return { y: add(mul(centred, along(factor)), along(bias)), mean, variance };
}

/** A size from the sizes that a batch gives to symbols. Throws TrainError for a symbol that no input has. */
export function resolveShape(name: string, shape: Shape, sizes: ReadonlyMap<string, number>): number[] {
  return shape.map((dim) => {
    if (typeof dim === "number") return dim;
    const size = sizes.get(dim);
    if (size !== undefined) return size;
    throw new TrainError(`"${name}": expected a fixed shape, found ${dim}; give its numbers in symbols`);
  });
}
