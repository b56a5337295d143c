/** A graph written anew with rounding where a plan wants it: whole numbers to run, or a stand-in for them to train. */

import { Graph, type Node, tensor, type Value } from "../../onnx/mod.ts";
import { activationQuantizer, type ActivationType, type Quantizer, type Range } from "./numbers.ts";
import { type Layer, type QuantizationPlan, rangeOf } from "./plan.ts";

/** Scale and zero point of an activation, as numbers and in the graph. */
export interface ActivationConstants {
  readonly quantizer: Quantizer;
  readonly scale: Value;
  readonly zero: Value;
}

/** How rounding is written. */
export interface RoundingForm {
  /** An activation after rounding. */
  activation(value: Value, name: string, constants: ActivationConstants): Value;
  /** A layer's weights and, where it has one, its bias, for an input of this scale. */
  weights(graph: Graph, layer: Layer, input: Quantizer): readonly Value[];
}

/** Settings of `roundedGraph`. */
export interface RoundedGraphOptions {
  readonly ranges: ReadonlyMap<string, Range>;
  readonly activation: ActivationType;
  readonly symmetric: boolean;
}

/** The graph with the plan's values and weights rounded; inputs and outputs keep their names. */
export function roundedGraph(
  graph: Graph,
  plan: QuantizationPlan,
  form: RoundingForm,
  options: RoundedGraphOptions,
): Graph {
  return new Rewriter(graph, plan, form, options).run();
}

/** A value of the new graph: as it was computed, and as it reads after rounding. */
interface Written {
  readonly exact: Value;
  readonly rounded?: Value;
}

/** A range that lies so little beyond a limit is within it. */
const ROOM = 1e-6;

class Rewriter {
  readonly #graph: Graph;
  readonly #plan: QuantizationPlan;
  readonly #form: RoundingForm;
  readonly #options: RoundedGraphOptions;
  readonly #result: Graph;
  readonly #written = new Map<Value, Written>();
  /** By the values whose ranges they come from. */
  readonly #constants = new Map<string, ActivationConstants>();

  constructor(graph: Graph, plan: QuantizationPlan, form: RoundingForm, options: RoundedGraphOptions) {
    this.#graph = graph;
    this.#plan = plan;
    this.#form = form;
    this.#options = options;
    this.#result = new Graph(graph.name);
    for (const [key, value] of graph.metadata) this.#result.metadata.set(key, value);
    for (const [domain, version] of graph.domains) this.#result.domains.set(domain, version);
  }

