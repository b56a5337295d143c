/** Benchmark beside TensorFlow.js: the same model trained by `compileStep` and by its plain backend, and evaluated by its WebAssembly. */

import {
  batchNormalization,
  conv,
  gemm,
  globalAveragePool,
  Graph,
  leakyRelu,
  maxPool,
  squeeze,
  tensor,
  type Value,
} from "../../lib/onnx/mod.ts";
import { Random } from "../../lib/runtime/mod.ts";
import {
  type Batch,
  compileStep,
  compileTensorFlowStep,
  constant,
  crossEntropy,
  kaimingNormal,
  sgd,
  type Step,
} from "../../lib/train/mod.ts";
import { CLASSES } from "./networks.ts";
import { type BenchRow, benchRow } from "./row.ts";

/** Settings of `benchTensorFlow`. */
export interface TensorFlowBenchOptions {
  /** Pixels of a side; default 96. */
  readonly size?: number;
  /** Our batch; default 32. */
  readonly batch?: number;
  /** TensorFlow.js's batch, small because a picture takes it seconds; default 2. */
  readonly theirBatch?: number;
  /** Channels of the blocks; default 16 … 512. */
  readonly widths?: readonly number[];
  /** Default: 2. */
  readonly threads?: number;
}

/** Two rows in pictures a second: training steps, and the forward pass alone. */
export async function benchTensorFlow(
  { size = 96, batch = 32, theirBatch = 2, widths = [16, 32, 64, 128, 256, 512], threads = 2 }: TensorFlowBenchOptions =
    {},
): Promise<BenchRow[]> {
  const model = network(size, widths);
  const options = {
    model,
    loss: ({ output, input }: Parameters<Parameters<typeof compileStep>[0]["loss"]>[0]) =>
      crossEntropy(output("logits"), input("labels", "int64", ["N"])),
    optimizer: sgd({ momentum: 0.9 }),
  };
  const train = async (step: Step, images: number, times: number) => {
    const fed = pictures(images, size);
    return await rate(images, times, () => step.run(fed, { learningRate: 0.01 }));
  };
  const evaluate = async (step: Step, images: number, times: number) => {
    const { images: x } = pictures(images, size);
    return await rate(images, times, () => step.evaluate({ images: x! }));
  };
  const ours = await using(compileStep({ ...options, threads }), async (step) => [
    await train(step, batch, 5),
    await evaluate(step, batch, 5),
  ]);
  const plain = await using(
    compileTensorFlowStep({ ...options, backend: "cpu" }),
    (step) => train(step, theirBatch, 1),
  );
  const wasm = await using(
    compileTensorFlowStep({ ...options, backend: "wasm" }),
    (step) => evaluate(step, Math.min(batch, 8 * theirBatch), 5),
  );
  const name = `${widths.length} x [Conv, BatchNorm, LeakyReLU, MaxPool], ${size} px`;
  return [
    benchRow("tfjs", `training: ${name}`, "img/s", ours[0]!, { "tfjs-cpu": plain }),
    benchRow("tfjs", `forward: ${name}`, "img/s", ours[1]!, { "tfjs-wasm": wasm }),
  ];
}

async function using<T>(opening: Promise<Step>, work: (step: Step) => Promise<T>): Promise<T> {
  await using step = await opening;
  return await work(step);
}

/** Pictures a second in the shortest of some runs, after one that is not counted (but where there is one only). */
async function rate(images: number, times: number, run: () => Promise<unknown>): Promise<number> {
  if (times > 1) await run();
  let shortest = Infinity;
  for (let i = 0; i < times; i++) {
    const start = performance.now();
    await run();
    shortest = Math.min(shortest, performance.now() - start);
  }
  return 1e3 * images / shortest;
}

function network(size: number, widths: readonly number[]): Graph {
  const graph = new Graph("network"), random = Random.seeded("bench");
  let x: Value = graph.input("images", "float32", ["N", 3, size, size]), inputs = 3;
  for (const [i, width] of widths.entries()) {
    const w = graph.parameter(`block${i}/kernel`, { shape: [width, inputs, 3, 3], init: kaimingNormal(random) });
    const vector = (name: string, value: number) =>
      graph.parameter(`block${i}/${name}`, { shape: [width], init: constant(value) });
    const running = (name: string, value: number) =>
      graph.constant(tensor("float32", [width], new Array<number>(width).fill(value)), { name: `block${i}/${name}` });
    const norm = batchNormalization(
      conv(x, w, { pads: 1 }),
      vector("scale", 1),
      vector("bias", 0),
      running("mean", 0),
      running("variance", 1),
    );
    x = maxPool(leakyRelu(norm, { alpha: 0.1 }), 2, { strides: 2 });
    inputs = width;
  }
  const head = graph.parameter("head", { shape: [inputs, CLASSES], init: kaimingNormal(random) });
  graph.output(gemm(squeeze(globalAveragePool(x), [2, 3]), head), "logits");
  return graph;
}

function pictures(images: number, size: number): Batch {
  const random = Random.seeded("pictures");
  const pixels = Float32Array.from({ length: images * 3 * size * size }, () => random.normal());
  const labels = Array.from({ length: images }, () => random.int(CLASSES));
  return {
    images: tensor("float32", [images, 3, size, size], pixels),
    labels: tensor("int64", [images], labels),
  };
}
