/** A float32 graph as one that runs in int8: QuantizeLinear and DequantizeLinear around what is to be computed in whole numbers. */

import { dequantizeLinear, type Graph, quantizeLinear, tensor, type Value } from "../../onnx/mod.ts";
import { InputError } from "../../runtime/mod.ts";
import { correctedBias } from "./bias_correction.ts";
import type { Calibration } from "./calibrate.ts";
import {
  type ActivationType,
  channelLayout,
  quantizeBias,
  quantizeWeights,
  scalesForBias,
  weightScales,
} from "./numbers.ts";
import { type Layer, planQuantization } from "./plan.ts";
import { prepareForQuantization } from "./prepare.ts";
import { roundedGraph, type RoundingForm } from "./rounded_graph.ts";

/** Settings of `quantizeStatic`. */
export interface QuantizeOptions {
  /** "uint8" for ONNX Runtime on x86 and ARM; "int8" about 0, as TensorRT wants it. Default: "uint8". */
  readonly activation?: ActivationType;
  /** Whether ranges of activations are −r … r with the zero point 0. Default: true for int8. uint8 has none. */
  readonly symmetric?: boolean;
  /** One scale for each output channel of the weights. Default: true. */
  readonly perChannel?: boolean;
  /** Weights of 7 bits, for x86 processors without VNNI, whose sums of two products could saturate. Default: false. */
  readonly reduceRange?: boolean;
  /** Layers that stay in float32, by the name of their output or node. */
  readonly keepFloat?: readonly string[];
  /** Add to each bias what the rounding of the weights takes from the mean (Nagel et al. 2019, section 4.2). Default: false. */
  readonly biasCorrection?: boolean;
}

/**
 * Quantizes a graph with the ranges of `calibrate`. Batch normalisation is folded first. Activations get one scale, weights int8 (one
 * scale a channel, zero point 0), biases int32 with the scale input · weight. Relu and Clip go where the range of their result does
 * their work, so that ONNX Runtime fuses the convolution before them; MaxPool, Resize, Concat, Reshape and the like read and write
 * one scale. What comes after the last layer stays in float32, and inputs and outputs keep their types.
 *
 * With "int8" about 0 a Relu stays between its layer and the QuantizeLinear, which TensorRT fuses and ONNX Runtime's CPU provider does
 * not: there `int8Share` of such a file is small.
 *
 * Write the result with opset 13 or later. Throws InputError where a range was not calibrated, a layer to keep in float is none, or
 * the graph has no layer to quantize.
 */
export async function quantizeStatic(
  source: Graph,
  calibration: Calibration,
  options: QuantizeOptions = {},
): Promise<Graph> {
  return quantizePrepared(await prepareForQuantization(source), calibration, options);
}

/** As `quantizeStatic`, for a graph that `prepareForQuantization` made; it is left as it is. */
export function quantizePrepared(graph: Graph, calibration: Calibration, options: QuantizeOptions = {}): Graph {
  const { activation = "uint8", symmetric = activation === "int8", keepFloat = [] } = options;
  if (activation === "uint8" && symmetric) {
    throw new InputError("quantize: expected symmetric ranges with int8 activations, found uint8");
  }
  const plan = planQuantization(graph, { keepFloat });
  if (plan.layers.size === 0 && keepFloat.length === 0) {
    throw new InputError(
      `quantize: expected a convolution or matrix product with float32 weights in graph "${graph.name}", found none`,
    );
  }
  const form: RoundingForm = {
    activation(x, name, { scale, zero }) {
      const whole = quantizeLinear(x, scale, zero, { name: `${name}.quantized` });
      return dequantizeLinear(whole, scale, zero, { name: `${name}.dequantized` });
    },
    weights: (result, layer, { scale }) => wholeWeights(result, layer, scale, calibration, options),
  };
  return roundedGraph(graph, plan, form, { ranges: calibration.ranges, activation, symmetric });
}

/** A layer's int8 weights and its int32 bias, each after DequantizeLinear. */
function wholeWeights(
  graph: Graph,
  { node, name, weight, bias, axis }: Layer,
  inputScale: number,
  { means }: Calibration,
  { perChannel = true, reduceRange = false, biasCorrection = false }: QuantizeOptions,
): Value[] {
  const shape = weight.staticShape, layout = channelLayout(shape, axis), x = node.input(0);
  const weights = weight.tensor!.data as Float32Array;
  let scales = weightScales(weights, layout, { perChannel, reduceRange });
  let offsets = bias?.tensor?.data as Float32Array<ArrayBuffer> | undefined;
  if (biasCorrection && node.opType !== "MatMul") {
    const mean = means.get(x.name);
    if (!mean) throw new InputError(`quantize: expected calibrated means of "${x.name}", found none`);
    offsets = correctedBias({ node, weight, axis }, quantizeWeights(weights, scales, layout), offsets, mean);
  }
  if (offsets) scales = scalesForBias(scales, offsets, inputScale);
  const sizes = perChannel ? [layout.channels] : [];
  const dequantized = (base: string, dtype: "int8" | "int32", { shape, values, scales, axis }: Whole) =>
    dequantizeLinear(
      graph.constant(tensor(dtype, shape, values), { name: `${base}.${dtype}` }),
      graph.constant(tensor("float32", sizes, scales), { name: `${base}.scale` }),
      graph.constant(tensor(dtype, sizes, new Array(scales.length).fill(0)), { name: `${base}.zero_point` }),
      { axis, name: base },
    );
  const rounded = quantizeWeights(weights, scales, layout);
  const inputs = [dequantized(weight.name, "int8", { ...rounded, shape, axis })];
  if (offsets) {
    const whole = quantizeBias(offsets, scales, inputScale);
    inputs.push(dequantized(bias?.name ?? `${name}.bias`, "int32", { ...whole, shape: [offsets.length], axis: 0 }));
  }
  return inputs;
}

/** A tensor of whole numbers with its scales. */
interface Whole {
  readonly shape: readonly number[];
  readonly values: Int8Array | Int32Array;
  readonly scales: Float32Array;
  readonly axis: number;
}
