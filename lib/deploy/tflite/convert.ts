/** A graph in QDQ form, as `quantizeStatic` makes it, as a TFLite model that computes in int8 from end to end. */

import { type Graph, isStatic, type Node, type Value } from "../../onnx/mod.ts";
import { InputError } from "../../runtime/mod.ts";
import { activationQuantizer, type Range } from "../quantize/numbers.ts";
import { type Activation, type Int8Quantizer, TfliteBuilder } from "./builder.ts";
import { quantizerOf } from "./constants.ts";
import { channelsLast, type NodeContext, rectification } from "./context.ts";
import type { TfliteModel } from "./model.ts";
import { CONVERTERS } from "./operators.ts";

/** Settings of `toTflite`. */
export interface TfliteOptions {
  /** What is fed and given: int8 as it is computed with, or float32 with a QUANTIZE behind it and a DEQUANTIZE before. Default: "int8". */
  readonly border?: "int8" | "float32";
  /** LeakyRelu as the larger of x and its product, which the Edge TPU computes, or as TFLite's own operator. Default: "maximum". */
  readonly leakyRelu?: "maximum" | "leakyRelu";
  /** Ranges, by name, of results that the graph leaves in float32, such as those of a last Gemm: those of `calibrate`. */
  readonly ranges?: ReadonlyMap<string, Range>;
}

/**
 * Converts a graph of fixed sizes. Maps lie as [N, rows, columns, channels] in TFLite, also where they are fed or given; tensors keep
 * their names. uint8 activations become int8, 128 lower. Throws InputError, in one line, for sizes that are left open, a graph or
 * operator in float32, and an operator or attribute that has no TFLite form here.
 */
export function toTflite(graph: Graph, options: TfliteOptions = {}): TfliteModel {
  return new Converter(graph, options).run();
}

class Converter {
  readonly #graph: Graph;
  readonly #options: TfliteOptions;
  readonly #builder = new TfliteBuilder();
  readonly #consumers: ReturnType<Graph["consumers"]>;
  /** Of values before and after QuantizeLinear and DequantizeLinear: where their int8 numbers are. */
  readonly #activations = new Map<Value, Activation>();
  /** Relu and Clip that are part of the node before them. */
  readonly #fused = new Set<Node>();
  readonly #inputs = new Map<Value, number>();

  constructor(graph: Graph, options: TfliteOptions) {
    this.#graph = graph;
    this.#options = options;
    this.#consumers = graph.consumers();
  }

