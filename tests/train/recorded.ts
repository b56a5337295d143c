/** Batches and networks of tests/peers/training_models.py, which records how PyTorch trains them; how we train them. */

import { fromFile, type Graph, type Tensor, tensor } from "../../lib/onnx/mod.ts";
import {
  adam,
  adamW,
  type Batch,
  compileStep,
  crossEntropy,
  type Optimizer,
  sgd,
  type Step,
  trainable,
} from "../../lib/train/mod.ts";

/** The optimizers of the recording. */
export type OptimizerName = "sgd" | "adam" | "adamw";

/** What was recorded of a network. */
export interface RecordedNetwork {
  /** Of the input, batch first. */
  readonly shape: readonly number[];
  /** How many word ids the input draws from; 0: numbers in [-1, 1). */
  readonly words: number;
  /** Logits of the first batch before training, dropout and batch statistics off. */
  readonly outputs: readonly number[];
  /** Names and shapes of PyTorch's parameters. */
  readonly parameters: Readonly<Record<string, readonly number[]>>;
  /** The loss of each step by optimizer. */
  readonly losses: Readonly<Record<OptimizerName, readonly number[]>>;
}

/** Folder of the recordings. */
export const RECORDED = new URL("../fixtures/training/", import.meta.url).pathname;

/** Numbers in [-1, 1) from a hash of place and stream: `uniform` of training_models.py. */
export function hashed(count: number, stream: number): Float32Array {
  const offset = Math.imul(stream + 1, 2246822519);
  return Float32Array.from({ length: count }, (_, i) => {
    let x = Math.imul(i + 1, 2654435761) ^ offset;
    x = Math.imul(x ^ (x >>> 15), 2246822519);
    x = Math.imul(x ^ (x >>> 13), 3266489917);
    x ^= x >>> 16;
    return (x >>> 0) / 2 ** 31 - 1;
  });
}

/** A batch "x" and "labels" (of 5 classes): `batch` of training_models.py. */
export function recordedBatch({ shape, words }: Pick<RecordedNetwork, "shape" | "words">, stream: number): Batch {
  const [n = 1] = shape;
  const labels = Array.from(hashed(n, 2 * stream + 1), (u) => Math.floor((u + 1) / 2 * 5));
  return { x: inputs(shape, words, stream), labels: tensor("int64", [n], labels) };
}

function inputs(shape: readonly number[], words: number, stream: number): Tensor {
  const x = hashed(shape.reduce((a, b) => a * b, 1), 2 * stream);
  return words === 0
    ? tensor("float32", shape, x)
    : tensor("int64", shape, Array.from(x, (u) => Math.floor((u + 1) / 2 * words)));
}

/** The recording of a folder: by network, and the networks' files. */
export async function readRecording(folder = RECORDED): Promise<Readonly<Record<string, RecordedNetwork>>> {
  return JSON.parse(await Deno.readTextFile(`${folder}/curves.json`)).networks;
}

/** A recorded network's ONNX file. */
export function recordedGraph(name: string, folder = RECORDED): Promise<Graph> {
  return fromFile(`${folder}/${name}.onnx`);
}

/** The optimizers of the recording, with their learning rates. PyTorch's decay touches every parameter. */
export const RECORDED_OPTIMIZERS: Readonly<Record<OptimizerName, { optimizer: Optimizer; rate: number }>> = {
  sgd: { optimizer: sgd({ momentum: 0.9, weightDecay: 5e-4, decayMask: () => true }), rate: 0.02 },
  adam: { optimizer: adam({ weightDecay: 1e-4, decayMask: () => true }), rate: 1e-3 },
  adamw: { optimizer: adamW({ weightDecay: 0.01, decayMask: () => true }), rate: 1e-3 },
};

/** A step on a recorded network's file. */
export async function recordedStep(name: string, optimizer: OptimizerName, folder = RECORDED): Promise<Step> {
  return await compileStep({
    model: trainable(await recordedGraph(name, folder), { dropout: false }),
    loss: ({ output, input }) => crossEntropy(output(), input("labels", "int64", ["N"])),
    optimizer: RECORDED_OPTIMIZERS[optimizer].optimizer,
    worker: false,
    threads: 1,
  });
}

/** Our losses over as many steps as were recorded. */
export async function ourLosses(
  name: string,
  network: RecordedNetwork,
  optimizer: OptimizerName,
  folder = RECORDED,
): Promise<number[]> {
  await using step = await recordedStep(name, optimizer, folder);
  const { rate } = RECORDED_OPTIMIZERS[optimizer];
  const found: number[] = [];
  for (let i = 0; i < network.losses[optimizer].length; i++) {
    found.push((await step.run(recordedBatch(network, i % 4), { learningRate: rate })).loss);
  }
  return found;
}

/** The largest of the relative differences of two curves. */
export function largestDifference(found: readonly number[], expected: readonly number[]): number {
  return Math.max(...expected.map((loss, i) => Math.abs(found[i]! - loss) / Math.abs(loss)));
}
