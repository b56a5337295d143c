/**
 * ONNX Runtime sessions: open a model, run tensors through it. The native library is loaded when the first session is
 * opened, not when this module is imported, so that workers that only share the runtime stay light.
 */

import type { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { describeError, InputError, WorkError } from "./errors.ts";
import { elementCount, isDType, type Tensor, type TensorData } from "./tensor.ts";

/** Where a session runs. What a device cannot run itself falls back to the CPU (see `strict`). */
export type Device = "cpu" | "webgpu" | "cuda";

/** The devices, the default first. */
export const DEVICES: readonly Device[] = ["cpu", "webgpu", "cuda"];

/** Settings of `openSession`. */
export interface SessionOptions {
  /** Default: "cpu". */
  readonly device?: Device | undefined;
  /** CPU threads inside an operator; default: ONNX Runtime's own, one a physical core. */
  readonly threads?: number | undefined;
  /** How far ONNX Runtime rewrites the graph; default "all". */
  readonly optimization?: "disabled" | "basic" | "extended" | "all";
  /** Refuse a model of which some operators would fall back from the device to the CPU. */
  readonly strict?: boolean;
  /** Where to write the model as ONNX Runtime has rewritten it. */
  readonly optimizedPath?: string;
  /** Keep freed memory for the next run; default true. */
  readonly arena?: boolean;
  /**
   * From the second run on, take the memory of a whole run as one block; default true. The first run's memory is kept beside
   * it, so that large graphs, such as a training step's, need up to a half more.
   */
  readonly memoryPattern?: boolean;
  /** Begin of the file name of an operator profile, written by `endProfile`. */
  readonly profile?: string;
  /** Stands for the model in messages. */
  readonly name?: string;
  /** Further ONNX Runtime settings, e.g. `{ "session.intra_op.allow_spinning": "0" }`. */
  readonly extra?: Readonly<Record<string, string>>;
}

/** An input or output that a model declares. */
export interface Port {
  readonly name: string;
  readonly dtype: string;
  /** A string is a size that the model leaves open. */
  readonly shape: readonly (number | string)[];
}

/** Settings of `Session.run`. */
export interface RunOptions {
  /** Which outputs to return; default: all. */
  readonly outputs?: readonly string[];
  /**
   * Tensors that outputs are written into, by output name: no memory is taken, and a tensor may be fed and written in
   * the same run (weights updated in place). Type and shape must be the output's.
   */
  readonly into?: Readonly<Record<string, Tensor>>;
}

type Ort = typeof import("onnxruntime-node");

let library: Promise<Ort> | undefined;

function loadLibrary(): Promise<Ort> {
  return library ??= import("onnxruntime-node").then((ort) => {
    ort.env.logLevel = "fatal"; // what goes wrong is thrown; the library's own lines would only repeat it
    return ort;
  }).catch((cause) => {
    library = undefined;
    throw new WorkError(`ONNX Runtime: expected its native library to load, found: ${describeError(cause)}`, { cause });
  });
}

/** A loaded model. `run` blocks the calling thread while it computes: use a worker to keep a thread free. */
export class Session implements AsyncDisposable {
  readonly name: string;
  readonly device: Device;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly #ort: Ort;
  #session: InferenceSession | undefined;

  /** @internal use openSession */
  constructor(ort: Ort, session: InferenceSession, name: string, device: Device) {
    this.#ort = ort;
    this.#session = session;
    this.name = name;
    this.device = device;
    this.inputs = session.inputMetadata.map(port);
    this.outputs = session.outputMetadata.map(port);
  }

  /**
   * Runs the model on one tensor for each input and returns the outputs by name. Throws InputError when an input is
   * missing, unknown, or has another type or shape than the model declares; WorkError when the run itself fails.
   */
  async run(feeds: Readonly<Record<string, Tensor>>, options: RunOptions = {}): Promise<Record<string, Tensor>> {
    if (!this.#session) throw new WorkError(`${this.name}: expected an open session, found a closed one`);
    const native: Record<string, OrtTensor> = {};
    for (const input of this.inputs) {
      const fed = feeds[input.name];
      if (!fed) throw new InputError(`${this.name}: expected a tensor for input "${input.name}", found none`);
      this.#checkFeed(input, fed);
      native[input.name] = this.#wrap(fed);
    }
    for (const name of Object.keys(feeds)) {
      if (!(name in native)) {
        const known = this.inputs.map((input) => input.name).join(", ");
        throw new InputError(`${this.name}: expected inputs ${known || "(none)"}, found "${name}"`);
      }
    }
    const fetches: Record<string, OrtTensor | null> = {};
    const into = options.into ?? {};
    const wanted = options.outputs ?? this.outputs.map((output) => output.name);
    for (const name of [...wanted, ...Object.keys(into)]) {
      if (!this.outputs.some((output) => output.name === name)) {
        const known = this.outputs.map((output) => output.name).join(", ");
        throw new InputError(`${this.name}: expected outputs ${known}, found "${name}"`);
      }
      fetches[name] = null;
    }
    for (const [name, target] of Object.entries(into)) fetches[name] = this.#wrap(target);
    let results: InferenceSession.OnnxValueMapType;
    try {
      results = await this.#session.run(native, fetches);
    } catch (cause) {
      throw new WorkError(`${this.name}: the run failed: ${describeError(cause)}`, { cause });
    }
    const unwrapped: Record<string, Tensor> = {};
    for (const name of Object.keys(fetches)) {
      unwrapped[name] = into[name] ?? unwrap(this.name, name, results[name] as OrtTensor);
    }
    return unwrapped;
  }

  /** Writes the operator profile (opened with `profile`). */
  endProfile(): void {
    this.#session?.endProfiling();
  }

  /** Frees the model; safe to call twice. */
  async dispose(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  #wrap({ dtype, data, shape }: Tensor): OrtTensor {
    if (dtype === "bfloat16") throw new InputError(`${this.name}: expected a tensor that can be fed, found bfloat16`);
    if (dtype === "float16") {
      // The native side sees no bytes in a Float16Array: it gets the bits, under the right type.
      const { buffer, byteOffset, length } = data as Float16Array;
      const bits = new this.#ort.Tensor("uint16", new Uint16Array(buffer, byteOffset, length), shape);
      return Object.assign(bits, { type: "float16" as const });
    }
    return new this.#ort.Tensor(dtype as "float32", data as Float32Array, shape);
  }

  #checkFeed(input: Port, fed: Tensor): void {
    const fits = fed.dtype === input.dtype && fed.shape.length === input.shape.length &&
      input.shape.every((size, i) => typeof size === "string" || size === fed.shape[i]);
    if (!fits) {
      throw new InputError(
        `${this.name}: input "${input.name}": expected ${input.dtype} [${
          input.shape.map((size) => size === "" ? "?" : size).join(", ")
        }], found ${fed.dtype} [${fed.shape.join(", ")}]`,
      );
    }
    if (fed.data.length !== elementCount(fed.shape)) {
      throw new InputError(
        `${this.name}: input "${input.name}": expected ${elementCount(fed.shape)} elements, found ${fed.data.length}`,
      );
    }
  }
}

/**
 * Opens a model from the bytes of an ONNX file or from its path. Throws InputError when ONNX Runtime refuses the model,
 * WorkError when the device is not there.
 */
export async function openSession(model: Uint8Array | string, options: SessionOptions = {}): Promise<Session> {
  const { device = "cpu", threads, name = typeof model === "string" ? model : "model" } = options;
  if (threads !== undefined && (!Number.isInteger(threads) || threads < 1)) {
    throw new InputError(`openSession: expected threads from 1, found ${threads}`);
  }
  if (!DEVICES.includes(device)) {
    throw new InputError(`openSession: expected a device of ${DEVICES.join(", ")}, found ${device}`);
  }
  const ort = await loadLibrary();
  const settings: InferenceSession.SessionOptions = {
    executionProviders: [device],
    graphOptimizationLevel: options.optimization ?? "all",
    logSeverityLevel: 4,
    enableCpuMemArena: options.arena ?? true,
    enableMemPattern: options.memoryPattern ?? true,
    ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
    ...(options.optimizedPath === undefined ? {} : { optimizedModelFilePath: options.optimizedPath }),
    ...(options.profile === undefined ? {} : { enableProfiling: true, profileFilePrefix: options.profile }),
    extra: { ...(options.strict ? { "session.disable_cpu_ep_fallback": "1" } : {}), ...options.extra },
  };
  try {
    const session = typeof model === "string"
      ? await ort.InferenceSession.create(model, settings)
      : await ort.InferenceSession.create(model, settings);
    return new Session(ort, session, name, device);
  } catch (cause) {
    const text = describeError(cause);
    if (device !== "cpu" && /provider|backend|library|adapter|dawn|vulkan|device|cuda/i.test(text)) {
      throw new WorkError(`${name}: expected device ${device} to be there, found: ${text}`, { cause });
    }
    throw new InputError(`${name}: expected a model that ONNX Runtime can load, found: ${text}`, { cause });
  }
}

function port(meta: InferenceSession.ValueMetadata): Port {
  return meta.isTensor
    ? { name: meta.name, dtype: meta.type, shape: meta.shape }
    : { name: meta.name, dtype: "not a tensor", shape: [] };
}

function unwrap(session: string, name: string, result: OrtTensor): Tensor {
  if (!isDType(result.type)) {
    throw new WorkError(`${session}: output "${name}": expected an element type that is known, found ${result.type}`);
  }
  return { dtype: result.type, shape: result.dims, data: result.data as TensorData };
}
