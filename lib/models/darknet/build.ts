/** A Darknet network as an ONNX graph. */

import {
  add,
  concat,
  depthToSpace,
  dropout,
  flatten,
  globalAveragePool,
  Graph,
  mul,
  reshape,
  sigmoid,
  softmax,
  spaceToDepth,
  split,
  type Value,
} from "../../onnx/mod.ts";
import {
  activate,
  type Activation,
  convolution,
  darknetMaxPool,
  linear,
  upsample,
  type WeightSource,
} from "../layers.ts";
import type { YoloHead, YoloSpec } from "../yolo_spec.ts";
import type { DarknetLayer, DarknetNetwork, DetectionOptions } from "./network.ts";
import { INFERENCE_EPSILON, TRAINING_EPSILON } from "./variance.ts";

/** A detecting layer of an imported network. Its anchors are pixels of the input, in [region] too. */
export interface DarknetHead extends YoloHead {
  /** The layer's number in the file. */
  readonly layer: number;
  readonly kind: "yolo" | "region";
  readonly classes: number;
  /** Darknet takes a softmax of the class scores ([region] with softmax=1), else a sigmoid of each. */
  readonly classProbabilities: "sigmoid" | "softmax";
}

/** Settings of `buildDarknet`. */
export interface BuildOptions {
  /** Starting values of the weights. Default: "zeros", to be loaded. */
  readonly random?: WeightSource;
  /**
   * true (default): outputs as Darknet has them, after the last layer's activation: in [yolo] sigmoids of x, y, objectness and
   * classes; probabilities of a softmax. false: before it, for training: raw heads, logits; batch normalisation then has ε =
   * 1e-5 in place of 1e-12.
   */
  readonly activated?: boolean;
  /** Pictures at a time; default: any number, "N". */
  readonly batch?: number;
  /** Of batch normalisation, in place of the above. */
  readonly epsilon?: number;
}

/** An imported network. */
export interface DarknetGraph {
  /** "images" [N, channels, height, width] to one output for each detecting layer, and one for a last layer of another kind. */
  readonly graph: Graph;
  /** In the file's order, coarsest first in the published files. */
  readonly heads: readonly DarknetHead[];
  /** The heads as `lib/train` and the decoding know them; undefined where there are none, or the input is not square. */
  readonly spec: YoloSpec | undefined;
}

/**
 * Builds the graph. Convolutions are named conv0, conv1, …, connected layers fc0, fc1, …, outputs by kind and number of their layer: "yolo82", "yolo94",
 * "yolo106", "softmax24".
 */
export function buildDarknet(network: DarknetNetwork, options: BuildOptions = {}): DarknetGraph {
  const { activated = true, batch = "N" } = options;
  const settings: Settings = {
    random: options.random ?? "zeros",
    epsilon: options.epsilon ?? (activated ? INFERENCE_EPSILON : TRAINING_EPSILON),
    activated,
  };
  const graph = new Graph(network.name.replace(/^.*[/\\]/, "").replace(/\.cfg$/, ""));
  const images = graph.input("images", "float32", [batch, ...network.input]);
  const builder = new Builder(settings, network);
  const heads: DarknetHead[] = [];
  const layers = network.layers.filter(({ kind }) => kind !== "cost");
  const values: Value[] = [];
  let x = images;
  for (const layer of network.layers) {
    x = builder.layer(layer, x, values);
    values.push(x);
    if (layer.kind === "yolo" || layer.kind === "region") {
      const head = headOf(layer, network);
      graph.output(x, head.output);
      heads.push(head);
    } else if (layer === layers.at(-1)) graph.output(x, `${layer.kind}${layer.index}`);
  }
  return { graph, heads, spec: specOf(heads, network) };
}

interface Settings {
  readonly random: WeightSource;
  readonly epsilon: number;
  readonly activated: boolean;
}

class Builder {
  readonly #settings: Settings;
  readonly #last: DarknetLayer | undefined;
  #convolutions = 0;
  #connected = 0;

  constructor(settings: Settings, network: DarknetNetwork) {
    this.#settings = settings;
    this.#last = network.layers.findLast(({ kind }) => kind !== "cost");
  }

