/** Runs a planned step: the session, the tensors that are kept between steps, and the guard against non-finite steps. */

import { describeError, openSession, Random, type Session, WorkError } from "../runtime/mod.ts";
import { allocate, elementCount, type Tensor } from "../onnx/mod.ts";
import type { Device } from "../runtime/mod.ts";
import { type Batch, symbolSizes } from "./batch.ts";
import { type GradientSlot, PORTS, type Slot, type StepPlan } from "./step_plan.ts";
import { flatShape, resolveShape } from "./training_graph.ts";
import { statisticPort } from "./update_plan.ts";

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

/** Beyond these a step changes nothing, as one that is not finite. */
export interface StepLimits {
  /** Of the loss, the mean over micro-batches. −Infinity: the step is worked out and never applied. Default: none. */
  readonly lossLimit?: number | undefined;
  /** Of the gradients' common length, before clipping. Default: none. */
  readonly gradientLimit?: number | undefined;
}

/** What a step gave. */
export interface StepOutcome {
  readonly loss: number;
  readonly gradientNorm: number;
  readonly finite: boolean;
  /** Whether the kept tensors have changed. */
  readonly applied: boolean;
  readonly metrics: Readonly<Record<string, Tensor>>;
}

/** Which weights to read or evaluate: those being trained, or their moving average. */
export type WeightSource = "current" | "average";

/** Runs steps on this thread or in a worker. */
export interface StepHost {
  run(batches: readonly Batch[], learningRate: number, step: number, limits?: StepLimits): Promise<StepOutcome>;
  /** Copies of kept tensors, by name. */
  read(names: readonly string[]): Promise<Record<string, Tensor>>;
  /** ‖average − current‖ / ‖current‖ over all parameters. */
  averageDistance(): Promise<number>;
  /** Replaces kept tensors. */
  write(tensors: Readonly<Record<string, Tensor>>): Promise<void>;
  evaluate(feeds: Batch, weights: WeightSource): Promise<Record<string, Tensor>>;
  dispose(): Promise<void>;
}

/** What the first run gave. */
type Differentiated = Omit<StepOutcome, "applied">;

/** A kept tensor and where its next elements are written: the same memory where the plan allows it. */
interface Buffers {
  readonly slot: Slot;
  now: Tensor;
  spare: Tensor;
}

/**
 * On the CPU a step is two runs: the first gives loss and gradients and leaves everything that is kept as it was, bit for bit;
 * the second, the update, is only made when all of them were finite and within the limits, so that a NaN changes nothing. The
 * update writes over the kept tensors where nothing can read an element after it was overwritten (`mayOverwrite`); other
 * tensors have two buffers that change places, as all have where the step is one run. Those of a step that is not applied
 * keep their places.
 */
export class StepEngine implements StepHost {
  readonly #plan: StepPlan;
  readonly #options: EngineOptions;
  readonly #session: Session;
  readonly #update: Session | undefined;
  readonly #buffers: readonly Buffers[];
  readonly #gradients: readonly { readonly slot: GradientSlot; readonly tensor: Tensor }[];
  #inference: Promise<Session> | undefined;
  /** Why the kept tensors cannot be trusted: an update was cut off. */
  #broken: string | undefined;

