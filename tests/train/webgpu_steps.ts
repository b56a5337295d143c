/**
 * Trains three small networks for a few steps on a device and prints losses and weights as JSON: `webgpu_steps.ts DEVICE`.
 * A process of its own, since the Vulkan driver is chosen by its environment.
 */

import {
  add,
  batchNormalization,
  conv,
  flatten,
  gemm,
  globalAveragePool,
  Graph,
  leakyRelu,
  maxPool,
  relu,
  tensor,
  toNumbers,
  type Value,
} from "../../lib/onnx/mod.ts";
import { type Device, DEVICES, Random } from "../../lib/runtime/mod.ts";
import type { YoloSpec } from "../../lib/models/mod.ts";
import {
  adamW,
  type Batch,
  compileStep,
  constant,
  crossEntropy,
  kaimingNormal,
  type Optimizer,
  sgd,
  type StepOptions,
  yoloLoss,
  yoloTargets,
} from "../../lib/train/mod.ts";

/** What is printed for a network. */
export interface TrainedOn {
  readonly losses: readonly number[];
  /** Weights and running statistics by name. */
  readonly weights: Readonly<Record<string, readonly number[]>>;
}

/** Steps that each network is trained for. */
export const STEPS = 5;

const IMAGE = 16, BATCH = 4;

/** Weights by order; channels are multiples of 4 (see lib/autodiff/rules/webgpu_test.ts). */
class Weights {
  readonly #random: Random;
  #count = 0;

  constructor(readonly graph: Graph) {
    this.#random = Random.seeded("webgpu", graph.name);
  }

  kernel(...shape: number[]): Value {
    return this.graph.parameter(`kernel${this.#count++}`, { shape, init: kaimingNormal(this.#random) });
  }

  normalised(x: Value): Value {
    const channels = x.shape[1] as number, name = `norm${this.#count++}`;
    const running = (kind: string, value: number) =>
      this.graph.constant(tensor("float32", [channels], new Array<number>(channels).fill(value)), {
        name: `${name}/${kind}`,
      });
    const vector = (kind: string, value: number) =>
      this.graph.parameter(`${name}/${kind}`, { shape: [channels], init: constant(value) });
    return batchNormalization(x, vector("scale", 1), vector("bias", 0), running("mean", 0), running("variance", 1));
  }
}

function cnn(): Graph {
  const graph = new Graph("cnn"), layers = new Weights(graph);
  let x = graph.input("x", "float32", ["N", 3, IMAGE, IMAGE]), inputs = 3;
  for (const width of [8, 16]) {
    x = maxPool(
      leakyRelu(layers.normalised(conv(x, layers.kernel(width, inputs, 3, 3), { pads: 1 })), { alpha: 0.1 }),
      2,
      {
        strides: 2,
      },
    );
    inputs = width;
  }
  graph.output(gemm(flatten(globalAveragePool(x)), layers.kernel(16, 4)), "logits");
  return graph;
}

function residual(): Graph {
  const graph = new Graph("residual"), layers = new Weights(graph);
  let x = relu(
    layers.normalised(
      conv(graph.input("x", "float32", ["N", 3, IMAGE, IMAGE]), layers.kernel(8, 3, 3, 3), { pads: 1 }),
    ),
  );
  x = add(x, relu(layers.normalised(conv(x, layers.kernel(8, 8, 3, 3), { pads: 1 }))));
  const short = conv(x, layers.kernel(16, 8, 1, 1), { strides: 2 });
  x = relu(add(short, layers.normalised(conv(x, layers.kernel(16, 8, 3, 3), { pads: 1, strides: 2 }))));
  graph.output(gemm(flatten(globalAveragePool(x)), layers.kernel(16, 4)), "logits");
  return graph;
}

const spec: YoloSpec = {
  classes: 3,
  size: IMAGE,
  heads: [{ output: "head", stride: 4, anchors: [[4, 5], [9, 8]] }],
};

function detector(): Graph {
  const graph = new Graph("detector"), layers = new Weights(graph);
  const x = graph.input("x", "float32", ["N", 3, IMAGE, IMAGE]);
  const features = leakyRelu(layers.normalised(conv(x, layers.kernel(8, 3, 4, 4), { strides: 4 })), { alpha: 0.1 });
  graph.output(conv(features, layers.kernel(2 * (5 + spec.classes), 8, 1, 1)), "head");
  return graph;
}

/** A loss and what it is fed with the pictures, from their labels. */
interface Task {
  readonly loss: StepOptions["loss"];
  targets(labels: readonly number[]): Batch;
}

const classes: Task = {
  loss: ({ output, input }) => crossEntropy(output("logits"), input("labels", "int64", ["N"])),
  targets: (labels) => ({ labels: tensor("int64", [BATCH], labels) }),
};

const boxes: Task = {
  loss: yoloLoss(spec, { maxBoxes: 2, boxLoss: "ciou", neighbours: true, ignoreThreshold: 0.4 }),
  targets: (labels) =>
    yoloTargets(
      // The fourth label is a picture without objects.
      labels.map((classId) => classId === 3 ? [] : [{ classId, left: 1, top: 2, right: 6 + classId, bottom: 9 }]),
      spec,
      { maxBoxes: 2, neighbours: true },
    ),
};

async function train(model: Graph, { loss, targets }: Task, optimizer: Optimizer, device: Device): Promise<TrainedOn> {
  await using step = await compileStep({
    model,
    optimizer,
    loss,
    symbols: { N: BATCH },
    device,
    worker: false,
    threads: 1,
  });
  const losses: number[] = [];
  for (let i = 0; i < STEPS; i++) {
    const random = Random.seeded("webgpu batch", i);
    const labels = Array.from({ length: BATCH }, () => random.int(4));
    const pixels = labels.flatMap((label) =>
      Array.from({ length: 3 * IMAGE * IMAGE }, (_, at) => random.normal() + (at % 4 === label ? 1 : 0))
    );
    const batch = {
      x: tensor("float32", [BATCH, 3, IMAGE, IMAGE], pixels),
      ...targets(labels),
    };
    losses.push((await step.run(batch, { learningRate: 0.02 })).loss);
  }
  const weights = Object.entries(await step.parameters()).map(([name, content]) => [name, toNumbers(content)] as const);
  return { losses, weights: Object.fromEntries(weights) };
}

if (import.meta.main) {
  const device = DEVICES.find((each) => each === Deno.args[0]);
  if (!device) throw new Error(`expected a device of ${DEVICES.join(", ")}, found ${Deno.args[0]}`);
  const result: Record<string, TrainedOn> = {
    "a CNN with momentum": await train(cnn(), classes, sgd({ momentum: 0.9, clipNorm: 10 }), device),
    "a residual network with AdamW": await train(residual(), classes, adamW(), device),
    "a detector with CIoU": await train(detector(), boxes, sgd({ momentum: 0.9 }), device),
  };
  console.log(JSON.stringify(result));
  Deno.exit(0); // webgpu's native threads outlive their sessions
}
