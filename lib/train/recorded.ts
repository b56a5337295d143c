/** For tests only: batches and networks of tests/peers/training_models.py, which records how PyTorch trains them. */

import { fromFile, type Graph, type Tensor, tensor } from "../onnx/mod.ts";
import type { Batch } from "./batch.ts";
import { adam, adamW, sgd } from "./optimizers.ts";
import type { Optimizer } from "./optimizer.ts";

/** What was recorded of a network. */
export interface RecordedNetwork {
  /** Of the input, batch first. */
  readonly shape: readonly number[];
  /** How many word ids the input draws from; 0: numbers in [-1, 1). */
  readonly words: number;
  /** Logits of the first batch before training, dropout and batch statistics off. */
  readonly outputs: readonly number[];
  /** The loss of each step by optimizer. */
  readonly losses: Readonly<Record<"sgd" | "adam" | "adamw", readonly number[]>>;
}

/** Folder of the recordings. */
export const RECORDED = new URL("../../tests/fixtures/training/", import.meta.url).pathname;

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
export const RECORDED_OPTIMIZERS: Readonly<Record<"sgd" | "adam" | "adamw", { optimizer: Optimizer; rate: number }>> = {
  sgd: { optimizer: sgd({ momentum: 0.9, weightDecay: 5e-4, decayMask: () => true }), rate: 0.02 },
  adam: { optimizer: adam({ weightDecay: 1e-4, decayMask: () => true }), rate: 1e-3 },
  adamw: { optimizer: adamW({ weightDecay: 0.01, decayMask: () => true }), rate: 1e-3 },
};
