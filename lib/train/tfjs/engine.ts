/** Runs a planned step with TensorFlow.js: its own gradients of the interpreted forward graph, then the interpreted update. */

import type { Tensor as TensorFlowTensor } from "@tensorflow/tfjs";
import { ancestors, type DType, type Tensor, type Value } from "../../onnx/mod.ts";
import { describeError, InputError, WorkError } from "../../runtime/mod.ts";
import type { Batch } from "../batch.ts";
import { TrainError } from "../errors.ts";
import {
  dropoutMasks,
  isWithin,
  relativeDistance,
  type StepHost,
  type StepLimits,
  type StepOutcome,
  type WeightSource,
} from "../step_engine.ts";
import { PORTS } from "../step_plan.ts";
import type { TensorFlow } from "./backend.ts";
import { fromTensorFlow, toTensorFlow } from "./convert.ts";
import { Interpreter } from "./interpret.ts";
import { gradientPort, statisticPort } from "../update_plan.ts";
import type { TensorFlowPlan } from "./plan.ts";

type Tensors = Record<string, TensorFlowTensor>;

/** What the forward pass and its gradients give for a batch. */
interface Differentiated {
  readonly loss: TensorFlowTensor;
  readonly gradients: readonly TensorFlowTensor[];
  readonly statistics: Tensors;
  readonly metrics: Tensors;
}

/**
 * A step on TensorFlow.js. It has no float64: optimizers count their steps in float32. The kept tensors change only when
 * the loss and all gradients were finite and within the limits.
 */
export class TensorFlowEngine implements StepHost {
  readonly #tf: TensorFlow;
  readonly #plan: TensorFlowPlan;
  readonly #seed: string | number;
  readonly #forward: Interpreter;
  readonly #update: Interpreter;
  readonly #inference: Interpreter;
  readonly #kept = new Map<string, TensorFlowTensor>();
  readonly #dtypes: ReadonlyMap<string, DType>;
  readonly #shapes: ReadonlyMap<string, readonly number[]>;
  /** Whether the loss depends on each parameter; TensorFlow.js refuses gradients of those on which it does not. */
  readonly #reached: readonly boolean[];