  run(): Graph {
    const result = this.#result, { nodes, attached } = this.#plan;
    for (const input of this.#graph.inputs) this.#write(input, result.input(input.name, input.dtype, input.shape));
    const rectifierOf = new Map([...attached].map(([rectifier, node]) => [node, rectifier]));
    for (const node of this.#graph.nodes) {
      if (attached.has(node)) continue;
      const copies = this.#copy(node, this.#inputsOf(node, nodes.has(node)));
      const rectifier = rectifierOf.get(node);
      if (rectifier) this.#rectify(rectifier, copies[0]!);
      else node.outputs.forEach((value, i) => value && this.#write(value, copies[i]!));
    }
    for (const output of this.#graph.outputs) {
      const { exact, rounded } = this.#written.get(output) ?? { exact: this.#constant(output) };
      const value = rounded && this.#isComputed(output) ? rounded : exact;
      if (value !== exact) result.rename(exact, result._internals().uniqueName(`${output.name}.exact`));
      result.output(value, output.name);
    }
    return result;
  }

  /** Whether a value comes from an operator in int8, so that all read it rounded. */
  #isComputed(value: Value): boolean {
    const { producer } = value, { nodes, attached } = this.#plan;
    return producer !== undefined && (nodes.has(producer) || attached.has(producer));
  }

  #inputsOf(node: Node, isQuantized: boolean): (Value | undefined)[] {
    const layer = this.#plan.layers.get(node);
    if (layer) {
      const x = node.input(0), { quantizer } = this.#constantsOf(this.#plan.sources.get(x)!);
      return [this.#written.get(x)!.rounded, ...this.#form.weights(this.#result, layer, quantizer)];
    }
    return node.inputs.map((value) => {
      if (!value) return undefined;
      const { exact, rounded } = this.#written.get(value) ?? { exact: this.#constant(value) };
      return rounded && (isQuantized || this.#isComputed(value)) ? rounded : exact;
    });
  }

  #constant(value: Value): Value {
    const known = this.#written.get(value);
    if (known) return known.exact;
    const lists = this.#result._internals();
    const exact = lists.addInitialiser(lists.uniqueName(value.name), value.kind, value.tensor!);
    this.#written.set(value, { exact });
    return exact;
  }

  #copy(node: Node, inputs: readonly (Value | undefined)[]): readonly (Value | undefined)[] {
    const [made] = this.#result.node(node.opType, inputs, Object.fromEntries(node.attributes), {
      name: node.name,
      outputs: node.outputs.map((value) => value !== undefined),
      domain: node.domain,
    });
    const copies = made!.producer!.outputs;
    node.outputs.forEach((value, i) => {
      if (value && copies[i]) copies[i]._type ??= value.type; // an operator without inference keeps what its file declared
    });
    return copies;
  }

  /** Records a value under the name of the source, and rounds it where the plan says so. */
  #write(value: Value, copy: Value): void {
    if (copy.name !== value.name) this.#result.rename(copy, this.#result._internals().uniqueName(value.name));
    const sources = this.#plan.sources.get(value);
    this.#written.set(
      value,
      sources ? { exact: copy, rounded: this.#round(copy, value.name, sources) } : { exact: copy },
    );
  }

  #round(value: Value, name: string, sources: readonly Value[]): Value {
    return this.#form.activation(value, name, this.#constantsOf(sources));
  }

  /** A Relu or Clip after its layer, left out where rounding to the range of its result is the same. */
  #rectify(rectifier: Node, before: Value): void {
    const result = rectifier.output(), sources = this.#plan.sources.get(result)!;
    if (this.#contains(rectifier, sources)) return this.#write(result, before);
    if (this.#contains(rectifier, [result])) {
      // It shares a scale with what has another range: rounded to its own first, then to the other.
      return this.#write(result, this.#round(before, `${result.name}.own`, [result]));
    }
    const kept = rectifier.inputs.map((value, i) => i === 0 || !value ? before : this.#constant(value));
    this.#write(result, this.#copy(rectifier, kept)[0]!);
  }

  /** Whether numbers of a range are those that a rectifier leaves, but for the rounding of the zero point. */
  #contains(rectifier: Node, sources: readonly Value[]): boolean {
    const { low, high, zeroPoint, scale } = this.#constantsOf(sources).quantizer, limits = limitsOf(rectifier);
    return (low - zeroPoint) * scale >= limits.low - (limits.low === 0 ? ROOM : scale) &&
      (high - zeroPoint) * scale <= limits.high + scale;
  }

  #constantsOf(sources: readonly Value[]): ActivationConstants {
    const key = sources.map(({ name }) => name).join("\n"), known = this.#constants.get(key);
    if (known) return known;
    const { ranges, activation, symmetric } = this.#options, name = sources[0]!.name;
    const quantizer = activationQuantizer(rangeOf(sources, ranges), activation, { symmetric });
    const made = {
      quantizer,
      scale: this.#result.constant(tensor("float32", [], [quantizer.scale]), { name: `${name}.scale` }),
      zero: this.#result.constant(tensor(activation, [], [quantizer.zeroPoint]), { name: `${name}.zero_point` }),
    };
    this.#constants.set(key, made);
    return made;
  }
}

/** Between which numbers a Relu or Clip leaves its input as it is. */
function limitsOf(rectifier: Node): Range {
  if (rectifier.opType === "Relu") return { low: 0, high: Infinity };
  const limit = (index: number, fallback: number) => Number(rectifier.inputs[index]?.tensor?.data[0] ?? fallback);
  return { low: limit(1, -Infinity), high: limit(2, Infinity) };
}
