/** How fast a model answers in WebAssembly: onnxruntime-web, one thread, in the engine that Chrome has too. */

import { fromFile } from "../../onnx/mod.ts";
import { quantile, withSizes } from "../../evaluate/mod.ts";
import { describeError, InputError, WorkError } from "../../runtime/mod.ts";

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

/**
 * Times a model file with one input of numbers, in a process of its own: onnxruntime-web changes globals that workers need. Throws
 * InputError for a model with other inputs, WorkError where the package is not there or the model does not run.
 */
export async function measureWasm(
  path: string,
  { warmUp = 3, runs = 10, seconds = 5 }: WasmOptions = {},
): Promise<WasmLatency> {
  const { inputs: [input, ...others] } = withSizes(await fromFile(path));
  if (!input || others.length > 0 || input.dtype !== "float32") {
    throw new InputError(`${path}: expected one input of float32, found ${[input, ...others].map(String).join(", ")}`);
  }
  const script = new URL("wasm_process.ts", import.meta.url);
  const settings: WasmSettings = { path, input: input.name, shape: input.staticShape, warmUp, runs, seconds };
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--no-check", script.href, JSON.stringify(settings)],
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  if (code === 0) {
    const times = (JSON.parse(text(stdout)) as number[]).sort((a, b) => a - b);
    return { runs: times.length, p50: quantile(times, 0.5), p95: quantile(times, 0.95) };
  }
  const found = text(stderr).split("\n").at(-1) || `status ${code}`;
  throw new WorkError(`${path}: expected a model that runs in onnxruntime-web, found: ${describeError(found)}`);
}

/** What the process is told. */
export interface WasmSettings extends Required<WasmOptions> {
  readonly path: string;
  /** The input's name and shape. */
  readonly input: string;
  readonly shape: readonly number[];
}