  constructor(tf: TensorFlow, plan: TensorFlowPlan, seed: string | number) {
    const { forward, update, inference, step } = plan;
    this.#tf = tf;
    this.#plan = plan;
    this.#seed = seed;
    this.#forward = new Interpreter(tf, forward.graph, [
      forward.loss,
      ...forward.statistics.values(),
      ...forward.metrics.values(),
    ]);
    this.#update = new Interpreter(tf, update.graph, [update.gradientNorm, ...update.next.values()]);
    this.#inference = new Interpreter(tf, inference.graph, [...inference.outputs.values()]);
    const { values } = ancestors([forward.loss], new Set<Value>());
    this.#reached = plan.parameters.map((name) => values.has(forward.graph.value(name)));
    this.#dtypes = new Map(step.slots.map(({ name, dtype }) => [name, dtype]));
    this.#shapes = new Map(step.slots.map(({ name, shape }) => [name, shape]));
    for (const { name } of step.slots) this.#keep(name, toTensorFlow(tf, step.initial[name]!));
  }

  async run(
    batches: readonly Batch[],
    learningRate: number,
    step: number,
    limits: StepLimits = {},
  ): Promise<StepOutcome> {
    const { parameters, update, step: { metrics } } = this.#plan;
    const tf = this.#tf;
    let sums: TensorFlowTensor[] = [], statistics: Tensors = {}, last: Differentiated | undefined, loss = 0;
    const spent: TensorFlowTensor[] = [];
    for (const [micro, batch] of batches.entries()) {
      last = this.#differentiate(
        batch,
        dropoutMasks(this.#plan.step, batch, [this.#seed, "dropout", step, micro]),
        statistics,
      );
      statistics = last.statistics;
      const [found] = await last.loss.data();
      loss += found! / batches.length;
      const before = sums;
      sums = last.gradients.map((gradient, i) =>
        tf.tidy(() => {
          const part = batches.length === 1 ? gradient : tf.mul(gradient, 1 / batches.length);
          return before[i] ? tf.add(before[i], part) : tf.clone(part);
        })
      );
      spent.push(
        last.loss,
        ...last.gradients,
        ...Object.values(last.statistics),
        ...Object.values(last.metrics),
        ...sums,
      );
    }
    if (!last) throw new WorkError("step: expected at least one batch, found none");
    // The optimizer's graph is the other engine's: its tensors have one dimension.
    const flat = (content: TensorFlowTensor) => content.rank <= 1 ? content : tf.reshape(content, [content.size]);
    const [norm, ...fresh] = tf.tidy(() =>
      this.#update.run({
        ...Object.fromEntries([...this.#kept].map(([name, content]) => [name, flat(content)])),
        ...Object.fromEntries(parameters.map((name, i) => [gradientPort(name), flat(sums[i]!)])),
        ...Object.fromEntries(
          Object.entries(statistics).map(([name, content]) => [statisticPort(name), flat(content)]),
        ),
        [PORTS.learningRate]: tf.scalar(learningRate),
      }).map((each) => tf.clone(each))
    );
    const gradientNorm = (await norm!.data())[0]!;
    const finite = Number.isFinite(loss) && Number.isFinite(gradientNorm);
    const applied = finite && isWithin({ loss, gradientNorm }, limits);
    if (applied) {
      [...update.next.keys()].forEach((name, i) =>
        this.#keep(name, tf.reshape(fresh[i]!, [...this.#shapes.get(name)!]))
      );
      for (const [name, content] of Object.entries(statistics)) this.#keep(name, tf.clone(content));
    }
    const reported: Record<string, Tensor> = {};
    for (const name of metrics) {
      const { dtype } = this.#plan.forward.metrics.get(name)!;
      reported[name] = await fromTensorFlow(last.metrics[name]!, dtype);
    }
    tf.dispose([norm!, ...fresh, ...spent]);
    return { loss, gradientNorm, finite, applied, metrics: reported };
  }

  async read(names: readonly string[]): Promise<Record<string, Tensor>> {
    const result: Record<string, Tensor> = {};
    for (const name of names) result[name] = await fromTensorFlow(this.#get(name), this.#dtypes.get(name)!);
    return result;
  }

  async averageDistance(): Promise<number> {
    const { parameters } = this.#plan;
    const now = await this.read(parameters), average = await this.read(parameters.map((name) => `average/${name}`));
    return relativeDistance(parameters.map((name) => [average[`average/${name}`]!, now[name]!]));
  }

  write(tensors: Readonly<Record<string, Tensor>>): Promise<void> {
    for (const [name, content] of Object.entries(tensors)) {
      this.#get(name);
      this.#keep(name, toTensorFlow(this.#tf, content));
    }
    return Promise.resolve();
  }

  async evaluate(feeds: Batch, weights: WeightSource): Promise<Record<string, Tensor>> {
    const { outputs } = this.#plan.inference;
    const stored = Object.fromEntries([...this.#kept].map(([name, now]) => [
      name,
      weights === "average" ? this.#kept.get(`average/${name}`) ?? now : now,
    ]));
    const found = this.#tf.tidy(() =>
      this.#inference.run({ ...stored, ...this.#fed(feeds) }).map((each) => this.#tf.clone(each))
    );
    const result: Record<string, Tensor> = {};
    for (const [i, [name, { dtype }]] of [...outputs].entries()) result[name] = await fromTensorFlow(found[i]!, dtype);
    this.#tf.dispose(found);
    return result;
  }

  dispose(): Promise<void> {
    for (const interpreter of [this.#forward, this.#update, this.#inference]) interpreter.dispose();
    for (const content of this.#kept.values()) content.dispose();
    this.#kept.clear();
    return Promise.resolve();
  }

  #differentiate(batch: Batch, masks: Readonly<Record<string, Tensor>>, statistics: Tensors): Differentiated {
    const tf = this.#tf, { forward, parameters } = this.#plan;
    const names = parameters.filter((_, i) => this.#reached[i]);
    const extra: TensorFlowTensor[] = [];
    const { value, grads } = tf.tidy(() => {
      const fixed = { ...Object.fromEntries(this.#kept), ...statistics, ...this.#fed(batch), ...this.#fed(masks) };
      const loss = (...weights: TensorFlowTensor[]) => {
        const own = Object.fromEntries(names.map((name, i) => [name, weights[i]!]));
        const [result, ...rest] = this.#forward.run({ ...fixed, ...own });
        extra.push(...rest.map((each) => tf.keep(tf.clone(each))));
        return tf.reshape(result!, []);
      };
      try {
        return tf.valueAndGrads(loss)(names.map((name) => this.#get(name)));
      } catch (error) {
        if (error instanceof InputError) throw error;
        throw new TrainError(`step: TensorFlow.js: gradients: ${describeError(error, 300)}`, { cause: error });
      }
    });
    const found = new Map(names.map((name, i) => [name, grads[i]!]));
    const fresh = [...forward.statistics.keys()], told = [...forward.metrics.keys()];
    return {
      loss: value,
      gradients: parameters.map((name) => found.get(name) ?? tf.zerosLike(this.#get(name))),
      statistics: Object.fromEntries(fresh.map((name, i) => [name, extra[i]!])),
      metrics: Object.fromEntries(told.map((name, i) => [name, extra[fresh.length + i]!])),
    };
  }

  #fed(batch: Batch): Tensors {
    return Object.fromEntries(Object.entries(batch).map(([name, content]) => [name, toTensorFlow(this.#tf, content)]));
  }

  #get(name: string): TensorFlowTensor {
    const found = this.#kept.get(name);
    if (found) return found;
    throw new WorkError(`step: expected a kept tensor named "${name}", found none`);
  }

  #keep(name: string, content: TensorFlowTensor): void {
    this.#kept.get(name)?.dispose();
    this.#kept.set(name, this.#tf.keep(content));
  }
}
