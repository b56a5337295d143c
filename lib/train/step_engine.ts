/** Runs a planned step: the session, the tensors that are kept between steps, and the guard against non-finite steps. */

import { openSession, Random, type Session, WorkError } from "../runtime/mod.ts";
import { allocate, elementCount, type Tensor } from "../onnx/mod.ts";
import type { Device } from "../runtime/mod.ts";
import { type Batch, symbolSizes } from "./batch.ts";
import { PORTS, type Slot, type StepPlan } from "./step_plan.ts";
import { flatShape, resolveShape } from "./training_graph.ts";

/** How an engine is opened. */
export interface EngineOptions {
  readonly device: Device;
  readonly threads?: number | undefined;
  /** For dropout's masks. */
  readonly seed: string | number;
  /** Begin of the file name of an operator profile. */
  readonly profile?: string | undefined;
  /** Keep ONNX Runtime's memory between steps. */
  readonly arena?: boolean;
  /** The plan's tensors are nobody else's: they need not be copied. */
  readonly own?: boolean;
}

/** What a step gave. */
export interface StepOutcome {
  readonly loss: number;
  readonly gradientNorm: number;
  readonly finite: boolean;
  readonly metrics: Readonly<Record<string, Tensor>>;
}

/** Which weights to read or evaluate: those being trained, or their moving average. */
export type WeightSource = "current" | "average";

/** Runs steps on this thread or in a worker. */
export interface StepHost {
  run(batches: readonly Batch[], learningRate: number, step: number): Promise<StepOutcome>;
  /** Copies of kept tensors, by name. */
  read(names: readonly string[]): Promise<Record<string, Tensor>>;
  /** Replaces kept tensors. */
  write(tensors: Readonly<Record<string, Tensor>>): Promise<void>;
  evaluate(feeds: Batch, weights: WeightSource): Promise<Record<string, Tensor>>;
  dispose(): Promise<void>;
}

/** A kept tensor and where its next elements are written. */
interface Buffers {
  readonly slot: Slot;
  now: Tensor;
  spare: Tensor;
}

/**
 * Every kept tensor has two buffers. A run reads the one and writes the other; when all of it was finite they change places.
 * So nothing is copied, no operator can read a weight that another has already overwritten, and a step that was not
 * finite leaves everything, the optimizer's state and running statistics included, bit for bit as it was.
 */
export class StepEngine implements StepHost {
  readonly #plan: StepPlan;
  readonly #options: EngineOptions;
  readonly #session: Session;
  readonly #buffers: readonly Buffers[];
  #inference: Promise<Session> | undefined;