  private constructor(plan: StepPlan, options: EngineOptions, session: Session, update: Session | undefined) {
    this.#plan = { ...plan, initial: {}, model: new Uint8Array(), update: undefined }; // what was read once can be freed
    this.#options = options;
    this.#session = session;
    this.#update = update;
    const taken = new Set<unknown>(); // an average starts as its weight's own tensor
    this.#buffers = plan.slots.map((slot) => {
      const initial = plan.initial[slot.name];
      const free = options.own && initial && !taken.has((initial.data as Float32Array).buffer);
      if (free) taken.add((initial.data as Float32Array).buffer);
      const now = free ? initial : initial ? copied(initial) : zeros(slot);
      return { slot, now, spare: slot.inPlace ? now : zeros(slot) };
    });
    this.#gradients = plan.gradients.map((slot) => ({ slot, tensor: zeros(slot) }));
  }

  static async open(plan: StepPlan, options: EngineOptions): Promise<StepEngine> {
    const { device, threads, profile, arena = true } = options;
    const open = (model: Uint8Array, name: string) =>
      openSession(model, {
        device,
        threads,
        arena,
        // "all" would turn pooling and convolutions of constants to ONNX Runtime's blocked layout and back: +2 % at 224 px.
        optimization: "extended",
        // Threads that spin after a run take time from what comes between two steps.
        extra: { "session.force_spinning_stop": "1" },
        memoryPattern: false, // a third of the memory of the CNN of the benchmark at 224 px, a quarter of Darknet-53's, and no time
        name,
        ...(profile === undefined ? {} : { profile: name === "step" ? profile : `${profile}_${name}` }),
      });
    const session = await open(plan.model, "step");
    return new StepEngine(plan, options, session, plan.update && await open(plan.update, "update"));
  }

  async run(
    batches: readonly Batch[],
    learningRate: number,
    step: number,
    limits: StepLimits = {},
  ): Promise<StepOutcome> {
    this.#expectWhole();
    const statistics = this.#buffers.filter(({ slot }) => slot.role === "statistic");
    const before = batches.length > 1 ? statistics.map(({ now }) => copied(now)) : [];
    let loss = 0, last: Differentiated | undefined;
    for (const [i, batch] of batches.entries()) {
      const final = i === batches.length - 1;
      const outcome = await this.#differentiate(batch, learningRate, step, i);
      loss += outcome.loss / batches.length;
      if (!outcome.finite || (final && !isWithin({ loss, gradientNorm: outcome.gradientNorm }, limits))) {
        if (i > 0) statistics.forEach(({ now }, j) => overwrite(now, before[j]!));
        // A sum that holds a NaN would keep it: 0 · NaN is NaN.
        if (this.#plan.accumulate > 1) {
          for (const { tensor } of this.#gradients) (tensor.data as Float32Array).fill(0);
        }
        return { ...outcome, loss, applied: false };
      }
      if (final && this.#update) await this.#applyUpdate(this.#update, learningRate, outcome.gradientNorm);
      for (const buffer of this.#buffers) {
        if (final || buffer.slot.role === "statistic") [buffer.now, buffer.spare] = [buffer.spare, buffer.now];
      }
      last = outcome;
    }
    if (!last) throw new WorkError("step: expected at least one batch, found none");
    return { ...last, loss, applied: true };
  }

  // deno-lint-ignore require-await -- a refusal is a rejection, as in a worker
  async read(names: readonly string[]): Promise<Record<string, Tensor>> {
    this.#expectWhole();
    return Object.fromEntries(names.map((name) => [name, copied(this.#buffer(name).now)]));
  }

  // deno-lint-ignore require-await -- as `read`
  async averageDistance(): Promise<number> {
    this.#expectWhole();
    const parameters = this.#buffers.filter(({ slot }) => slot.role === "parameter");
    return relativeDistance(parameters.map(({ slot, now }) => [this.#buffer(`average/${slot.name}`).now, now]));
  }

  write(tensors: Readonly<Record<string, Tensor>>): Promise<void> {
    for (const [name, content] of Object.entries(tensors)) overwrite(this.#buffer(name).now, content);
    if (this.#buffers.every(({ slot }) => slot.name in tensors)) this.#broken = undefined;
    return Promise.resolve();
  }

  async evaluate(feeds: Batch, weights: WeightSource): Promise<Record<string, Tensor>> {
    this.#expectWhole();
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
    if (this.#options.profile !== undefined) [this.#session, this.#update].forEach((session) => session?.endProfile());
    await this.#session.dispose();
    await this.#update?.dispose();
    await (await this.#inference)?.dispose();
  }

  /** Loss and gradients of a micro-batch, and running statistics into their spare buffers; all the rest where there is no update. */
  async #differentiate(batch: Batch, learningRate: number, step: number, micro: number): Promise<Differentiated> {
    const feeds: Record<string, Tensor> = { ...batch };
    const into: Record<string, Tensor> = {};
    for (const { slot, now, spare } of this.#buffers) {
      feeds[slot.name] = flat(now);
      if (slot.role === "statistic" || !this.#update) into[slot.next] = flat(spare);
    }
    for (const { slot, tensor } of this.#gradients) {
      feeds[slot.name] = flat(tensor);
      into[slot.next] = tensor;
    }
    feeds[PORTS.learningRate] = scalar(learningRate);
    feeds[PORTS.keep] = scalar(micro === 0 ? 0 : 1);
    Object.assign(feeds, dropoutMasks(this.#plan, batch, [this.#options.seed, "dropout", step, micro]));
    const outputs = [PORTS.loss, PORTS.gradientNorm, ...this.#plan.metrics.map((name) => `metric/${name}`)];
    const results = await this.#session.run(declaredBy(this.#session, feeds), { outputs, into });
    const loss = Number(results[PORTS.loss]!.data[0]), gradientNorm = Number(results[PORTS.gradientNorm]!.data[0]);
    return {
      loss,
      gradientNorm,
      finite: Number.isFinite(loss) && Number.isFinite(gradientNorm),
      metrics: Object.fromEntries(this.#plan.metrics.map((name) => [name, results[`metric/${name}`]!])),
    };
  }

  async #applyUpdate(session: Session, learningRate: number, gradientNorm: number): Promise<void> {
    const feeds: Record<string, Tensor> = {
      [PORTS.learningRate]: scalar(learningRate),
      [PORTS.gradientNorm]: scalar(gradientNorm),
    };
    const into: Record<string, Tensor> = {};
    for (const { slot, now, spare } of this.#buffers) {
      if (slot.role === "statistic") feeds[statisticPort(slot.name)] = flat(spare);
      else [feeds[slot.name], into[slot.next]] = [flat(now), flat(spare)];
    }
    for (const { slot, tensor } of this.#gradients) feeds[slot.name] = flat(tensor);
    try {
      await session.run(declaredBy(session, feeds), { outputs: [], into });
    } catch (error) {
      this.#broken = describeError(error);
      throw error;
    }
  }

  #expectWhole(): void {
    if (this.#broken === undefined) return;
    throw new WorkError(
      `step: expected whole weights, found an update that was cut off (${this.#broken}); load a state`,
    );
  }

  #buffer(name: string): Buffers {
    const found = this.#buffers.find(({ slot }) => slot.name === name);
    if (found) return found;
    throw new WorkError(`step: expected a kept tensor named "${name}", found none`);
  }
}

/** Whether a step whose loss and gradients are finite may be applied. */
export function isWithin(
  { loss, gradientNorm }: Pick<StepOutcome, "loss" | "gradientNorm">,
  { lossLimit = Infinity, gradientLimit = Infinity }: StepLimits,
): boolean {
  return loss <= lossLimit && gradientNorm <= gradientLimit;
}

/** ‖a − b‖ / ‖b‖ over all pairs together; 0 where both are 0. */
export function relativeDistance(pairs: readonly (readonly [a: Tensor, b: Tensor])[]): number {
  let distance = 0, length = 0;
  for (const [a, b] of pairs) {
    const x = a.data as Float32Array, y = b.data as Float32Array;
    for (let i = 0; i < y.length; i++) {
      distance += (x[i]! - y[i]!) ** 2;
      length += y[i]! ** 2;
    }
  }
  return distance === 0 ? 0 : Math.sqrt(distance / length);
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

/** The tensors that a session takes, of those there are. */
function declaredBy(session: Session, feeds: Readonly<Record<string, Tensor>>): Record<string, Tensor> {
  return Object.fromEntries(session.inputs.flatMap(({ name }) => feeds[name] ? [[name, feeds[name]]] : []));
}

function flat({ dtype, shape, data }: Tensor): Tensor {
  return { dtype, shape: flatShape(shape), data };
}

function zeros({ dtype, shape }: Pick<Slot, "dtype" | "shape">): Tensor {
  return { dtype, shape, data: allocate(dtype, elementCount(shape)) };
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
