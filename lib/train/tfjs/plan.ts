/** The graphs of a training step for TensorFlow.js: forward, update and inference; between them stand its own gradients. */

import { cast, Graph, type Tensor, type Value } from "../../onnx/mod.ts";
import { acceptedIntegers } from "../losses/accepted.ts";
import { type PlanOptions, PORTS, type Slot, type StepPlan, writeLoss } from "../step_plan.ts";
import type { TrainableModel } from "../trainable.ts";
import { copyModel, flatShape } from "../training_graph.ts";
import { gradientPort, type SlotRole, statisticPort, writeUpdate } from "../update_plan.ts";

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

/** Writes the graphs. Throws TrainError or OnnxError for what cannot be trained. */
export function planTensorFlow(
  options: Pick<PlanOptions, "model" | "loss" | "optimizer" | "averageDecay" | "accumulate" | "symbols">,
): TensorFlowPlan {
  const { model, accumulate, symbols } = options;
  const copy = copyModel(model, { training: true, device: "cpu", symbols });
  const { loss, metrics, targets } = writeLoss(options, copy);
  const graph = new Graph("update");
  const declared = (name: string, { dtype, staticShape }: Value) => graph.input(name, dtype, flatShape(staticShape));
  const statistics = [...copy.nextStatistics.keys()];
  const { kept, gradientNorm } = writeUpdate(model, options, {
    graph,
    learningRate: graph.input(PORTS.learningRate, "float32", []),
    parameters: model.parameters.map((source) => declared(source.name, source)),
    gradients: model.parameters.map((source) => declared(gradientPort(source.name), source)),
    statistics,
    statistic: (source) => declared(statisticPort(source.name), source),
  });
  const slot = (name: string, role: SlotRole, { dtype, shape }: Tensor): Slot => ({
    name,
    role,
    dtype,
    shape,
    next: `next/${name}`,
    inPlace: false,
  });
  const initial = new Map([
    ...kept.map(({ name, initial }) => [name, initial] as const),
    ...statistics.map((source) => [source.name, source.tensor!] as const),
  ]);
  const fed = [...model.graph.inputs.map((value) => copy.values.get(value)!), ...targets];
  return {
    step: {
      model: new Uint8Array(),
      update: undefined,
      inference: new Uint8Array(),
      slots: [
        ...kept.map(({ name, role, initial }) => slot(name, role, initial)),
        ...statistics.map((source) => slot(source.name, "statistic", source.tensor!)),
      ],
      gradients: [],
      initial: Object.fromEntries(initial),
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
    update: {
      graph,
      gradientNorm: gradientNorm(),
      next: new Map(kept.map(({ name, next }) => [name, next])),
    },
    inference: inferenceOf(model),
    parameters: model.parameters.map(({ name }) => name),
  };
}

function inferenceOf(model: TrainableModel) {
  const { graph, values } = copyModel(model, { training: false, device: "cpu" });
  return { graph, outputs: new Map(model.graph.outputs.map((output) => [output.name, values.get(output)!])) };
}