  private constructor(plan: StepPlan, options: EngineOptions, session: Session) {
    this.#plan = { ...plan, initial: {}, model: new Uint8Array() }; // what was read once can be freed
    this.#options = options;
    this.#session = session;
    const taken = new Set<unknown>(); // an average starts as its weight's own tensor
    this.#buffers = plan.slots.map((slot) => {
      const { dtype, shape } = slot;
      const zeros = (): Tensor => ({ dtype, shape, data: allocate(dtype, elementCount(shape)) });
      const initial = plan.initial[slot.name];
      const free = options.own && initial && !taken.has((initial.data as Float32Array).buffer);
      if (free) taken.add((initial.data as Float32Array).buffer);
      return { slot, now: free ? initial : initial ? copied(initial) : zeros(), spare: zeros() };
    });
  }

  static async open(plan: StepPlan, options: EngineOptions): Promise<StepEngine> {
    const { device, threads, profile, arena = true } = options;
    const session = await openSession(plan.model, {
      device,
      threads,
      arena,
      // "all" would turn pooling and convolutions of constants to ONNX Runtime's blocked layout and back: +2 % at 224 px.
      optimization: "extended",
      // Threads that spin after a run take time from what comes between two steps.
      extra: { "session.force_spinning_stop": "1" },
      memoryPattern: false, // a third of the memory of the CNN of the benchmark at 224 px, a quarter of Darknet-53's, and no time
      name: "step",
      ...(profile === undefined ? {} : { profile }),
    });
    return new StepEngine(plan, options, session);
  }

  async run(batches: readonly Batch[], learningRate: number, step: number): Promise<StepOutcome> {
    const statistics = this.#buffers.filter(({ slot }) => slot.role === "statistic");
    const before = batches.length > 1 ? statistics.map(({ now }) => copied(now)) : [];
    let loss = 0, last: StepOutcome | undefined;
    for (const [i, batch] of batches.entries()) {
      const outcome = await this.#runOnce(batch, learningRate, step, i);
      loss += outcome.loss / batches.length;
      if (!outcome.finite) {
        if (i > 0) statistics.forEach(({ now }, j) => overwrite(now, before[j]!));
        return { ...outcome, loss };
      }
      const final = i === batches.length - 1;
      for (const buffer of this.#buffers) {
        const { role } = buffer.slot;
        if (!final && role !== "accumulated" && role !== "statistic") continue;
        [buffer.now, buffer.spare] = [buffer.spare, buffer.now];
      }
      last = outcome;
    }
    if (!last) throw new WorkError("step: expected at least one batch, found none");
    return { ...last, loss };
  }

  read(names: readonly string[]): Promise<Record<string, Tensor>> {
    return Promise.resolve(Object.fromEntries(names.map((name) => [name, copied(this.#buffer(name).now)])));
  }

  write(tensors: Readonly<Record<string, Tensor>>): Promise<void> {
    for (const [name, content] of Object.entries(tensors)) overwrite(this.#buffer(name).now, content);
    return Promise.resolve();
  }

  async evaluate(feeds: Batch, weights: WeightSource): Promise<Record<string, Tensor>> {
    const { device, threads } = this.#options;
    const session = await (this.#inference ??= openSession(this.#plan.inference, { device, threads, name: "model" }));
    const all: Record<string, Tensor> = { ...feeds };
    for (const { slot, now } of this.#buffers) {
      if (slot.role !== "parameter" && slot.role !== "statistic") continue;
      all[slot.name] = weights === "average" ? this.#buffer(`average/${slot.name}`).now : now;
    }
    const declared = new Set(session.inputs.map((input) => input.name));
    return session.run(Object.fromEntries(Object.entries(all).filter(([name]) => declared.has(name) || name in feeds)));
  }

  async dispose(): Promise<void> {
    if (this.#options.profile !== undefined) this.#session.endProfile();
    await this.#session.dispose();
    await (await this.#inference)?.dispose();
  }

  async #runOnce(batch: Batch, learningRate: number, step: number, micro: number): Promise<StepOutcome> {
    const feeds: Record<string, Tensor> = { ...batch };
    const into: Record<string, Tensor> = {};
    for (const { slot, now, spare } of this.#buffers) {
      const shape = flatShape(slot.shape);
      feeds[slot.name] = { ...now, shape };
      into[slot.next] = { ...spare, shape };
    }
    feeds[PORTS.learningRate] = scalar(learningRate);
    if (this.#plan.accumulate > 1) feeds[PORTS.keep] = scalar(micro === 0 ? 0 : 1);
    Object.assign(feeds, dropoutMasks(this.#plan, batch, [this.#options.seed, "dropout", step, micro]));
    const declared = new Set(this.#session.inputs.map((input) => input.name));
    for (const name of Object.keys(feeds)) if (!declared.has(name)) delete feeds[name];
    const outputs = [PORTS.loss, PORTS.gradientNorm, ...this.#plan.metrics.map((name) => `metric/${name}`)];
    const results = await this.#session.run(feeds, { outputs, into });
    const loss = Number(results[PORTS.loss]!.data[0]), gradientNorm = Number(results[PORTS.gradientNorm]!.data[0]);
    return {
      loss,
      gradientNorm,
      finite: Number.isFinite(loss) && Number.isFinite(gradientNorm),
      metrics: Object.fromEntries(this.#plan.metrics.map((name) => [name, results[`metric/${name}`]!])),
    };
  }

  #buffer(name: string): Buffers {
    const found = this.#buffers.find(({ slot }) => slot.name === name);
    if (found) return found;
    throw new WorkError(`step: expected a kept tensor named "${name}", found none`);
  }
}

/** The masks of dropout for a batch: 0 or 1 / (1 − ratio), the same for the same seed. */
export function dropoutMasks(
  { inputs, masks }: Pick<StepPlan, "inputs" | "masks">,
  batch: Batch,
  seed: readonly (string | number)[],
): Record<string, Tensor> {
  const sizes = symbolSizes(batch, inputs);
  return Object.fromEntries(masks.map(({ name, dtype, shape: open, ratio }) => {
    const random = Random.seeded(...seed, name);
    const shape = resolveShape(name, open, sizes);
    const data = allocate(dtype, elementCount(shape)) as Float32Array;
    const kept = 1 / (1 - ratio);
    for (let i = 0; i < data.length; i++) data[i] = random.uniform() < ratio ? 0 : kept;
    return [name, { dtype, shape, data }];
  }));
}

function scalar(value: number): Tensor {
  return { dtype: "float32", shape: [], data: Float32Array.of(value) };
}

function copied({ dtype, shape, data }: Tensor): Tensor {
  return { dtype, shape, data: (data as Float32Array).slice() };
}

function overwrite(target: Tensor, source: Tensor): void {
  (target.data as Float32Array).set(source.data as Float32Array);
}
