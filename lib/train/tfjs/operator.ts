/** What TensorFlow.js runs for a node: one function an operator, by name. */

import type { Tensor as TensorFlowTensor } from "@tensorflow/tfjs";
import { type Node, toNumbers } from "../../onnx/mod.ts";
import { TrainError } from "../errors.ts";
import type { TensorFlow } from "./backend.ts";

/** What an operator is given. */
export class OperatorContext {
  readonly tf: TensorFlow;
  readonly node: Node;
  /** One for each of the node's inputs; undefined: left out. */
  readonly inputs: readonly (TensorFlowTensor | undefined)[];

  constructor(tf: TensorFlow, node: Node, inputs: readonly (TensorFlowTensor | undefined)[]) {
    this.tf = tf;
    this.node = node;
    this.inputs = inputs;
  }

  /** An input that must be there. */
  input(index: number): TensorFlowTensor {
    const found = this.inputs[index];
    if (found) return found;
    throw this.node.fail(`expected input ${index}, found none`);
  }

  /** The elements of an input that says how to compute (a shape, axes, a limit); undefined where it is left out. */
  numbers(index: number): number[] | undefined {
    const value = this.node.inputs[index];
    if (!value) return undefined;
    if (value.tensor) return toNumbers(value.tensor);
    const known = this.node.knownInts(index);
    return known ? [...known] : [...this.input(index).dataSync()];
  }

  /** An axis of the first input in 0 … rank − 1. */
  axis(): number {
    return this.node.axis(this.node.int("axis"), this.input(0).rank);
  }

  /** An error that says what of the operator TensorFlow.js lacks. */
  lacks(what: string): TrainError {
    return new TrainError(`${this.node}: expected what TensorFlow.js can run, found ${what}`);
  }
}

/** Computes a node's outputs from its inputs; one tensor stands for one output. */
export type TensorFlowOperator = (
  context: OperatorContext,
) => TensorFlowTensor | readonly (TensorFlowTensor | undefined)[];

const operators = new Map<string, TensorFlowOperator>();

/** Registers operators of ONNX's own domain; called at the top of the files in `operators/`. */
export function defineTensorFlow(entries: Readonly<Record<string, TensorFlowOperator>>): void {
  for (const [opType, operator] of Object.entries(entries)) operators.set(opType, operator);
}

/** The function for an operator, or undefined. */
export function tensorFlowOperator({ opType, domain }: Node): TensorFlowOperator | undefined {
  return domain === "" || domain === "ai.onnx" ? operators.get(opType) : undefined;
}

/** The names of all operators that TensorFlow.js runs here, sorted. */
export function tensorFlowOperators(): string[] {
  return [...operators.keys()].sort();
}