  /** One layer on the value before it and those of all earlier layers. */
  layer(layer: DarknetLayer, x: Value, earlier: readonly Value[]): Value {
    const { random, epsilon, activated } = this.#settings;
    const name = `${layer.kind}${layer.index}`;
    switch (layer.kind) {
      case "convolutional":
        return convolution(x, { ...layer, random, epsilon, name: `conv${this.#convolutions++}` });
      case "connected":
        return this.#connect(x, layer.outputs, layer.activation);
      case "maxpool":
        return darknetMaxPool(x, { ...layer, name });
      case "avgpool":
        return globalAveragePool(x, { name });
      case "shortcut": {
        const other = earlier[layer.from]!;
        const sum = add(scaled(x, layer.alpha), scaled(other, layer.beta), { name: `${name}.sum` });
        return activate(sum, layer.activation, name);
      }
      case "route": {
        const parts = layer.from.map((from) => earlier[from]!);
        return parts.length === 1 ? parts[0]! : concat(parts, 1, { name });
      }
      case "upsample":
        return scaled(upsample(x, { factor: layer.stride, name: `${name}.map` }), layer.scale);
      case "reorg":
        return reorganise(x, layer, name);
      case "dropout":
        return dropout(x, { ratio: layer.probability, name }).y;
      case "softmax": {
        const flat = flatten(scaled(x, 1 / layer.temperature), { name: `${name}.flat` });
        return activated || layer !== this.#last ? softmax(flat, { name }) : flat;
      }
      case "cost":
        return x;
      case "yolo":
      case "region":
        return activated ? activateHead(x, layer, name) : x;
    }
  }

  #connect(x: Value, outputs: number, activation: Activation): Value {
    const name = `fc${this.#connected++}`;
    return activate(linear(x, { name, outputs, random: this.#settings.random }), activation, name);
  }
}

function scaled(x: Value, factor: number): Value {
  return factor === 1 ? x : mul(x, factor);
}

/**
 * Darknet's reorg (`reorg_cpu`). Forward it takes the map [C, H, W] for one of [C / s², H · s, W · s], moves space into channels,
 * and takes the result for [C · s², H / s, W / s]: not what it was meant to do, but what the published weights were trained on.
 */
function reorganise(x: Value, layer: DarknetLayer & { kind: "reorg" }, name: string): Value {
  const { stride, reverse, input: [channels, height, width], output } = layer;
  if (stride === 1) return x;
  if (reverse) return depthToSpace(x, stride, { name });
  const wide = reshape(x, [0, channels / (stride * stride), height * stride, width * stride], { name: `${name}.wide` });
  return reshape(spaceToDepth(wide, stride, { name: `${name}.blocks` }), [0, ...output], { name });
}

/** Darknet's activation of a head: sigmoids of x, y and objectness, w and h as they are, sigmoids or a softmax of the classes. */
function activateHead(x: Value, layer: DarknetLayer & DetectionOptions, name: string): Value {
  const { anchors, classes, softmax: exclusive, output: [channels, height, width] } = layer;
  const entries = reshape(x, [0, anchors.length, 5 + classes, height, width], { name: `${name}.entries` });
  const parts = exclusive ? [2, 2, 1, classes] : [2, 2, 1 + classes];
  const [place, extent, objectness, scores] = split(entries, parts, { axis: 2, name: `${name}.split` });
  const active = [sigmoid(place!), extent!, sigmoid(objectness!), ...(scores ? [softmax(scores, { axis: 2 })] : [])];
  return reshape(concat(active, 2, { name: `${name}.active` }), [0, channels, height, width], { name });
}

function headOf(layer: DarknetLayer & DetectionOptions, { input }: DarknetNetwork): DarknetHead {
  const { kind, index, classes, softmax: exclusive, output } = layer;
  const strides = [input[2] / output[2], input[1] / output[1]] as const;
  return {
    output: `${kind}${index}`,
    layer: index,
    kind,
    classes,
    classProbabilities: exclusive ? "softmax" : "sigmoid",
    stride: strides[0],
    // [region] counts anchors in cells.
    anchors: kind === "yolo" ? layer.anchors : layer.anchors.map(([w, h]) => [w * strides[0], h * strides[1]] as const),
  };
}

function specOf(heads: readonly DarknetHead[], { input: [, height, width] }: DarknetNetwork): YoloSpec | undefined {
  const [first] = heads;
  if (!first || height !== width || heads.some(({ classes }) => classes !== first.classes)) return undefined;
  const plain = heads.map(({ output, stride, anchors }) => ({ output, stride, anchors }));
  return { classes: first.classes, size: width, heads: plain };
}
