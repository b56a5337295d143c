/** The cases of the training benchmark: networks, losses, batches; tests/peers/train_step.py has the same ones with PyTorch. */

import {
  add,
  conv,
  gelu,
  globalAveragePool,
  Graph,
  layerNormalization,
  matMul,
  maxPool,
  mul,
  reduceMean,
  reshape,
  softmax,
  split,
  squeeze,
  tensor,
  transpose,
  type Value,
} from "../../lib/onnx/mod.ts";
import {
  constant,
  convolution,
  darknet53,
  type Initializer,
  linear,
  normal,
  type YoloNetwork,
  yoloV3,
} from "../../lib/models/mod.ts";
import { Random } from "../../lib/runtime/mod.ts";
import {
  type Batch,
  crossEntropy,
  type StepOptions,
  type TruthBox,
  yoloLoss,
  yoloTargets,
} from "../../lib/train/mod.ts";

/** Classes of every network. */
export const CLASSES = 1025;

/** What a step is compiled from, and the fixed batch that it is run with. */
export interface TrainCaseParts {
  readonly model: Graph;
  readonly loss: StepOptions["loss"];
  readonly feed: Batch;
}

/** A case of the benchmark. */
interface TrainCaseSpec {
  /** Pictures in a step. */
  readonly batch: number;
  readonly learningRate: number;
  readonly build: (batch: number) => TrainCaseParts;
}

/** 6 × [Conv3x3 – BatchNorm – LeakyReLU(0.1) – MaxPool2], 16 … 512 channels, global average pool: images to "logits". */
function plainCnn(batch: number, size: number): Graph {
  const graph = new Graph("plain"), random = Random.seeded("bench");
  let x = graph.input("images", "float32", [batch, 3, size, size]);
  for (const [i, filters] of [16, 32, 64, 128, 256, 512].entries()) {
    x = maxPool(convolution(x, { name: `conv${i}`, filters, random }), 2, { strides: 2 });
  }
  graph.output(linear(globalAveragePool(x), { name: "head", outputs: CLASSES, random }), "logits");
  return graph;
}

/** Layers of the transformer, with fresh weights. */
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

  /** On the last of any number of dimensions. */
  linear(x: Value, outputs: number): Value {
    const inputs = x.shape.at(-1) as number;
    return add(matMul(x, this.normal([inputs, outputs], 1 / Math.sqrt(inputs))), this.vector(outputs, 0));
  }

  norm(x: Value): Value {
    const width = x.shape.at(-1) as number;
    return layerNormalization(x, this.vector(width, 1), this.vector(width, 0));
  }
}

/** ViT with 64 tokens of 8 x 8 pixels, dim 192, depth 6, 3 heads, mean over tokens: images to "logits". */
function vit(batch: number, size: number): Graph {
  const graph = new Graph("vit"), layers = new Layers(graph), width = 192, heads = 3, tokens = (size / 8) ** 2;
  const images = graph.input("images", "float32", [batch, 3, size, size]);
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
  graph.output(layers.linear(reduceMean(layers.norm(x), { axes: [1] }), CLASSES), "logits");
  return graph;
}

/** A classifier on normal numbers with the mean cross-entropy of random labels. */
function classifier(batch: number, size: number, model: Graph): TrainCaseParts {
  const random = Random.seeded("images");
  const pixels = Float32Array.from({ length: batch * 3 * size * size }, () => random.normal());
  const labels = Array.from({ length: batch }, () => random.int(CLASSES));
  return {
    model,
    loss: ({ output, input }) => crossEntropy(output("logits"), input("labels", "int64", [batch])),
    feed: { images: tensor("float32", [batch, 3, size, size], pixels), labels: tensor("int64", [batch], labels) },
  };
}

/** Left, top, right and bottom in pixels of 416: one box for each of YOLOv3's heads. */
const BOXES = [[20, 30, 400, 390], [150, 40, 240, 130], [300, 350, 330, 380]] as const;

/** A detector with YOLO's loss, `BOXES` in every picture. */
export function detector(batch: number, { graph, spec }: YoloNetwork): TrainCaseParts {
  const random = Random.seeded("images"), { size } = spec, scale = size / 416;
  const pixels = Float32Array.from({ length: batch * 3 * size * size }, () => random.uniform());
  const boxes = Array.from({ length: batch }, (_, n) =>
    BOXES.map(([left, top, right, bottom], k): TruthBox => ({
      classId: (100 * n + k) % spec.classes,
      left: left * scale,
      top: top * scale,
      right: right * scale,
      bottom: bottom * scale,
    })));
  return {
    model: graph,
    loss: yoloLoss(spec),
    feed: { images: tensor("float32", [batch, 3, size, size], pixels), ...yoloTargets(boxes, spec) },
  };
}

/** The cases of the benchmark. */
export const CASES = {
  "cnn-96": { batch: 32, learningRate: 0.01, build: (batch) => classifier(batch, 96, plainCnn(batch, 96)) },
  "cnn-224": { batch: 16, learningRate: 0.01, build: (batch) => classifier(batch, 224, plainCnn(batch, 224)) },
  "darknet-128": {
    batch: 16,
    learningRate: 0.01,
    build: (batch) =>
      classifier(batch, 128, darknet53({ classes: CLASSES, size: 128, batch, random: Random.seeded("bench") })),
  },
  "vit-64": { batch: 32, learningRate: 0.01, build: (batch) => classifier(batch, 64, vit(batch, 64)) },
  // Two pictures: a step is seconds long already, and few pictures are the harder case, for the update of 67 million weights
  // is shared by fewer.
  "yolov3-416": {
    batch: 2,
    learningRate: 1e-4,
    build: (batch) => detector(batch, yoloV3({ classes: CLASSES, size: 416, batch, random: Random.seeded("bench") })),
  },
} as const satisfies Record<string, TrainCaseSpec>;

/** The name of a case. */
export type TrainCase = keyof typeof CASES;
