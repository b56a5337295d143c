/** Layers of convolutional networks on the graph builder: each takes a value, makes its own named weights, returns a value. */

import {
  add,
  batchNormalization,
  conv,
  type Dim,
  flatten,
  gemm,
  leakyRelu,
  maxPool,
  mish,
  relu,
  resize,
  sigmoid,
  tensor,
  type Value,
} from "../onnx/mod.ts";
import type { Random } from "../runtime/mod.ts";
import { ModelError } from "./errors.ts";
import { constant, type Initializer, kaimingNormal, normal } from "./initializers.ts";
import { dropPath } from "./stochastic.ts";

/** The non-linearities that Darknet's networks use; "leaky" has the slope 0.1 below zero, "logistic" is the sigmoid. */
export type Activation = "linear" | "leaky" | "logistic" | "relu" | "mish";

/** The activations, the identity first. */
export const ACTIVATIONS: readonly Activation[] = ["linear", "leaky", "logistic", "relu", "mish"];

/** The slope of "leaky" below zero (Darknet, `leaky_activate`). */
export const LEAKY_SLOPE = 0.1;

/** Where starting weights come from: drawn, or zeros, which take no time, for a network whose weights are loaded next. */
export type WeightSource = Random | "zeros";

/** Settings of `convolution`. */
export interface ConvolutionOptions {
  /**
   * Names the weights: `NAME.weight` [filters, channels / groups, size, size], `NAME.bias` [filters] and, with batch
   * normalisation (whose shift the bias then is), `NAME.scale`, `NAME.mean` and `NAME.variance`.
   */
  readonly name: string;
  /** Output channels. */
  readonly filters: number;
  /** Side of the kernel. Default: 3. */
  readonly size?: number;
  /** Default: 1. */
  readonly stride?: number;
  /** Zeros on each side. Default: size / 2, rounded down. */
  readonly padding?: number;
  /** Default: 1. */
  readonly groups?: number;
  /** Default: true. */
  readonly batchNormalize?: boolean;
  /** Added to the variance; default 1e-5, as cuDNN, PyTorch and Darknet's GPU kernels have it. */
  readonly epsilon?: number;
  /** Default: "leaky". */
  readonly activation?: Activation;
  readonly random: WeightSource;
  /** Default: Kaiming's normal for the activation's slope. */
  readonly weight?: (random: Random) => Initializer;
  /** Default: 0. */
  readonly bias?: Initializer;
}

/** Convolution, batch normalisation and activation: x [N, C, H, W] → [N, filters, H', W']. Throws OnnxError for a wrong shape. */
export function convolution(x: Value, options: ConvolutionOptions): Value {
  const { name, filters, size = 3, stride = 1, groups = 1, batchNormalize = true, activation = "leaky" } = options;
  const { random, padding = Math.floor(size / 2) } = options;
  const { graph } = x;
  const channels = channelsOf(x, name);
  const slope = { linear: 1, leaky: LEAKY_SLOPE, logistic: 1, relu: 0, mish: 0 }[activation];
  const weight = graph.parameter(`${name}.weight`, {
    shape: [filters, channels / groups, size, size],
    init: starting(random, name, options.weight ?? ((stream) => kaimingNormal(stream, { slope }))),
  });
  const bias = graph.parameter(`${name}.bias`, { shape: [filters], init: options.bias ?? constant(0) });
  const settings = { strides: stride, pads: padding, group: groups === 1 ? undefined : groups };
  if (!batchNormalize) return activate(conv(x, weight, { ...settings, bias, name }), activation, name);
  const statistics = (word: string, value: number) =>
    graph.constant(tensor("float32", [filters], constant(value)([filters])), { name: `${name}.${word}` });
  const normalised = batchNormalization(
    conv(x, weight, { ...settings, name }),
    graph.parameter(`${name}.scale`, { shape: [filters], init: constant(1) }),
    bias,
    statistics("mean", 0),
    statistics("variance", 1),
    { epsilon: options.epsilon ?? 1e-5, name: `${name}.norm` },
  );
  return activate(normalised, activation, name);
}

/** Settings of `residual`. */
export type ResidualOptions =
  & Pick<ConvolutionOptions, "filters" | "random" | "epsilon">
  & {
    readonly names: readonly [inner: string, outer: string];
    readonly inner?: number;
    /** Probability that training leaves the convolutions of a picture out (`dropPath`). Default: 0. */
    readonly dropPath?: number;
  };

/**
 * x + convolution 3x3 of convolution 1x1 of x, the first with `inner` channels (default: half of `filters`, which must be
 * x's channels) (Redmon and Farhadi 2018, table 1).
 */
export function residual(x: Value, options: ResidualOptions): Value {
  const { names, filters, inner = Math.floor(filters / 2), dropPath: ratio = 0, ...rest } = options;
  const narrow = convolution(x, { ...rest, name: names[0], filters: inner, size: 1 });
  const branch = convolution(narrow, { ...rest, name: names[1], filters });
  return add(x, dropPath(branch, { name: `${names[1]}.drop`, ratio }));
}

