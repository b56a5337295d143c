/** How fast a model answers in WebAssembly: onnxruntime-web, one thread, in the engine that Chrome has too. */

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { fromModel } from "../../onnx/mod.ts";
import { quantile, withSizes } from "../../evaluate/mod.ts";
import { describeError, elementCount, InputError, Random, WorkError } from "../../runtime/mod.ts";
import { ortWebFolder } from "../targets/assets.ts";

/** What is used of onnxruntime-web. */
interface OrtWeb {
  readonly env: { logLevel: string; readonly wasm: { numThreads: number; wasmPaths: string } };
  readonly InferenceSession: {
    create(model: Uint8Array, options: { executionProviders: string[] }): Promise<{
      run(feeds: Readonly<Record<string, unknown>>): Promise<unknown>;
      release(): Promise<void>;
    }>;
  };
  readonly Tensor: new (type: "float32", data: Float32Array, shape: readonly number[]) => unknown;
}

/** Settings of `measureWasm`. */
export interface WasmOptions {
  /** Runs before the clock starts: the engine compiles what is used much anew. Default: 3. */
  readonly warmUp?: number;
  /** Runs that count. Default: 10. */
  readonly runs?: number;
  /** Once the counted runs took so long, no more are made, but at least three. Default: 5. */
  readonly seconds?: number;
}

/** What was measured. */
export interface WasmLatency {
  readonly runs: number;
  /** Milliseconds of one picture. */
  readonly p50: number;
  readonly p95: number;
}

let library: Promise<OrtWeb> | undefined;

async function loadLibrary(): Promise<OrtWeb> {
  const folder = ortWebFolder();
  const ort = await import(pathToFileURL(join(folder, "ort.wasm.min.mjs")).href) as OrtWeb;
  ort.env.logLevel = "fatal";
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = pathToFileURL(`${folder}/`).href;
  return ort;
}

/**
 * Times a model with one input of numbers. Throws InputError for a model with other inputs, WorkError where the package is not there or
 * the model does not run.
 */
export async function measureWasm(
  model: Uint8Array,
  { warmUp = 3, runs = 10, seconds = 5 }: WasmOptions = {},
): Promise<WasmLatency> {
  const { inputs } = withSizes(fromModel(model)), [input] = inputs;
  if (!input || inputs.length !== 1 || input.dtype !== "float32") {
    throw new InputError(`wasm: expected a model with one input of float32, found ${inputs.map(String).join(", ")}`);
  }
  const shape = input.staticShape, random = Random.seeded("latency");
  const numbers = Float32Array.from({ length: elementCount(shape) }, () => random.uniform());
  try {
    const ort = await (library ??= loadLibrary());
    const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
    try {
      const feeds = { [input.name]: new ort.Tensor("float32", numbers, shape) }, times: number[] = [];
      for (let i = 0; i < warmUp; i++) await session.run(feeds);
      for (let total = 0; times.length < runs && (times.length < 3 || total < 1e3 * seconds);) {
        const begin = performance.now();
        await session.run(feeds);
        times.push(performance.now() - begin);
        total += times.at(-1)!;
      }
      times.sort((a, b) => a - b);
      return { runs: times.length, p50: quantile(times, 0.5), p95: quantile(times, 0.95) };
    } finally {
      await session.release();
    }
  } catch (error) {
    if (error instanceof WorkError) throw error;
    throw new WorkError(`wasm: expected the model to run in onnxruntime-web, found: ${describeError(error)}`, {
      cause: error,
    });
  }
}
