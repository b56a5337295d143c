/** The networks of the training benchmark, as inference graphs; tests/peers/train_step.py builds the same ones with PyTorch. */

import {
  add,
  batchNormalization,
  concat,
  conv,
  gelu,
  globalAveragePool,
  Graph,
  layerNormalization,
  leakyRelu,
  matMul,
  maxPool,
  mul,
  reduceMean,
  reshape,
  resize,
  softmax,
  split,
  squeeze,
  type Tensor,
  tensor,
  transpose,
  type Value,
} from "../../lib/onnx/mod.ts";
import { constant, type Initializer, kaimingNormal, normal, Random } from "../../lib/train/mod.ts";

/** Classes of every network. */
export const CLASSES = 1025;

/** How a network is built: "images" [batch, 3, size, size] → "logits" [batch, 1025]. */
export interface NetworkSpec {
  /** Side of the images in pixels. */
  readonly size: number;
  readonly batch: number;
  readonly body: (layers: Layers, images: Value) => Value;
}

/** Layers with fresh weights: Kaiming for convolutions, 1/√n for the rest. */
class Layers {
  readonly #random = Random.seeded("bench");
  #count = 0;

  constructor(readonly graph: Graph) {}

  parameter(shape: readonly number[], init: Initializer): Value {
    return this.graph.parameter(`w${this.#count++}`, { shape, init });
  }

  normal(shape: readonly number[], deviation: number): Value {
    return this.parameter(shape, normal(this.#random, { deviation }));
  }

  vector(length: number, content: number): Value {
    return this.parameter([length], constant(content));
  }

  convNormLeaky(x: Value, outputs: number, kernel: number, strides = 1): Value {
    const w = this.parameter([outputs, x.shape[1] as number, kernel, kernel], kaimingNormal(this.#random));
    const c = conv(x, w, { strides, pads: Math.floor(kernel / 2) });
    const [scale, bias, mean, variance] = [1, 0, 0, 1].map((content) => this.vector(outputs, content)) as [
      Value,
      Value,
      Value,
      Value,
    ];
    return leakyRelu(batchNormalization(c, scale, bias, mean, variance), { alpha: 0.1 });
  }

  linear(x: Value, outputs: number): Value {
    const inputs = x.shape.at(-1) as number;
    return add(matMul(x, this.normal([inputs, outputs], 1 / Math.sqrt(inputs))), this.vector(outputs, 0));
  }

  norm(x: Value): Value {
    const width = x.shape.at(-1) as number;
    return layerNormalization(x, this.vector(width, 1), this.vector(width, 0));
  }
}

/** 6 × [Conv3x3 – BatchNorm – LeakyReLU(0.1) – MaxPool2], 16 … 512 channels, global average pool. */
function plainCnn(layers: Layers, images: Value): Value {
  let x = images;
  for (const width of [16, 32, 64, 128, 256, 512]) x = maxPool(layers.convNormLeaky(x, width, 3), 2, { strides: 2 });
  return pooled(x);
}

/** The maps of Darknet-53 (Redmon and Farhadi 2018, table 1) after each of its five stages. */
function darknetStages(layers: Layers, images: Value): Value[] {
  let x = layers.convNormLeaky(images, 32, 3), width = 32;
  return [1, 2, 8, 8, 4].map((depth) => {
    width *= 2;
    x = layers.convNormLeaky(x, width, 3, 2);
    for (let i = 0; i < depth; i++) {
      x = add(x, layers.convNormLeaky(layers.convNormLeaky(x, width / 2, 1), width, 3));
    }
    return x;
  });
}

/** Darknet-53 without its head. */
function darknet(layers: Layers, images: Value): Value {
  return pooled(darknetStages(layers, images).at(-1)!);
}

/** ViT with 64 tokens of 8 x 8 pixels, dim 192, depth 6, 3 heads, mean over tokens. */
function vit(layers: Layers, images: Value): Value {
  const batch = images.shape[0] as number, width = 192, heads = 3, tokens = 64;
  const patches = conv(images, layers.normal([width, 3, 8, 8], 0.07), { strides: 8, bias: layers.vector(width, 0) });
  let x = transpose(reshape(patches, [batch, width, tokens]), [0, 2, 1]);
  x = add(x, layers.normal([1, tokens, width], 0.02));
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

/** A case of the benchmark. */
export type TrainCase = keyof typeof NETWORKS;

/** A network: "images" → "logits". */
export function buildNetwork({ size, batch, body }: NetworkSpec): Graph {
  const graph = new Graph("network");
  const layers = new Layers(graph);
  graph.output(
    layers.linear(body(layers, graph.input("images", "float32", [batch, 3, size, size])), CLASSES),
    "logits",
  );
  return graph;
}

/** The fixed random batch of a network: "images" and "labels" [batch] int64. */
export function buildBatch({ size, batch }: NetworkSpec): { images: Tensor; labels: Tensor } {
  const random = Random.seeded("images");
  const pixels = Float32Array.from({ length: batch * 3 * size * size }, () => random.normal());
  const labels = Array.from({ length: batch }, () => random.int(CLASSES));
  return { images: tensor("float32", [batch, 3, size, size], pixels), labels: tensor("int64", [batch], labels) };
}

/**
 * YOLOv3 (Redmon and Farhadi 2018) with 1,025 classes: Darknet-53 and 23 further convolutions, at 416 px; outputs "coarse",
 * "middle" and "fine", each [1, 3 · (5 + 1025), side, side]. All of its 75 convolutions have weights of one number, for it
 * is compiled only.
 */
export function buildYolo(): Graph {
  const graph = new Graph("yolov3");
  const layers = new ConstantLayers(graph);
  const stages = darknetStages(layers, graph.input("images", "float32", [1, 3, 416, 416]));
  let x = stages[4]!;
  for (const [scale, width] of [512, 256, 128].entries()) {
    if (scale > 0) {
      const narrow = layers.convNormLeaky(x, width, 1);
      x = concat([resize(narrow, { scales: [1, 1, 2, 2] }), stages[4 - scale]!], 1);
    }
    for (let i = 0; i < 2; i++) x = layers.convNormLeaky(layers.convNormLeaky(x, width, 1), 2 * width, 3);
    x = layers.convNormLeaky(x, width, 1);
    const outputs = 3 * (5 + CLASSES);
    const last = layers.convNormLeaky(x, 2 * width, 3);
    const bias = layers.vector(outputs, 0);
    graph.output(
      conv(last, layers.normal([outputs, 2 * width, 1, 1], 0.01), { bias }),
      ["coarse", "middle", "fine"][scale]!,
    );
  }
  return graph;
}

class ConstantLayers extends Layers {
  override parameter(shape: readonly number[]): Value {
    return super.parameter(shape, constant(0.01));
  }
}
