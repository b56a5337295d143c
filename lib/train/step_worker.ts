/** The worker's side of a step that runs beside the caller's thread; `RemoteStep` is the caller's. */

import { serveJobs, WorkerPool, WorkError } from "../runtime/mod.ts";
import type { Tensor } from "../onnx/mod.ts";
import type { Batch } from "./batch.ts";
import {
  type EngineOptions,
  StepEngine,
  type StepHost,
  type StepLimits,
  type StepOutcome,
  type WeightSource,
} from "./step_engine.ts";
import type { StepPlan } from "./step_plan.ts";

type Tensors = Record<string, Tensor>;

/** What travels to the worker. */
type StepJob =
  | { readonly kind: "open"; readonly plan: StepPlan; readonly options: EngineOptions }
  | {
    readonly kind: "run";
    readonly batches: readonly Batch[];
    readonly learningRate: number;
    readonly step: number;
    readonly limits: StepLimits;
  }
  | { readonly kind: "read"; readonly names: readonly string[] }
  | { readonly kind: "write"; readonly tensors: Readonly<Tensors> }
  | { readonly kind: "evaluate"; readonly feeds: Batch; readonly weights: WeightSource }
  | { readonly kind: "distance" }
  | { readonly kind: "dispose" };

/** What comes back. */
type StepReply = { readonly outcome?: StepOutcome; readonly tensors?: Tensors; readonly distance?: number };

/**
 * Memory for batches, kept from step to step. The caller's thread copies a batch into memory that both threads see, the worker
 * from there into its own (ONNX Runtime's binding takes no shared memory); a message would make both copies into memory
 * that is taken anew each time. Runs do not overlap, so that nobody reads what is being written.
 */
class BatchMemory {
  readonly #made = new Map<string, ArrayBufferLike>();
  readonly #Kind: new (bytes: number) => ArrayBufferLike;

  constructor(Kind: new (bytes: number) => ArrayBufferLike) {
    this.#Kind = Kind;
  }

  /** A copy of a micro-batch, until the next of the same number. */
  hold(batch: Batch, part: number): Batch {
    const result: Record<string, Tensor> = {};
    for (const [name, { dtype, shape, data }] of Object.entries(batch)) {
      const source = data as Float32Array, key = `${part} ${name}`;
      let memory = this.#made.get(key);
      if (!memory || memory.byteLength < source.byteLength) {
        memory = new this.#Kind(source.byteLength);
        this.#made.set(key, memory);
      }
      const Elements = source.constructor as Float32ArrayConstructor;
      const copy = new Elements(memory, 0, source.length) as Float32Array<ArrayBuffer>;
      copy.set(source);
      result[name] = { dtype, shape, data: copy };
    }
    return result;
  }
}

/** A step in a worker of its own, with the same numbers as one on the caller's thread. */
export class RemoteStep implements StepHost {
  readonly #pool: WorkerPool<StepJob, StepReply>;
  readonly #memory = new BatchMemory(SharedArrayBuffer);

  private constructor(pool: WorkerPool<StepJob, StepReply>) {
    this.#pool = pool;
  }

  static async open(plan: StepPlan, options: EngineOptions): Promise<RemoteStep> {
    const pool = new WorkerPool<StepJob, StepReply>(new URL(import.meta.url), { size: 1, name: "training step" });
    try {
      await pool.run({ kind: "open", plan, options: { ...options, own: true } });
    } catch (error) {
      pool.close();
      throw error;
    }
    return new RemoteStep(pool);
  }

  async run(
    batches: readonly Batch[],
    learningRate: number,
    step: number,
    limits: StepLimits = {},
  ): Promise<StepOutcome> {
    const shared = batches.map((batch, i) => this.#memory.hold(batch, i));
    return (await this.#pool.run({ kind: "run", batches: shared, learningRate, step, limits })).outcome!;
  }

  async read(names: readonly string[]): Promise<Tensors> {
    return (await this.#pool.run({ kind: "read", names })).tensors!;
  }

  async averageDistance(): Promise<number> {
    return (await this.#pool.run({ kind: "distance" })).distance!;
  }

  async write(tensors: Readonly<Tensors>): Promise<void> {
    await this.#pool.run({ kind: "write", tensors });
  }

  async evaluate(feeds: Batch, weights: WeightSource): Promise<Tensors> {
    return (await this.#pool.run({ kind: "evaluate", feeds, weights })).tensors!;
  }

  async dispose(): Promise<void> {
    try {
      await this.#pool.run({ kind: "dispose" });
    } finally {
      this.#pool.close();
    }
  }
}

let engine: StepEngine | undefined;
const memory = new BatchMemory(ArrayBuffer);

async function handle(job: StepJob): Promise<StepReply> {
  if (job.kind === "open") {
    engine = await StepEngine.open(job.plan, job.options);
    return {};
  }
  if (!engine) throw new WorkError("training step: expected an open step, found that its worker was lost");
  switch (job.kind) {
    case "run": {
      const batches = job.batches.map((batch, i) => memory.hold(batch, i));
      return { outcome: await engine.run(batches, job.learningRate, job.step, job.limits) };
    }
    case "read":
      return { tensors: await engine.read(job.names) };
    case "distance":
      return { distance: await engine.averageDistance() };
    case "write":
      await engine.write(job.tensors);
      return {};
    case "evaluate":
      return { tensors: await engine.evaluate(job.feeds, job.weights) };
    case "dispose":
      await engine.dispose();
      engine = undefined;
      return {};
  }
}

if (typeof WorkerGlobalScope !== "undefined" && self instanceof WorkerGlobalScope && self.name === "training step") {
  serveJobs(handle);
}
