/** The update of a step, written into a graph: optimizer and moving averages, from gradients to the next elements of what is kept. */

import {
  add,
  cast,
  div,
  type DType,
  type Graph,
  min,
  mul,
  type Node,
  sub,
  type Tensor,
  tensor,
  type Value,
} from "../onnx/mod.ts";
import { TrainError } from "./errors.ts";
import { applyOptimizer, type Optimizer, OptimizerContext, type StateTensor } from "./optimizer.ts";
import type { TrainableModel } from "./trainable.ts";
import { flatShape } from "./training_graph.ts";

/** What a kept tensor is for. */
export type SlotRole = "parameter" | "statistic" | "optimizer" | "average";

/** A tensor that is kept between steps, and the value of the graph that holds its next elements. */
export interface KeptTensor {
  readonly name: string;
  readonly role: SlotRole;
  /** Before the first step. */
  readonly initial: Tensor;
  readonly next: Value;
}

/** Where an update reads what it needs; all values of one graph, of one dimension each. */
export interface UpdateSources {
  readonly graph: Graph;
  /** The parameters before the step, in the model's order. */
  readonly parameters: readonly Value[];
  readonly gradients: readonly Value[];
  /** The length of all gradients as one vector, made when it is asked for; else it is worked out in the graph. */
  readonly gradientNorm?: (() => Value) | undefined;
  /** A running statistic after the step, by the model's initialiser; asked for when averages are kept. */
  readonly statistic: (source: Value) => Value;
  /** The model's running statistics. */
  readonly statistics: readonly Value[];
  readonly learningRate: Value;
}

/** The input of an update, or output of what comes before it, for a parameter's gradient. */
export const gradientPort = (name: string): string => `gradient/${name}`;

/** The input of an update for a running statistic after the step. */
export const statisticPort = (name: string): string => `statistic/${name}`;

/** Writes optimizer and averages; returns averages, the optimizer's state and the parameters, in this order. */
export function writeUpdate(
  model: TrainableModel,
  { optimizer, averageDecay }: { optimizer: Optimizer; averageDecay?: number | undefined },
  sources: UpdateSources,
): { readonly kept: readonly KeptTensor[]; readonly gradientNorm: () => Value } {
  const { graph, gradients, learningRate } = sources;
  const trained = model.parameters.map((source, i) => ({
    name: source.name,
    value: sources.parameters[i]!,
    dtype: source.dtype,
    shape: source.staticShape,
  }));
  const context = new OptimizerContext(graph, trained, learningRate);
  if (sources.gradientNorm) context.knowNorm(gradients, sources.gradientNorm);
  const updated = applyOptimizer(optimizer, gradients, context);
  const fresh = new Map<Value, Value>();
  if (averageDecay !== undefined) {
    for (const source of sources.statistics) fresh.set(source, sources.statistic(source));
  }
  model.parameters.forEach((source, i) => fresh.set(source, updated[i]!));
  const averaged = averageDecay === undefined ? [] : averages(graph, fresh, averageDecay);
  const state = (role: SlotRole) => ({ name, initial, next }: StateTensor): KeptTensor => ({
    name,
    role,
    initial,
    next: next!,
  });
  return {
    kept: [
      ...averaged.map(state("average")),
      ...context.states.map(state("optimizer")),
      ...model.parameters.map((source, i): KeptTensor => ({
        name: source.name,
        role: "parameter",
        initial: source.tensor!,
        next: updated[i]!,
      })),
    ],
    gradientNorm: () => context.globalNorm(gradients),
  };
}

/**
 * The exponential moving average of weights and statistics: a ← d · a + (1 − d) · w with d = min(decay, (1 + t) / (10 + t)) in step t, so
 * that the first steps do not drag the starting values along (TensorFlow's ExponentialMovingAverage with num_updates).
 */
function averages(graph: Graph, next: ReadonlyMap<Value, Value>, decay: number): StateTensor[] {
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

/** Operators whose output may stand in the memory of an input of its size: they read each element once, before they write it. */
const ELEMENTWISE = new Set(["Add", "Sub", "Mul", "Div", "Max", "Min"]);

/** Operators whose output is, or may be, their input's own memory. */
const VIEWS = new Set(["Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten"]);

/**
 * Whether `next` may be written over `old` in one run: an elementwise operator gives it, and whatever else reads `old` must
 * have run before, because `next` follows from it.
 */
export function mayOverwrite(old: Value, next: Value, consumers = old.graph.consumers()): boolean {
  const last = next.producer;
  if (!last || last.domain !== "" || !ELEMENTWISE.has(last.opType)) return false;
  if (String(old.shape) !== String(next.shape) || old.dtype !== next.dtype) return false;
  const before = new Set<Node>();
  const pending = [last];
  while (pending.length > 0) {
    for (const input of pending.pop()!.inputs) {
      const producer = input?.producer;
      if (!producer || before.has(producer)) continue;
      before.add(producer);
      pending.push(producer);
    }
  }
  const readers = (value: Value): readonly Node[] =>
    (consumers.get(value) ?? []).flatMap((node) => [
      node,
      ...(VIEWS.has(node.opType) ? node.outputs.flatMap((output) => output ? readers(output) : []) : []),
    ]);
  return readers(old).every((node) => node === last || before.has(node));
}