/** Each element repeated `factor` times (default: 2) along both axes: [N, C, H, W] → [N, C, H · factor, W · factor]. */
export function upsample(x: Value, { factor = 2, name }: { factor?: number; name?: string } = {}): Value {
  return resize(x, { scales: [1, 1, factor, factor], coordinates: "asymmetric", nearest: "floor", name });
}

/** Settings of `darknetMaxPool`. */
export interface DarknetPoolOptions {
  /** Side of the window. */
  readonly size: number;
  readonly stride: number;
  /** Places outside the map, both sides together, that windows may cover. Default: size − 1. */
  readonly padding?: number;
  readonly name?: string;
}

/**
 * Maximum over windows as Darknet has it: `padding` places (of minus infinity) around, the smaller half before, so that
 * sizes become ⌊(size + padding − window) / stride⌋ + 1. A window of 2 with stride 1 keeps the size: it looks one place
 * right and down. Throws ModelError unless the map's size is known.
 */
export function darknetMaxPool(x: Value, { size, stride, padding = size - 1, name }: DarknetPoolOptions): Value {
  const before = Math.floor(padding / 2);
  // What no window reaches is not written: pooling without padding has the faster gradient.
  const after = x.shape.slice(2).map((dim, i) => {
    if (typeof dim !== "number") {
      throw new ModelError(`maxpool: expected a known size in dimension ${i + 2} of ${x}, found ${dim}`);
    }
    const places = Math.floor((dim + padding - size) / stride) + 1;
    return Math.max(0, (places - 1) * stride + size - dim - before);
  });
  return maxPool(x, size, { strides: stride, pads: [before, before, ...after], name });
}

/** Settings of `linear`. */
export interface LinearOptions {
  /** Names the weights `NAME.weight` [outputs, inputs] and `NAME.bias` [outputs]. */
  readonly name: string;
  readonly outputs: number;
  readonly random: WeightSource;
  /** Default: normal with deviation 1 / √inputs. */
  readonly weight?: (random: Random) => Initializer;
  /** Default: 0. */
  readonly bias?: Initializer;
}

/** A fully connected layer: x [N, inputs] (what has more dimensions is flattened) → [N, outputs]. */
export function linear(x: Value, { name, outputs, random, weight, bias }: LinearOptions): Value {
  const flat = x.rank === 2 ? x : flatten(x, { name: `${name}.flat` });
  const inputs = channelsOf(flat, name);
  const { dtype } = flat;
  const w = flat.graph.parameter(`${name}.weight`, {
    shape: [outputs, inputs],
    dtype,
    init: starting(random, name, weight ?? ((stream) => normal(stream, { deviation: 1 / Math.sqrt(inputs) }))),
  });
  const b = flat.graph.parameter(`${name}.bias`, { shape: [outputs], dtype, init: bias ?? constant(0) });
  return gemm(flat, w, b, { transB: true, name });
}

/** Settings of `projectionHead`. */
export interface ProjectionOptions extends Pick<LinearOptions, "name" | "random"> {
  /** Default: as many as x has. */
  readonly hidden?: number;
  /** Size of the embedding. Default: 128. */
  readonly outputs?: number;
}

/**
 * The head on which contrastive losses train, taken away after (Chen et al. 2020, SimCLR, section 2.1; Khosla et al. 2020,
 * section 3.1): two connected layers `NAME.hidden` and `NAME.output` with a ReLU between, x [N, inputs] (what has more
 * dimensions is flattened) → [N, outputs]. The losses bring embeddings to length 1 themselves.
 */
export function projectionHead(x: Value, { name, random, hidden, outputs = 128 }: ProjectionOptions): Value {
  const flat = x.rank === 2 ? x : flatten(x, { name: `${name}.flat` });
  const width = hidden ?? channelsOf(flat, name);
  const weight = (stream: Random) => kaimingNormal(stream);
  const inner = relu(linear(flat, { name: `${name}.hidden`, outputs: width, random, weight }), {
    name: `${name}.relu`,
  });
  return linear(inner, { name: `${name}.output`, outputs, random });
}

/** An activation by its name. */
export function activate(x: Value, activation: Activation, name?: string): Value {
  const label = name === undefined ? undefined : `${name}.${activation}`;
  switch (activation) {
    case "linear":
      return x;
    case "leaky":
      return leakyRelu(x, { alpha: LEAKY_SLOPE, name: label });
    case "logistic":
      return sigmoid(x, { name: label });
    case "relu":
      return relu(x, { name: label });
    case "mish":
      return mish(x, { name: label });
  }
}

/** Each layer draws from a stream of its own, so that a layer more or less leaves the others' weights as they are. */
function starting(source: WeightSource, name: string, draw: (random: Random) => Initializer): Initializer {
  if (source === "zeros") return (shape) => new Float32Array(shape.reduce((product, size) => product * size, 1));
  return draw(source.fork(name));
}

function channelsOf(x: Value, name: string): number {
  const channels: Dim = x.shape[1]!;
  if (typeof channels === "number") return channels;
  throw new ModelError(`layer "${name}": expected a known number of channels in ${x}, found ${channels}`);
}
