/** `wasm_process.ts SETTINGS`: times a model in onnxruntime-web on one thread and prints the milliseconds of each counted run. */

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describeError, elementCount, exitStatusOf, Random } from "../../runtime/mod.ts";
import { ortWebFolder } from "../targets/assets.ts";
import type { WasmSettings } from "./wasm.ts";

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

try {
  const settings = JSON.parse(Deno.args[0]!) as WasmSettings;
  console.log(JSON.stringify(await timed(await loadLibrary(), settings)));
} catch (error) {
  console.error(describeError(error));
  Deno.exit(exitStatusOf(error));
}

async function loadLibrary(): Promise<OrtWeb> {
  const folder = ortWebFolder();
  const ort = await import(pathToFileURL(join(folder, "ort.wasm.min.mjs")).href) as OrtWeb;
  ort.env.logLevel = "fatal";
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = pathToFileURL(`${folder}/`).href;
  return ort;
}

async function timed(
  ort: OrtWeb,
  { path, input, shape, warmUp, runs, seconds }: WasmSettings,
): Promise<number[]> {
  const session = await ort.InferenceSession.create(await Deno.readFile(path), { executionProviders: ["wasm"] });
  const random = Random.seeded("latency"), times: number[] = [];
  const numbers = Float32Array.from({ length: elementCount(shape) }, () => random.uniform());
  const feeds = { [input]: new ort.Tensor("float32", numbers, shape) };
  for (let i = 0; i < warmUp; i++) await session.run(feeds);
  for (let total = 0; times.length < runs && (times.length < 3 || total < 1e3 * seconds);) {
    const begin = performance.now();
    await session.run(feeds);
    times.push(performance.now() - begin);
    total += times.at(-1)!;
  }
  await session.release();
  return times;
}
