/** A float32 graph as one that runs in int8: QuantizeLinear and DequantizeLinear around what is to be computed in whole numbers. */

import { dequantizeLinear, Graph, type Node, quantizeLinear, tensor, type Value } from "../../onnx/mod.ts";
import { InputError } from "../../runtime/mod.ts";
import { correctedBias } from "./bias_correction.ts";
import type { Calibration } from "./calibrate.ts";
import {
  activationQuantizer,
  type ActivationType,
  channelLayout,
  quantizeBias,
  type Quantizer,
  quantizeWeights,
  scalesForBias,
  weightScales,
} from "./numbers.ts";
import { type Layer, planQuantization, type QuantizationPlan, rangeOf } from "./plan.ts";
import { prepareForQuantization } from "./prepare.ts";

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
    throw new InputError(`quantize: expected symmetric ranges with int8 activations, found uint8`);
  }
  const plan = planQuantization(graph, { keepFloat });
  if (plan.layers.size === 0 && keepFloat.length === 0) {
    throw new InputError(
      `quantize: expected a convolution or matrix product with float32 weights in graph "${graph.name}", found none`,
    );
  }
  return new Quantization(graph, plan, calibration, { ...options, activation, symmetric }).run();
}

/** A value of the quantized graph: as it was computed, and as it reads after rounding. */
interface Written {
  readonly exact: Value;
  readonly rounded?: Value;
}

/** What of a range a rectifier leaves to others. */
const ROOM = 1e-6;

class Quantization {
  readonly #graph: Graph;
  readonly #plan: QuantizationPlan;
  readonly #calibration: Calibration;
  readonly #options: QuantizeOptions & { readonly activation: ActivationType; readonly symmetric: boolean };
  readonly #result: Graph;
  readonly #written = new Map<Value, Written>();
  /** Scale and zero point by the values whose ranges they come from. */
  readonly #constants = new Map<string, { readonly quantizer: Quantizer; readonly scale: Value; readonly zero: Value }>();

  constructor(
    graph: Graph,
    plan: QuantizationPlan,
    calibration: Calibration,
    options: QuantizeOptions & { readonly activation: ActivationType; readonly symmetric: boolean },
  ) {
    this.#graph = graph;
    this.#plan = plan;
    this.#calibration = calibration;
    this.#options = options;
    this.#result = new Graph(graph.name);
    for (const [key, value] of graph.metadata) this.#result.metadata.set(key, value);
    for (const [domain, version] of graph.domains) this.#result.domains.set(domain, version);
  }

  run(): Graph {
    const result = this.#result, { nodes, attached } = this.#plan;
    for (const input of this.#graph.inputs) this.#write(input, result.input(input.name, input.dtype, input.shape));
    const rectifierOf = new Map([...attached].map(([rectifier, node]) => [node, rectifier]));
    for (const node of this.#graph.nodes) {
      if (attached.has(node)) continue;
      const isQuantized = nodes.has(node);
      const copies = this.#copy(node, this.#inputsOf(node, isQuantized));
      const rectifier = rectifierOf.get(node);
      if (!rectifier) node.outputs.forEach((value, i) => value && this.#write(value, copies[i]!));
      else this.#rectify(rectifier, copies[0]!);
    }
    for (const output of this.#graph.outputs) {
      const { exact, rounded } = this.#written.get(output) ?? { exact: this.#constant(output) };
      const value = rounded && this.#isComputed(output) ? rounded : exact;
      if (value.name !== output.name) result.rename(exact, result._internals().uniqueName(`${output.name}.exact`));
      result.output(value, output.name);
    }
    return result;
  }

  /** Whether a value comes from an operator in int8, so that all read it rounded. */
  #isComputed(value: Value): boolean {
    const { producer } = value, { nodes, attached } = this.#plan;
    return producer !== undefined && (nodes.has(producer) || attached.has(producer));
  }

  #inputsOf(node: Node, isQuantized: boolean): (Value | undefined)[] {
    const layer = this.#plan.layers.get(node);
    if (layer) return this.#layerInputs(layer);
    return node.inputs.map((value) => {
      if (!value) return undefined;
      const { exact, rounded } = this.#written.get(value) ?? { exact: this.#constant(value) };
      return rounded && (isQuantized || this.#isComputed(value)) ? rounded : exact;
    });
  }

  #constant(value: Value): Value {
    const copy = this.#result._internals().addInitialiser(value.name, value.kind, value.tensor!);
    this.#written.set(value, { exact: copy });
    return copy;
  }

