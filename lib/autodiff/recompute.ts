/** Gradient checkpointing: second copies of forward nodes for the backward pass to read. */

import {
  add,
  cast,
  elementCount,
  gather,
  type Graph,
  isStatic,
  mul,
  type Node,
  reshape,
  shape as shapeOf,
  tensor,
  type Value,
} from "../onnx/mod.ts";

/** Operators that give another result when they run again; what they made is kept. */
const RANDOM = [
  "Dropout",
  "RandomNormal",
  "RandomNormalLike",
  "RandomUniform",
  "RandomUniformLike",
  "Bernoulli",
  "Multinomial",
];

/**
 * Gives the backward pass copies of forward values instead of the values themselves, so that the originals can be
 * freed when the forward pass has moved on. Kept, and so given as they are: inputs, initialisers, the checkpoints, what
 * comes after the last checkpoint, what a random operator made, and what depends on no input.
 *
 * A copy must neither be merged with its original (ONNX Runtime's common-subexpression elimination compares operator,
 * attributes and inputs) nor be scheduled before the gradient arrives at its segment. Both are had by letting the copy
 * read its kept input through a Reshape whose target shape is the old shape plus 0 · (an element of the arriving
 * gradient, as an integer): the shape is not a constant, so that the optimiser cannot fold it; Reshape copies nothing; and
 * an integer's zero product cannot carry a NaN.
 */
export class Recomputation {
  readonly #graph: Graph;
  readonly #recomputed: ReadonlySet<Value>;
  readonly #varying: ReadonlySet<Value>;
  readonly #copies = new Map<Value, Value>();
  readonly #loss: Value;
  #arrived: Value | undefined;
  /** What was made since the present gradient arrived: kept values that wait for it, and the zero they wait with. */
  #delayed = new Map<Value, Value>();
  #zero: Value | undefined;

  constructor(graph: Graph, loss: Value, checkpoints: readonly Value[]) {
    this.#graph = graph;
    this.#loss = loss;
    this.#varying = dependents(graph);
    const kept = new Set(checkpoints);
    const ancestors = new Set<Value>();
    for (const node of graph.nodes.toReversed()) {
      const leads = node.outputs.some((output) => output && (kept.has(output) || ancestors.has(output)));
      if (leads) { for (const input of node.inputs) if (input) ancestors.add(input); }
    }
    const recomputed = new Set<Value>();
    for (const value of ancestors) {
      const node = value.producer;
      if (!node || kept.has(value) || !this.#varying.has(value) || RANDOM.includes(node.opType)) continue;
      if (node.opType === "Reshape" && node.input(0).kind === "input") continue; // takes no memory
      recomputed.add(value);
    }
    this.#recomputed = recomputed;
  }

  /** Tells which gradient is about to be propagated; a segment that is recomputed from now on waits for it. */
  enter(gradient: Value): void {
    if (gradient === this.#arrived) return;
    this.#arrived = gradient;
    this.#delayed = new Map();
    this.#zero = undefined;
  }

  /** What the backward pass reads for a forward value. */
  read(value: Value): Value {
    if (!this.#recomputed.has(value)) return value;
    const known = this.#copies.get(value);
    if (known) return known;
    const pending: Node[] = [value.producer!];
    while (pending.length > 0) {
      const node = pending.at(-1)!;
      const missing = node.inputs.filter((input) =>
        input && this.#recomputed.has(input) && !this.#copies.has(input)
      ) as Value[];
      if (missing.length > 0) pending.push(...missing.map((input) => input.producer!));
      else {
        pending.pop();
        if (!node.outputs.some((output) => output && this.#copies.has(output))) this.#copy(node);
      }
    }
    return this.#copies.get(value)!;
  }

  #copy(node: Node): void {
    const inputs = node.inputs.map((input) => (input && this.#copies.get(input)) ?? input);
    if (inputs.every((input, i) => input === node.inputs[i])) {
      const i = node.inputs.findIndex((input) => input && this.#varying.has(input));
      inputs[i] = this.#delay(node.input(i));
    }
    if (node.opType === "BatchNormalization" && node.int("training_mode") === 1) {
      if (inputs[3] === node.input(3)) inputs[3] = this.#statistics(node.input(3), 0.125);
      if (inputs[4] === node.input(4)) inputs[4] = this.#statistics(node.input(4), 0.375);
    }
    const outputs = this.#graph.node(
      node.opType,
      inputs,
      Object.fromEntries(node.attributes),
      {
        name: `recompute/${node.name}`,
        domain: node.domain,
        outputs: Array.from({ length: node.outputCount }, (_, i) => node.outputs[i] !== undefined),
      },
    );
    node.outputs.filter((output) => output !== undefined).forEach((output, i) => {
      this.#copies.set(output, outputs[i]!);
    });
  }

  /**
   * Running statistics for a copy of a batch normalisation. ONNX Runtime writes the new ones over the old, and lets constants
   * of equal content share their memory: each copy needs some of its own, unlike any other. The normalised batch does not
   * depend on them, and nobody reads the copy's running statistics (but with momentum 0, when they are the batch's own). Where
   * they are made afresh in each run, so are the copy's, and a NaN of one run does not live on.
   */
  #statistics(like: Value, part: number): Value {
    const shape = like.staticShape;
    const content = new Array<number>(elementCount(shape)).fill(this.#graph.nodes.length + part);
    return this.#graph.constant(tensor(like.dtype, shape, content), { name: "statistics" });
  }

  /** A kept value, not to be had before the gradient that arrived last. */
  #delay(value: Value): Value {
    const known = this.#delayed.get(value);
    if (known) return known;
    const { graph } = value;
    const sizes = isStatic(value.shape) ? graph.ints(value.shape) : shapeOf(value);
    // Never a Reshape of a Reshape: ONNX Runtime 1.30 makes one of two, and fails where the shape is not a constant.
    let source = value;
    while (source.producer?.opType === "Reshape") source = source.producer.input(0);
    const result = reshape(source, add(sizes, this.#zeroAfterGradient()));
    result._type = value._type; // the shape is the same, which inference cannot see
    this.#delayed.set(value, result);
    return result;
  }

  /** An int64 zero of shape [1] that depends on the gradient that arrived. */
  #zeroAfterGradient(): Value {
    if (this.#zero) return this.#zero;
    const source = this.#arrived && varies(this.#arrived, this.#varying) ? this.#arrived : this.#loss;
    const first = gather(reshape(source, [-1]), this.#graph.ints([0])); // one element, whatever the sizes
    return this.#zero = mul(cast(first, "int64"), 0);
  }
}

/** All values that depend on what is fed. */
function dependents(graph: Graph): Set<Value> {
  const result = new Set<Value>(graph.inputs);
  for (const node of graph.nodes) {
    if (!node.inputs.some((input) => input && result.has(input))) continue;
    for (const output of node.outputs) if (output) result.add(output);
  }
  return result;
}

/** Whether a value depends on one of a set. */
function varies(value: Value, sources: ReadonlySet<Value>): boolean {
  const seen = new Set<Value>(), pending = [value];
  for (let next = pending.pop(); next; next = pending.pop()) {
    if (sources.has(next)) return true;
    if (seen.has(next)) continue;
    seen.add(next);
    for (const input of next.producer?.inputs ?? []) if (input) pending.push(input);
  }
  return false;
}