  run(): TfliteModel {
    const { name, nodes, inputs, outputs } = this.#graph;
    this.#expectInt8();
    for (const node of nodes) this.#take(node);
    const unread = inputs.find((input) => !this.#inputs.has(input));
    if (unread) throw new InputError(`${name}: expected an input that is quantized, found ${unread}`);
    return this.#builder.model(
      name,
      inputs.map((input) => this.#inputs.get(input)!),
      outputs.map((output) => this.#output(output)),
    );
  }

  #expectInt8(): void {
    const { name, nodes, inputs } = this.#graph;
    const open = [...inputs, ...nodes.flatMap(({ outputs }) => outputs)].find((value) =>
      value && !isStatic(value.shape)
    );
    if (open) throw new InputError(`${name}: expected fixed sizes, also of the batch, found ${open}`);
    if (nodes.some(({ opType }) => opType === "QuantizeLinear")) return;
    throw new InputError(`${name}: expected a graph quantized to int8 (quantizeStatic), found one in float32`);
  }

  #take(node: Node): void {
    if (this.#fused.has(node)) {
      const known = this.#activations.get(node.input(0));
      if (known) this.#activations.set(node.output(), known);
      return;
    }
    if (node.opType === "QuantizeLinear") return this.#quantize(node);
    if (node.opType === "DequantizeLinear") {
      const known = this.#activations.get(node.input(0));
      if (known) this.#activations.set(node.output(), known);
      return; // constants are read where they are needed
    }
    const place = `${this.#graph.name}: ${node.opType} ${node.name}`;
    const convert = node.domain === "" ? CONVERTERS[node.opType] : undefined;
    if (!convert) {
      const known = Object.keys(CONVERTERS).join(", ");
      throw new InputError(
        `${place}: expected an operator that has a TFLite form here (${known}), found ${node.opType}`,
      );
    }
    const made = convert({
      ...{ node, place, builder: this.#builder, leakyRelu: this.#options.leakyRelu ?? "maximum" },
      input: (index, { flattened = false } = {}) => this.#read(node.input(index), { place, flattened }),
      result: () => this.#result(node, place),
      moved: (quantizer) => ({ name: node.output().name, quantizer: this.#named(node.output()) ?? quantizer }),
    });
    this.#activations.set(node.output(), made);
  }

  #quantize(node: Node): void {
    const value = node.input(0), quantizer = quantizerOf(node);
    let known = this.#activations.get(value);
    if (!known && this.#graph.inputs.includes(value)) {
      known = this.#feed(value, quantizer);
      this.#activations.set(value, known);
    }
    if (!known) {
      throw new InputError(`${this.#graph.name}: ${node.name}: expected an int8 result or an input, found ${value}`);
    }
    this.#activations.set(node.output(), this.#builder.requantized(known, quantizer, node.output().name));
  }

  #feed(value: Value, quantizer: Int8Quantizer): Activation {
    const shape = channelsLast(value.staticShape);
    const isFloat = this.#options.border === "float32";
    if (isFloat) this.#inputs.set(value, this.#builder.tensor({ name: value.name, type: "FLOAT32", shape }));
    const made = this.#builder.activation(isFloat ? `${value.name}.quantized` : value.name, shape, quantizer);
    if (isFloat) this.#builder.operator("QUANTIZE", [this.#inputs.get(value)!], made.index, {}, 1);
    else this.#inputs.set(value, made.index);
    return made;
  }

  #output(value: Value): number {
    const known = this.#read(value, { place: `${this.#graph.name}: the output "${value.name}"`, flattened: false });
    if (this.#options.border !== "float32") return known.index;
    const index = this.#builder.tensor({ name: `${value.name}.float32`, type: "FLOAT32", shape: known.shape });
    this.#builder.operator("DEQUANTIZE", [known.index], index);
    return index;
  }

  #read(value: Value, { place, flattened }: { readonly place: string; readonly flattened: boolean }): Activation {
    const known = this.#activations.get(value);
    if (!known) throw new InputError(`${place}: expected int8 behind a QuantizeLinear, found float32: ${value}`);
    if (known.flattened && !flattened) {
      throw new InputError(`${place}: expected a Gemm or MatMul to read the flattened map ${value}, found another`);
    }
    return known;
  }

  #result(node: Node, place: string): ReturnType<NodeContext["result"]> {
    const output = node.output(), rectifier = this.#rectifierBehind(node);
    const value = rectifier?.output() ?? output, range = this.#options.ranges?.get(value.name);
    const named = this.#named(value) ?? (range ? int8Of(range) : undefined);
    if (!named) {
      throw new InputError(
        `${place}: expected a result in int8 (a QuantizeLinear or a range), found float32: ${value}`,
      );
    }
    if (!rectifier) return { name: value.name, quantizer: named, activation: "NONE" };
    this.#fused.add(rectifier);
    return { name: value.name, quantizer: named, activation: rectification(rectifier, named, place) };
  }

  /** A Relu or Clip that alone reads the result, unless that is rounded for others. */
  #rectifierBehind(node: Node): Node | undefined {
    const [only, ...others] = this.#consumers.get(node.output()) ?? [];
    const isAlone = only && others.length === 0 && !this.#graph.outputs.includes(node.output());
    return isAlone && (only.opType === "Relu" || only.opType === "Clip") ? only : undefined;
  }

  /** The scale that the first QuantizeLinear behind a value gives it. */
  #named(value: Value): Int8Quantizer | undefined {
    const reader = this.#consumers.get(value)?.find(({ opType }) => opType === "QuantizeLinear");
    return reader && quantizerOf(reader);
  }
}

function int8Of(range: Range): Int8Quantizer {
  const { scale, zeroPoint } = activationQuantizer(range, "int8");
  return { scale, zeroPoint };
}
