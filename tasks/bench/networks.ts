/** The networks of the training benchmark, as graphs; tests/peers/train_step.py builds the same ones with PyTorch. */

import {
  add,
  batchNormalizationTraining,
  conv,
  gelu,
  globalAveragePool,
  Graph,
  layerNormalization,
  leakyRelu,
  logSoftmax,
  matMul,
  maxPool,
  mul,
  neg,
  oneHot,
  reduceMean,
  reduceSum,
  reshape,
  softmax,
  split,
  squeeze,
  type Tensor,
  tensor,
  transpose,
  type Value,
} from "../../lib/onnx/mod.ts";
import { Random } from "../../lib/runtime/mod.ts";

/** Classes of every network. */
export const CLASSES = 1025;

/** A network with its cross-entropy; inputs are "images" [N, 3, size, size] and "labels" [N] int64. */
export interface Network {
  readonly graph: Graph;
  readonly loss: Value;
  /** The weights, inputs of the graph, with what they begin as. */
  readonly weights: ReadonlyMap<Value, Tensor>;
  readonly size: number;
  readonly batch: number;
}

/** How a network is built. */
export interface NetworkSpec {
  readonly size: number;
  readonly batch: number;
  readonly body: (layers: Layers, images: Value) => Value;
}

/** Layers with fresh weights: Kaiming for convolutions, 1/√n for the rest. */
class Layers {
  readonly #random = Random.seeded("bench");
  #count = 0;

  /** The weights, inputs of the graph, with what they begin as. */
  readonly weights = new Map<Value, Tensor>();

  constructor(readonly graph: Graph) {}

  weight(shape: readonly number[], deviation: number): Value {
    const length = shape.reduce((a, b) => a * b, 1);
    return this.#input(shape, Float32Array.from({ length }, () => this.#random.normal() * deviation));
  }

  constant(length: number, content: number): Value {
    return this.#input([length], new Float32Array(length).fill(content));
  }

  /**
   * A weight, flat as an input: ONNX Runtime 1.30 takes 8 ms in place of 0.2 to scale a [512, 1024, 1, 1] by a number, and
   * moves transpositions of gradients behind Reshape to four dimensions, where they take 20 ms in place of 4. A Reshape
   * costs nothing.
   */
  #input(shape: readonly number[], data: Float32Array): Value {
    const value = this.graph.input(`w${this.#count++}`, "float32", [data.length]);
    this.weights.set(value, tensor("float32", [data.length], data));
    return reshape(value, shape);
  }

  convNormLeaky(x: Value, outputs: number, kernel: number, strides = 1): Value {
    const inputs = x.shape[1] as number;
    const w = this.weight([outputs, inputs, kernel, kernel], Math.sqrt(2 / (inputs * kernel * kernel)));
    const c = conv(x, w, { strides, pads: Math.floor(kernel / 2) });
    const running = () => this.graph.constant(tensor("float32", [outputs], new Array(outputs).fill(this.#count++)));
    const { y } = batchNormalizationTraining(
      c,
      this.constant(outputs, 1),
      this.constant(outputs, 0),
      running(),
      running(),
      {
        momentum: 0,
      },
    );
    return leakyRelu(y, { alpha: 0.1 });
  }

  linear(x: Value, outputs: number): Value {
    const inputs = x.shape.at(-1) as number;
    return add(matMul(x, this.weight([inputs, outputs], 1 / Math.sqrt(inputs))), this.constant(outputs, 0));
  }

  norm(x: Value): Value {
    const width = x.shape.at(-1) as number;
    return layerNormalization(x, this.constant(width, 1), this.constant(width, 0));
  }
}

/** 6 × [Conv3x3 – BatchNorm – LeakyReLU(0.1) – MaxPool2], 16 … 512 channels, global average pool. */
function plainCnn(layers: Layers, images: Value): Value {
  let x = images;
  for (const width of [16, 32, 64, 128, 256, 512]) x = maxPool(layers.convNormLeaky(x, width, 3), 2, { strides: 2 });
  return pooled(x);
}

/** Darknet-53 (Redmon and Farhadi 2018, table 1) without its head. */
function darknet(layers: Layers, images: Value): Value {
  let x = layers.convNormLeaky(images, 32, 3), width = 32;
  for (const depth of [1, 2, 8, 8, 4]) {
    width *= 2;
    x = layers.convNormLeaky(x, width, 3, 2);
    for (let i = 0; i < depth; i++) {
      x = add(x, layers.convNormLeaky(layers.convNormLeaky(x, width / 2, 1), width, 3));
    }
  }
  return pooled(x);
}

/** ViT with 64 tokens of 8 x 8 pixels, dim 192, depth 6, 3 heads, mean over tokens. */
function vit(layers: Layers, images: Value): Value {
  const batch = images.shape[0] as number, width = 192, heads = 3, tokens = 64;
  const patches = conv(images, layers.weight([width, 3, 8, 8], 0.07), { strides: 8, bias: layers.constant(width, 0) });
  let x = transpose(reshape(patches, [batch, width, tokens]), [0, 2, 1]);
  x = add(x, layers.weight([1, tokens, width], 0.02));
  for (let block = 0; block < 6; block++) {
    const qkv = reshape(layers.linear(layers.norm(x), 3 * width), [batch, tokens, 3, heads, width / heads]);
    const [q, k, v] = split(transpose(qkv, [2, 0, 3, 1, 4]), 3, { axis: 0 }).map((part) => squeeze(part, [0]));
    const scores = mul(matMul(q!, transpose(k!, [0, 1, 3, 2])), Math.sqrt(heads / width));
    const attended = reshape(transpose(matMul(softmax(scores), v!), [0, 2, 1, 3]), [batch, tokens, width]);
    x = add(x, layers.linear(attended, width));
    x = add(x, layers.linear(gelu(layers.linear(layers.norm(x), 4 * width)), width));
  }
  return reduceMean(layers.norm(x), { axes: [1] });
}

function pooled(x: Value): Value {
  return squeeze(globalAveragePool(x), [2, 3]);
}

/** The cases of the benchmark. */
export const NETWORKS = {
  "cnn-96": { size: 96, batch: 32, body: plainCnn },
  "cnn-224": { size: 224, batch: 16, body: plainCnn },
  "darknet-128": { size: 128, batch: 16, body: darknet },
  "vit-64": { size: 64, batch: 32, body: vit },
} as const satisfies Record<string, NetworkSpec>;

/** A network with its cross-entropy over 1,025 classes. */
export function buildNetwork({ size, batch, body }: NetworkSpec): Network {
  const graph = new Graph("network");
  const images = graph.input("images", "float32", [batch, 3, size, size]);
  const labels = graph.input("labels", "int64", [batch]);
  const layers = new Layers(graph);
  const logits = layers.linear(body(layers, images), CLASSES);
  const likelihood = mul(logSoftmax(logits), oneHot(labels, CLASSES));
  return { graph, loss: neg(reduceMean(reduceSum(likelihood, { axes: [1] }))), weights: layers.weights, size, batch };
}
