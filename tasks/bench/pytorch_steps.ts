/** PyTorch's side of the benchmarks of training and inference: tests/peers/train_step.py as a process that answers requests. */

import { join } from "node:path";
import { exists } from "../../lib/runtime/mod.ts";
import type { InferCase } from "./infer.ts";
import type { TrainCase } from "./networks.ts";

const root = join(import.meta.dirname!, "..", "..");

/** Some steps of PyTorch. */
export interface PytorchSteps {
  /** Milliseconds of each. */
  readonly ms: readonly number[];
  /** The most memory that the process has had, in MiB. */
  readonly peak: number;
  readonly torch: string;
}

/** The Python to look for PyTorch in: the environment's POKEDEX_PYTHON, else that of `.venv-peers`, else python3. */
export async function defaultPython(): Promise<string> {
  const made = join(root, ".venv-peers", "bin", "python");
  return Deno.env.get("POKEDEX_PYTHON") ?? (await exists(made) ? made : "python3");
}

export class PytorchPeer implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<string>;
  #text = "";

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#writer = process.stdin.getWriter();
    this.#reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Starts it; undefined where Python or PyTorch is not there. */
  static async start(python: string, threads: number): Promise<PytorchPeer | undefined> {
    if (python === "") return undefined;
    let process: Deno.ChildProcess;
    try {
      process = new Deno.Command(python, {
        args: [join(root, "tests", "peers", "train_step.py"), "--threads", String(threads)],
        stdin: "piped",
        stdout: "piped",
        stderr: "null",
      }).spawn();
    } catch {
      return undefined;
    }
    const peer = new PytorchPeer(process);
    if (await peer.#ask({ case: null })) return peer;
    await peer[Symbol.asyncDispose]();
    return undefined;
  }

  /** Runs a network of inference with so many pictures; undefined when the process has ended. */
  async runs(
    name: InferCase,
    batch: number,
    runs: number,
    layout: "nchw" | "nhwc",
  ): Promise<PytorchSteps | undefined> {
    return await this.#ask({ case: name, infer: batch, steps: runs, layout }) as PytorchSteps | undefined;
  }

  /** Takes some training steps; undefined when the process has ended. */
  async steps(name: TrainCase, steps: number): Promise<PytorchSteps | undefined> {
    return await this.#ask({ case: name, steps }) as PytorchSteps | undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close().catch(() => {});
    await this.#process.status;
  }

  /** One line there and one back; undefined when the process has ended. */
  async #ask(request: unknown): Promise<unknown> {
    await this.#writer.write(new TextEncoder().encode(`${JSON.stringify(request)}\n`)).catch(() => {});
    while (!this.#text.includes("\n")) {
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      this.#text += value;
    }
    const end = this.#text.indexOf("\n");
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 1);
    return JSON.parse(line);
  }
}
