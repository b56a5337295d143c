/** What an optimizer is: a chain of transforms that turn gradients into updates, written into the graph of the step. */

import {
  add,
  cast,
  type DType,
  type Graph,
  mul,
  reduceSumSquare,
  sqrt,
  sum,
  type Tensor,
  tensor,
  type Value,
  zeros,
} from "../onnx/mod.ts";
import { TrainError } from "./errors.ts";
import { flatShape } from "./training_graph.ts";

/** A parameter in the graph of the step. */
export interface TrainedParameter {
  /** Its name in the model. */
  readonly name: string;
  /** Its elements before the step, in one dimension (a scalar has none); so is its gradient. */
  readonly value: Value;
  readonly dtype: DType;
  /** Its shape in the model. */
  readonly shape: readonly number[];
}

/** A tensor that an optimizer keeps from step to step. */
export interface StateTensor {
  readonly name: string;
  /** Its elements before the first step. */
  readonly initial: Tensor;
  /** Its elements before the step, in one dimension (a scalar has none). */
  readonly value: Value;
  /** Its elements after the step, in one dimension too; must be set. */
  next: Value | undefined;
}

/** The graph that a transform writes into, and what it may read there. */
export class OptimizerContext {
  readonly graph: Graph;
  readonly parameters: readonly TrainedParameter[];
  /** A float32 scalar, fed in each step. */
  readonly learningRate: Value;
  readonly #states = new Map<string, StateTensor>();
  readonly #norms = new Map<string, () => Value>();

  constructor(graph: Graph, parameters: readonly TrainedParameter[], learningRate: Value) {
    this.graph = graph;
    this.parameters = parameters;
    this.learningRate = learningRate;
  }

  /** All state tensors that were declared. */
  get states(): readonly StateTensor[] {
    return [...this.#states.values()];
  }

  /** Declares a state tensor. A name that is taken gets a number. */
  state(name: string, initial: Tensor): StateTensor {
    let unique = `optimizer/${name}`;
    for (let count = 2; this.#states.has(unique); count++) unique = `optimizer/${name}_${count}`;
    const value = this.graph.input(unique, initial.dtype, flatShape(initial.shape));
    const made: StateTensor = { name: unique, initial, value, next: undefined };
    this.#states.set(unique, made);
    return made;
  }

  /** Declares a state tensor of zeros in the shape of a parameter. */
  like(name: string, parameter: TrainedParameter): StateTensor {
    return this.state(`${name}/${parameter.name}`, zeros(parameter.dtype, parameter.shape));
  }

  /** How many steps have been taken with this one, float64, so that powers of it keep their digits. */
  count(name: string): Value {
    const state = this.state(name, tensor("float64", [], [0]));
    state.next = add(state.value, 1);
    return state.next;
  }

  /** The length of all tensors taken as one vector, a float32 scalar; worked out once for the same tensors. */
  globalNorm(tensors: readonly Value[]): Value {
    const key = namesOf(tensors);
    const known = this.#norms.get(key);
    if (known) return known();
    const norm = globalNorm(tensors);
    this.#norms.set(key, () => norm);
    return norm;
  }

  /** Says where the length of tensors can be read that was worked out elsewhere. */
  knowNorm(tensors: readonly Value[], norm: () => Value): void {
    this.#norms.set(namesOf(tensors), norm);
  }

  /** A scalar in the type of a parameter. */
  typed(scalar: Value, parameter: TrainedParameter): Value {
    return scalar.dtype === parameter.dtype ? scalar : cast(scalar, parameter.dtype);
  }
}

/** The length of all tensors taken as one vector, a float32 scalar. */
export function globalNorm(tensors: readonly Value[]): Value {
  const squares = tensors.map((value) => {
    const square = reduceSumSquare(value);
    return value.dtype === "float32" ? square : cast(square, "float32");
  });
  return sqrt(squares.length === 1 ? squares[0]! : sum(squares));
}

function namesOf(tensors: readonly Value[]): string {
  return tensors.map((value) => value.name).join("\n");
}

/**
 * Turns one tensor a parameter (gradients at the start of a chain) into another, appending its operators and declaring
 * its state. What the last one gives is added to the parameters, so that it must point downhill.
 */
export type Transform = (updates: readonly Value[], context: OptimizerContext) => readonly Value[];

/** An optimizer is a transform whose last part scales by the negative learning rate. */
export type Optimizer = Transform;

/** Transforms one after another. */
export function chain(...transforms: readonly Transform[]): Transform {
  return (updates, context) => transforms.reduce((result, transform) => transform(result, context), updates);
}

/** Applies an optimizer: the parameters after the step, in order. Throws TrainError when a transform breaks its contract. */
export function applyOptimizer(
  optimizer: Optimizer,
  gradients: readonly Value[],
  context: OptimizerContext,
): readonly Value[] {
  const updates = optimizer(gradients, context);
  if (updates.length !== context.parameters.length) {
    throw new TrainError(`optimizer: expected ${context.parameters.length} updates, found ${updates.length}`);
  }
  const forgotten = context.states.find(({ next }) => next === undefined);
  if (forgotten) throw new TrainError(`optimizer: expected a next value for state "${forgotten.name}", found none`);
  return context.parameters.map((parameter, i) => add(parameter.value, updates[i]!));
}

/** A transform that treats each parameter by itself. */
export function perParameter(
  update: (gradient: Value, parameter: TrainedParameter, context: OptimizerContext) => Value,
): Transform {
  return (updates, context) => updates.map((gradient, i) => update(gradient, context.parameters[i]!, context));
}

/** decay · old + (1 − decay) · fresh. */
export function blend(old: Value, fresh: Value, decay: number): Value {
  return add(mul(old, decay), mul(fresh, 1 - decay));
}
