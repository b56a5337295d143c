/** The graphs of a training step for TensorFlow.js: forward, update and inference; between them stand its own gradients. */

import { cast, Graph, type Tensor, type Value } from "../../onnx/mod.ts";
import { acceptedIntegers } from "../losses/accepted.ts";
import { applyOptimizer, OptimizerContext } from "../optimizer.ts";
import { averages, type PlanOptions, PORTS, type Slot, type SlotRole, type StepPlan, writeLoss } from "../step_plan.ts";
import type { TrainableModel } from "../trainable.ts";
import { copyModel, flatShape } from "../training_graph.ts";

/** What the engine runs; the slots, inputs and masks are those of the step on ONNX Runtime, so that states interchange. */
export interface TensorFlowPlan {
  readonly step: StepPlan;
  readonly forward: {
    readonly graph: Graph;
    readonly loss: Value;
    /** Running statistics after the step, by name. */
    readonly statistics: ReadonlyMap<string, Value>;
    readonly metrics: ReadonlyMap<string, Value>;
  };
  readonly update: {
    readonly graph: Graph;
    readonly gradientNorm: Value;
    /** The next elements of parameters, optimizer state and averages, by slot name. */
    readonly next: ReadonlyMap<string, Value>;
  };
  readonly inference: { readonly graph: Graph; readonly outputs: ReadonlyMap<string, Value> };
  /** Names of the parameters, in order. */
  readonly parameters: readonly string[];
}

/** The input of the update for a parameter's gradient. */
export const gradientPort = (name: string): string => `gradient/${name}`;

/** The input of the update for a running statistic after the step. */
export const statisticPort = (name: string): string => `statistic/${name}`;

/** Writes the graphs. Throws TrainError or OnnxError for what cannot be trained. */
export function planTensorFlow(
  options: Pick<PlanOptions, "model" | "loss" | "optimizer" | "averageDecay" | "accumulate" | "symbols">,
): TensorFlowPlan {
  const { model, accumulate, symbols } = options;
  const copy = copyModel(model, { training: true, device: "cpu", symbols });
  const { loss, metrics, targets } = writeLoss(options, copy);
  const slots: Slot[] = [];
  const initial: Record<string, Tensor> = {};
  const next = new Map<string, Value>();
  const keep = (name: string, role: SlotRole, first: Tensor, after?: Value) => {
    slots.push({ name, role, dtype: first.dtype, shape: first.shape, next: `next/${name}` });
    initial[name] = first;
    if (after) next.set(name, after);
  };
  const graph = new Graph("update");
  const learningRate = graph.input(PORTS.learningRate, "float32", []);
  const trained = model.parameters.map(({ name, dtype, staticShape: shape }) => ({
    name,
    value: graph.input(name, dtype, flatShape(shape)),
    dtype,
    shape,
  }));
  const gradients = trained.map(({ name, dtype, shape }) => graph.input(gradientPort(name), dtype, flatShape(shape)));
  const context = new OptimizerContext(graph, trained, learningRate);
  const gradientNorm = context.globalNorm(gradients);
  const updated = applyOptimizer(options.optimizer, gradients, context);
  const statistics = [...copy.nextStatistics.keys()];
  const fresh = new Map<Value, Value>(
    options.averageDecay === undefined ? [] : statistics.map((source) => [
      source,
      graph.input(statisticPort(source.name), source.dtype, flatShape(source.staticShape)),
    ]),
  );
  model.parameters.forEach((source, i) => fresh.set(source, updated[i]!));
  if (options.averageDecay !== undefined) {
    for (const state of averages(graph, fresh, options.averageDecay)) {
      keep(state.name, "average", state.initial, state.next);
    }
  }
  for (const state of context.states) keep(state.name, "optimizer", state.initial, state.next);
  for (const source of statistics) keep(source.name, "statistic", source.tensor!);
  model.parameters.forEach((source, i) => keep(source.name, "parameter", source.tensor!, updated[i]));
  const fed = [...model.graph.inputs.map((value) => copy.values.get(value)!), ...targets];
  return {
    step: {
      model: new Uint8Array(),
      inference: new Uint8Array(),
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
    },
    forward: {
      graph: copy.graph,
      loss: loss.dtype === "float32" ? loss : cast(loss, "float32"),
      statistics: new Map([...copy.nextStatistics].map(([source, value]) => [source.name, value])),
      metrics: new Map(Object.entries(metrics)),
    },
    update: { graph, gradientNorm, next },
    inference: inferenceOf(model),
    parameters: trained.map(({ name }) => name),
  };
}

function inferenceOf(model: TrainableModel) {
  const { graph, values } = copyModel(model, { training: false, device: "cpu" });
  return { graph, outputs: new Map(model.graph.outputs.map((output) => [output.name, values.get(output)!])) };
}