  #copy(node: Node, inputs: readonly (Value | undefined)[]): (Value | undefined)[] {
    const [made] = this.#result.node(node.opType, inputs, Object.fromEntries(node.attributes), {
      name: node.name,
      outputs: node.outputs.map((value) => value !== undefined),
      domain: node.domain,
    });
    const copies = [...made!.producer!.outputs];
    node.outputs.forEach((value, i) => {
      if (value && copies[i]) copies[i]._type ??= value.type;
    });
    return copies;
  }

  /** Records a value, named as in the source, and rounds it where the plan says so. */
  #write(value: Value, copy: Value): void {
    if (copy.name !== value.name) this.#result.rename(copy, this.#result._internals().uniqueName(value.name));
    const sources = this.#plan.sources.get(value);
    this.#written.set(value, sources ? { exact: copy, rounded: this.#round(copy, value.name, sources) } : { exact: copy });
  }

  /** A Relu or Clip after its layer, left out where rounding to the range of its result is the same. */
  #rectify(rectifier: Node, before: Value): void {
    const result = rectifier.output(), sources = this.#plan.sources.get(result)!;
    const { quantizer: { low, high, zeroPoint, scale } } = this.#quantizer(sources);
    const limits = limitsOf(rectifier), room = scale / 2 + ROOM;
    const isDone = (low - zeroPoint) * scale >= limits.low - ROOM && (high - zeroPoint) * scale <= limits.high + room;
    if (isDone) return this.#write(result, before);
    if (this.#options.symmetric || sources.length === 1) {
      const kept = rectifier.inputs.map((value, i) => i === 0 || !value ? before : this.#constant(value));
      return this.#write(result, this.#copy(rectifier, kept)[0]!);
    }
    // It shares a scale with what has another range: rounded to its own first, then to the other.
    this.#write(result, this.#round(before, `${before.name}.own`, [result]));
  }

  #round(value: Value, name: string, sources: readonly Value[]): Value {
    const { scale, zero } = this.#quantizer(sources);
    const whole = quantizeLinear(value, scale, zero, { name: `${name}.quantized` });
    return dequantizeLinear(whole, scale, zero, { name: `${name}.dequantized` });
  }

  #quantizer(sources: readonly Value[]) {
    const key = sources.map(({ name }) => name).join("\n"), known = this.#constants.get(key);
    if (known) return known;
    const { activation, symmetric } = this.#options, name = sources[0]!.name;
    const quantizer = activationQuantizer(rangeOf(sources, this.#calibration.ranges), activation, { symmetric });
    const made = {
      quantizer,
      scale: this.#result.constant(tensor("float32", [], [quantizer.scale]), { name: `${name}.scale` }),
      zero: this.#result.constant(tensor(activation, [], [quantizer.zeroPoint]), { name: `${name}.zero_point` }),
    };
    this.#constants.set(key, made);
    return made;
  }

  /** A layer's rounded input, its int8 weights and its int32 bias, each after DequantizeLinear. */
  #layerInputs({ node, name, weight, bias, axis }: Layer): Value[] {
    const result = this.#result, { perChannel = true, reduceRange = false, biasCorrection = false } = this.#options;
    const x = node.input(0), shape = weight.staticShape, layout = channelLayout(shape, axis);
    const { quantizer } = this.#quantizer(this.#plan.sources.get(x)!);
    const weights = weight.tensor!.data as Float32Array;
    let scales = weightScales(weights, layout, { perChannel, reduceRange });
    let offsets = bias?.tensor!.data as Float32Array<ArrayBuffer> | undefined;
    if (biasCorrection && node.opType !== "MatMul") {
      const means = this.#calibration.means.get(x.name);
      if (!means) throw new InputError(`quantize: expected calibrated means of "${x.name}", found none`);
      const rounded = quantizeWeights(weights, scales, layout);
      offsets = correctedBias({ node, weight, axis }, rounded, offsets, means);
    }
    if (offsets) scales = scalesForBias(scales, offsets, quantizer.scale);
    const rounded = quantizeWeights(weights, scales, layout);
    const dequantized = (base: string, dtype: "int8" | "int32", sizes: readonly number[], data: Int8Array | Int32Array, own: Float32Array, dimension: number) => {
      const single = own.length === 1 && !perChannel, vector = single ? [] : [own.length];
      return dequantizeLinear(
        result.constant(tensor(dtype, sizes, data), { name: `${base}.${dtype}` }),
        result.constant(tensor("float32", vector, own), { name: `${base}.scale` }),
        result.constant(tensor(dtype, vector, new Array(own.length).fill(0)), { name: `${base}.zero_point` }),
        { axis: dimension, name: base },
      );
    };
    const inputs = [this.#written.get(x)!.rounded!, dequantized(weight.name, "int8", shape, rounded.values, scales, axis)];
    if (offsets) {
      const whole = quantizeBias(offsets, scales, quantizer.scale);
      inputs.push(dequantized(bias?.name ?? `${name}.bias`, "int32", [offsets.length], whole.values, whole.scales, 0));
    }
    return inputs;
  }
}

/** Between which numbers a Relu or Clip leaves its input as it is. */
function limitsOf(rectifier: Node): { readonly low: number; readonly high: number } {
  if (rectifier.opType === "Relu") return { low: 0, high: Infinity };
  const limit = (index: number, fallback: number) => Number(rectifier.inputs[index]?.tensor?.data[0] ?? fallback);
  return { low: limit(1, -Infinity), high: limit(2, Infinity) };
}
