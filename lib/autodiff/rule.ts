/** Gradient rules: what a rule is given, what it returns, and the registry of all rules by operator. */

import type { Graph, Node, Shape, Value } from "../onnx/mod.ts";
import type { Device } from "../runtime/mod.ts";
import type { Part } from "./accumulate.ts";
import { AutodiffError } from "./errors.ts";
import { expandTo, sumTo } from "./broadcast.ts";

/**
 * The backward rule of an operator: the gradient of each input, in order, undefined where none flows.
 *
 * A gradient that is returned must broadcast to its input's shape: it may have size 1 (or no axis at all) where all
 * elements along an axis are alike. Nothing larger than the input's shape may be returned: `ctx.sumTo` undoes
 * broadcasting. A `Part` is a gradient that is zero but for a stretch of one axis. Gradients of inputs with `ctx.needs[i]` false are ignored, and nodes made only for them are removed.
 */
export type Rule = (ctx: RuleContext) => readonly (Value | Part | undefined)[];

/** What `RuleContext` is made from. */
export interface RuleContextOptions {
  readonly node: Node;
  readonly device: Device;
  /** Gradients of the node's outputs, each broadcastable to its output's shape; undefined = zero. */
  readonly gradients: readonly (Value | undefined)[];
  readonly needs: readonly boolean[];
  /** What the backward graph reads for a value of the forward graph: the value itself, or its recomputation. */
  readonly read: (value: Value) => Value;
}

/**
 * What a rule works with. Shapes, types and attributes are read from `node` (which never adds anything to the graph);
 * tensors from `inputs`, `outputs` and `gradients`, which may be recomputed or expanded when they are read.
 */
export class RuleContext {
  readonly graph: Graph;
  /** The forward node. */
  readonly node: Node;
  /** Where the backward graph will run; chooses between forms of a rule where a device lacks an operator. */
  readonly device: Device;
  /** Which inputs need a gradient. */
  readonly needs: readonly boolean[];
  /** Gradients as they came: broadcastable to the output's shape, often smaller. undefined = zero. */
  readonly compactGradients: readonly (Value | undefined)[];
  /** Gradients in their outputs' full shapes (an Expand is added where one is smaller). undefined = zero. */
  readonly gradients: readonly (Value | undefined)[];
  /** The node's inputs, to be read by the backward graph. */
  readonly inputs: readonly (Value | undefined)[];
  /** The node's outputs, to be read by the backward graph. */
  readonly outputs: readonly (Value | undefined)[];

  constructor({ node, device, gradients, needs, read }: RuleContextOptions) {
    this.graph = node.graph;
    this.node = node;
    this.device = device;
    this.needs = needs;
    this.compactGradients = gradients;
    this.gradients = lazily(gradients, (gradient, i) => expandTo(gradient, node.output(i)));
    this.inputs = lazily(node.inputs, read);
    this.outputs = lazily(node.outputs, read);
  }

  /** The gradient of the first output in its full shape. */
  get gradient(): Value {
    return present(this.gradients[0], `${this.node}: expected a gradient of output 0, found none`);
  }

  /** The gradient of the first output, broadcastable to its shape: for elementwise rules, which need no Expand. */
  get compactGradient(): Value {
    return present(this.compactGradients[0], `${this.node}: expected a gradient of output 0, found none`);
  }

  /** An input that must be there. */
  input(index: number): Value {
    this.node.input(index);
    return this.inputs[index]!;
  }

  /** An output that must be there. */
  output(index = 0): Value {
    this.node.output(index);
    return this.outputs[index]!;
  }

  /** The shape of the node's input. */
  shape(index: number): Shape {
    return this.node.input(index).shape;
  }

  /**
   * Sums a gradient that stands for (or broadcasts to) the first output's shape to the shape of an input: undoes NumPy
   * broadcasting.
   */
  sumTo(gradient: Value, index: number): Value {
    return sumTo(gradient, this.node.output(), this.shape(index));
  }

  /** An error that names the operator and node, to be thrown. */
  fail(message: string): AutodiffError {
    return new AutodiffError(`gradient of ${this.node}: ${message}`);
  }
}

const rules = new Map<string, Rule>();

/**
 * Registers the gradient of an operator, replacing the one there was. Operators of another domain than ONNX's own are
 * written `domain::name`.
 */
export function defineRule(opTypes: string | readonly string[], rule: Rule): void {
  for (const opType of typeof opTypes === "string" ? [opTypes] : opTypes) rules.set(opType, rule);
}

/** The gradient rule for a node, or undefined. */
export function ruleOf(node: Node): Rule | undefined {
  return rules.get(node.domain === "" || node.domain === "ai.onnx" ? node.opType : `${node.domain}::${node.opType}`);
}

/** The names of all operators with a rule, sorted. */
export function operatorsWithRule(): string[] {
  return [...rules.keys()].sort();
}

/** An array whose elements are worked out when they are first read. */
function lazily<T>(
  source: readonly (T | undefined)[],
  read: (item: T, index: number) => T,
): readonly (T | undefined)[] {
  const result = new Array<T | undefined>(source.length).fill(undefined);
  source.forEach((item, i) => {
    if (item === undefined) return;
    let known: T | undefined;
    Object.defineProperty(result, i, { enumerable: true, get: () => known ??= read(item, i) });
  });
  return result;
}

function present(value: Value | undefined, message: string): Value {
  if (value) return value;
  throw new AutodiffError(message);
}
