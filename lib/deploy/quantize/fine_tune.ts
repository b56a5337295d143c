/** Training on with rounding in the forward pass, for where quantization after training loses too much. */

import { stopGradient } from "../../autodiff/mod.ts";
import {
  abs,
  add,
  clip,
  dequantizeLinear,
  div,
  type Graph,
  log,
  max,
  mul,
  quantizeLinear,
  reduceMax,
  round,
  sub,
  type Value,
} from "../../onnx/mod.ts";
import { InputError, type ProgressListener, type Tensor, WorkError } from "../../runtime/mod.ts";
import { compileStep, crossEntropy, type LossContext, type LossResult, sgd, trainable } from "../../train/mod.ts";
import type { Calibration } from "./calibrate.ts";
import { layersOf, planQuantization } from "./plan.ts";
import { prepareForQuantization } from "./prepare.ts";
import type { QuantizeOptions } from "./quantize_static.ts";
import { roundedGraph, type RoundingForm } from "./rounded_graph.ts";

/** How quantization works that is trained for. */
export type FakeQuantizeOptions = Pick<QuantizeOptions, "activation" | "symmetric" | "perChannel" | "keepFloat">;

/**
 * The prepared graph with rounding that can be trained (Jacob et al. 2018; the straight-through gradient of Bengio et al. 2013): an
 * activation is clip(x) + stop(q(clip(x)) − clip(x)), so that its gradient is 1 within its range and 0 outside; weights are
 * w + stop(q(w) − w), with the scale of the weights as they are in each step. Ranges of activations are those of the calibration.
 * Weights and biases of the layers are parameters, under their names.
 */
export function fakeQuantize(graph: Graph, calibration: Calibration, options: FakeQuantizeOptions = {}): Graph {
  const { activation = "uint8", symmetric = activation === "int8", perChannel = true, keepFloat = [] } = options;
  const form: RoundingForm = {
    activation(x, _, { quantizer: { low, high, scale: step, zeroPoint }, scale, zero }) {
      const kept = clip(x, (low - zeroPoint) * step, (high - zeroPoint) * step);
      return straightThrough(kept, dequantizeLinear(quantizeLinear(kept, scale, zero), scale, zero));
    },
    weights(result, { weight, bias, axis }) {
      const lists = result._internals();
      const w = lists.addInitialiser(weight.name, "parameter", weight.tensor!);
      const axes = w.shape.map((_, i) => i).filter((i) => !perChannel || i !== axis);
      const scale = max([div(reduceMax(abs(w), { axes, keepdims: true }), 127), 1e-30]);
      const rounded = mul(clip(round(div(w, scale)), -127, 127), scale);
      return [straightThrough(w, rounded), ...bias ? [lists.addInitialiser(bias.name, "parameter", bias.tensor!)] : []];
    },
  };
  const plan = planQuantization(graph, { keepFloat });
  return roundedGraph(graph, plan, form, { ranges: calibration.ranges, activation, symmetric });
}

/** `rounded` going forward, the gradient of `x` going back. */
function straightThrough(x: Value, rounded: Value): Value {
  return add(x, stopGradient(sub(rounded, x)));
}

/** Settings of `fineTuneQuantized`. */
export interface FineTuneOptions extends FakeQuantizeOptions {
  /** Steps, over the batches again and again. Default: once over them. */
  readonly steps?: number;
  /** A small one: the weights are trained already. Falls linearly to 0. Default: 1e-4. */
  readonly learningRate?: number;
  readonly momentum?: number;
  /** Default: cross-entropy of the output "probabilities" with the input "labels" (int64). */
  readonly loss?: (context: LossContext) => LossResult;
  readonly threads?: number | undefined;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What `fineTuneQuantized` gives. */
export interface FineTuned {
  /** The prepared graph with trained float32 weights: to be given to `quantizeStatic` with the same calibration. */
  readonly graph: Graph;
  /** Of each step. */
  readonly losses: readonly number[];
}

/**
 * Trains a graph on with rounded weights and activations. Use it where `quantizeStatic` alone loses more than a point. Each batch holds
 * a tensor for each input of the graph and of the loss. Throws InputError without batches, or where two layers share a weight;
 * WorkError for a step that is not finite.
 */
export async function fineTuneQuantized(
  source: Graph,
  calibration: Calibration,
  batches: readonly Readonly<Record<string, Tensor>>[],
  options: FineTuneOptions = {},
): Promise<FineTuned> {
  const { steps = batches.length, learningRate = 1e-4, momentum = 0.9, loss = probabilityLoss } = options;
  const { threads, onProgress = () => {}, signal } = options;
  if (batches.length === 0) throw new InputError("fineTuneQuantized: expected batches of pictures, found none");
  const graph = await prepareForQuantization(source);
  const layers = layersOf(graph), names = layers.flatMap(({ weight, bias }) => bias ? [weight, bias] : [weight]);
  if (new Set(names).size < names.length) {
    throw new InputError("fineTuneQuantized: expected weights of each layer of its own, found shared ones");
  }
  const model = trainable(fakeQuantize(graph, calibration, options), { untie: false });
  await using step = await compileStep({
    ...{ model, loss, optimizer: sgd({ momentum }) },
    ...(threads === undefined ? {} : { threads }),
  });
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) {
    signal?.throwIfAborted();
    const taken = await step.run(batches[i % batches.length]!, { learningRate: learningRate * (1 - i / steps) });
    if (taken.problem !== undefined) throw new WorkError(`fineTuneQuantized: ${taken.problem}`);
    losses.push(taken.loss);
    onProgress({ label: "fine-tune", done: i + 1, total: steps, unit: "steps", note: `loss ${taken.loss.toFixed(3)}` });
  }
  const trained = await step.parameters();
  for (const value of names) {
    const content = trained[value.name];
    if (content) graph.setTensor(value, content);
  }
  return { graph, losses };
}

/** Cross-entropy of the output "probabilities", averaged views included, with the input "labels" (int64). */
export function probabilityLoss({ output, input }: LossContext): Value {
  const probabilities = output("probabilities");
  return crossEntropy(log(max([probabilities, 1e-12])), input("labels", "int64", [probabilities.shape[0]!]));
}
