/** How fast a model answers and how much memory and disk it takes. */

import { modelFiles } from "../onnx/mod.ts";
import {
  describeError,
  type Device,
  elementCount,
  openSession,
  Random,
  type Session,
  type SessionOptions,
  type Tensor,
  tensor,
  WorkError,
} from "../runtime/mod.ts";
import { EvaluateError } from "./errors.ts";
import { quantile } from "./quantile.ts";

/** How a model is run to be measured. */
export interface LatencyOptions {
  /** Pictures in a run, each size measured on its own. Default: 1 and 16, or what the model fixes. */
  readonly batches?: readonly number[];
  /** CPU threads inside an operator; default: as many as the machine has. */
  readonly threads?: number;
  readonly device?: Device;
  /** Runs before the clock starts; default 3. */
  readonly warmUp?: number;
  /** Runs that count; default 30. */
  readonly runs?: number;
  /** Once the counted runs of a batch size took so long, no more are made (but at least 5 in any case); default 20. */
  readonly seconds?: number;
  /** Sizes for symbols of the inputs' shapes other than the first dimension, e.g. `{ H: 416 }`. */
  readonly sizes?: Readonly<Record<string, number>>;
  readonly session?: Omit<SessionOptions, "threads" | "device">;
}

/** What was measured at one batch size. */
export interface Latency {
  readonly batch: number;
  /** Runs that count. */
  readonly runs: number;
  readonly threads: number;
  readonly device: Device;
  /** Milliseconds of a whole run, median and 95th percentile (linear between runs). */
  readonly p50: number;
  readonly p95: number;
  /** Pictures a second over all counted runs. */
  readonly imagesPerSecond: number;
}

/**
 * Inference latency of a model on random numbers in 0 … 1, after warm-up. Decoding pictures and reading results is not part of
 * it. Throws EvaluateError for a batch size that the model does not take and for a symbol without a size.
 */
export async function measureLatency(model: Uint8Array | string, options: LatencyOptions = {}): Promise<Latency[]> {
  const { threads = defaultThreads(), device = "cpu", warmUp = 3, runs = 30, seconds = 20 } = options;
  if (!(runs >= 1)) throw new EvaluateError(`measureLatency: expected at least one run, found ${runs}`);
  await using session = await openSession(model, { ...options.session, threads, device });
  const results: Latency[] = [];
  for (const batch of options.batches ?? defaultBatches(session)) {
    const feeds = randomFeeds(session, batch, options.sizes);
    for (let i = 0; i < warmUp; i++) await session.run(feeds);
    const times: number[] = [];
    let total = 0;
    while (times.length < runs && (times.length < 5 || total < 1000 * seconds)) {
      const begin = performance.now();
      await session.run(feeds);
      const time = performance.now() - begin;
      times.push(time);
      total += time;
    }
    times.sort((a, b) => a - b);
    results.push({
      batch,
      runs: times.length,
      threads,
      device,
      p50: quantile(times, 0.5),
      p95: quantile(times, 0.95),
      imagesPerSecond: 1000 * batch * times.length / total,
    });
  }
  return results;
}

/** Threads that a run uses unless told otherwise. */
function defaultThreads(): number {
  return Math.max(1, navigator.hardwareConcurrency || 1);
}

/** 1 and 16 where the model leaves the batch open, else the size that it fixes. */
function defaultBatches({ inputs }: Session): number[] {
  const fixed = inputs.map(({ shape }) => shape[0]).find((size) => typeof size === "number");
  return fixed === undefined ? [1, 16] : [fixed];
}

/** A tensor for each input: floating point from 0 … 1 (no zeros, which some kernels are faster on), other types 0. */
function randomFeeds(
  session: Session,
  batch: number,
  sizes: Readonly<Record<string, number>> = {},
): Record<string, Tensor> {
  const random = Random.seeded("latency");
  return Object.fromEntries(session.inputs.map(({ name, dtype, shape }) => {
    const place = `${session.name}: input "${name}"`;
    const concrete = shape.map((size, i) => {
      if (i === 0) {
        if (typeof size === "number" && size !== batch) {
          throw new EvaluateError(`${place}: expected a batch of ${size}, which the model fixes, found ${batch}`);
        }
        return batch;
      }
      if (typeof size === "number") return size;
      const given = sizes[size];
      if (given === undefined) throw new EvaluateError(`${place}: expected a size for "${size}", found none`);
      return given;
    });
    const count = elementCount(concrete);
    if (/^float(16|32|64)$/.test(dtype)) {
      const values = Float32Array.from({ length: count }, () => random.uniform());
      return [name, tensor(dtype as "float32", concrete, values)];
    }
    if (!/^(u?int(8|16|32|64)|bool)$/.test(dtype)) {
      throw new EvaluateError(`${place}: expected an input of numbers, found ${dtype}`);
    }
    return [name, tensor(dtype as "int32", concrete, new Uint8Array(count))];
  }));
}

/** The most memory that a process needed, in bytes. */
export interface PeakMemory {
  /** With the model opened and run. */
  readonly peak: number;
  /** Before the model was opened: Deno itself. */
  readonly before: number;
}

/**
 * The most memory (VmHWM) that a process of its own needs to open a model file and run it three times. Undefined where
 * the system does not tell (anything but Linux). Throws WorkError when the process fails.
 */
export async function peakMemory(
  path: string,
  { batch = 1, threads = defaultThreads(), sizes = {} }: {
    readonly batch?: number;
    readonly threads?: number;
    readonly sizes?: Readonly<Record<string, number>>;
  } = {},
): Promise<PeakMemory | undefined> {
  if (Deno.build.os !== "linux") return undefined;
  const script = new URL("peak_memory.ts", import.meta.url);
  const settings = JSON.stringify({ path: await Deno.realPath(path).catch(() => path), batch, threads, sizes });
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--no-check", script.href, settings],
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  if (code !== 0) {
    const found = text(stderr).split("\n").at(-1) || `status ${code}`;
    throw new WorkError(`${path}: expected a run whose memory can be measured, found: ${describeError(found)}`);
  }
  return JSON.parse(text(stdout));
}

/** The most memory that this process has had, in bytes; undefined where the system does not tell. */
export async function processPeak(): Promise<number | undefined> {
  const status = await Deno.readTextFile("/proc/self/status").catch(() => "");
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  return kilobytes === undefined ? undefined : 1024 * Number(kilobytes);
}

/** Bytes on disk of a model: its ONNX file and the files that hold its larger tensors. Throws OnnxError when it is none. */
export async function modelFileSize(path: string): Promise<number> {
  let bytes = 0;
  for (const file of await modelFiles(path)) {
    const { size } = await Deno.stat(file).catch((error) => {
      throw new EvaluateError(`${file}: expected a file of model ${path}, found none`, { cause: error });
    });
    bytes += size;
  }
  return bytes;
}
