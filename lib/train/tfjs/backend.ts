/** Which TensorFlow.js runs: the first that is installed and starts. */

import { describeError } from "../../runtime/mod.ts";
import { TrainError } from "../errors.ts";

/** TensorFlow.js as a module. */
export type TensorFlow = typeof import("@tensorflow/tfjs");

/**
 * Where TensorFlow.js computes: its bindings to the native library (with or without CUDA), WebGPU, plain JavaScript, or WebAssembly,
 * which can evaluate but not train convolutions (it lacks Conv2DBackpropFilter).
 */
export type TensorFlowBackend = "node-gpu" | "node" | "webgpu" | "cpu" | "wasm";

/** The backends that train, the fastest first. */
export const TENSORFLOW_BACKENDS: readonly TensorFlowBackend[] = ["node-gpu", "node", "webgpu", "cpu"];

/** A TensorFlow.js that started. */
export interface TensorFlowRuntime {
  readonly tf: TensorFlow;
  readonly backend: TensorFlowBackend;
  /** The npm package it comes from. */
  readonly package: string;
  readonly version: string;
  /** Why each faster backend was passed over, in one line. */
  readonly skipped: Partial<Readonly<Record<TensorFlowBackend, string>>>;
}

/**
 * Packages that are used where deno.json names them and not fetched otherwise: the bindings to the native library download it
 * at install, and no test needs them.
 */
const OPTIONAL: Partial<Readonly<Record<TensorFlowBackend, string>>> = {
  "node-gpu": "@tensorflow/tfjs-node-gpu",
  node: "@tensorflow/tfjs-node",
  webgpu: "@tensorflow/tfjs-backend-webgpu",
  wasm: "@tensorflow/tfjs-backend-wasm",
};

/**
 * Starts the backend named, or the fastest there is: tfjs-node-gpu, tfjs-node, WebGPU, plain JavaScript. Throws TrainError
 * with the cause for one that does not start.
 */
export async function startTensorFlow(wanted?: TensorFlowBackend): Promise<TensorFlowRuntime> {
  const skipped: Partial<Record<TensorFlowBackend, string>> = {};
  for (const backend of wanted === undefined ? TENSORFLOW_BACKENDS : [wanted]) {
    try {
      const { tf, name } = await start(backend);
      return { tf, backend, package: name, version: tf.version.tfjs, skipped };
    } catch (error) {
      skipped[backend] = describeError(error, 200);
    }
  }
  const causes = Object.entries(skipped).map(([backend, cause]) => `${backend}: ${cause}`).join("; ");
  throw new TrainError(`TensorFlow.js: expected a backend that starts, found ${causes}`);
}

async function start(backend: TensorFlowBackend): Promise<{ tf: TensorFlow; name: string }> {
  const optional = OPTIONAL[backend];
  const added: unknown = optional === undefined ? undefined : await import(optional);
  const native = backend === "node" || backend === "node-gpu";
  const tf = native ? added as TensorFlow : await import("@tensorflow/tfjs");
  tf.env().set("PROD", true); // no advice to install another package
  const name = native ? "tensorflow" : backend;
  if (!await tf.setBackend(name)) {
    throw new TrainError(`expected the backend "${name}" to start, found that it did not`);
  }
  await tf.ready();
  return { tf, name: native ? optional! : "@tensorflow/tfjs" };
}
