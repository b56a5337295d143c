/** A node of a graph: an operator with its inputs, attributes and outputs. */

import type { Attribute, AttributeKind, AttributeValues } from "./attributes.ts";
import { type Dim, formatShape, type Shape, symbol } from "./dims.ts";
import { OnnxError } from "./errors.ts";
import type { DType } from "../runtime/mod.ts";
import type { Graph } from "./graph.ts";
import { type OperatorSpec, operatorSpec } from "./registry.ts";
import type { Value } from "./value.ts";

/**
 * An operator applied. Attributes are read by kind; one that is absent gives the fallback, else the operator's own
 * default, else throws OnnxError. Made by `Graph.node` and the operator functions only.
 */
export class Node {
  readonly graph: Graph;
  readonly opType: string;
  /** "" is ONNX's own domain. */
  readonly domain: string;
  readonly attributes: ReadonlyMap<string, Attribute>;
  /** @internal set by Graph */
  _name: string;
  /** @internal set by Graph */
  _inputs: (Value | undefined)[];
  /** @internal set by Graph; undefined: an optional output that is not asked for */
  _outputs: (Value | undefined)[] = [];

  /** @internal use Graph */
  constructor(
    graph: Graph,
    name: string,
    opType: string,
    domain: string,
    inputs: readonly (Value | undefined)[],
    attributes: ReadonlyMap<string, Attribute>,
  ) {
    this.graph = graph;
    this._name = name;
    this.opType = opType;
    this.domain = domain;
    this._inputs = [...inputs];
    this.attributes = attributes;
  }

  get name(): string {
    return this._name;
  }

  /** The inputs in the operator's order; undefined: an optional one left out. */
  get inputs(): readonly (Value | undefined)[] {
    return this._inputs;
  }

  /** The outputs in the operator's order; undefined: an optional one left out. */
  get outputs(): readonly (Value | undefined)[] {
    return this._outputs;
  }

  /** How many output places the node has, those left out in the middle included. */
  outputCount = 0;

  /** What the library knows of the operator, or undefined. */
  get spec(): OperatorSpec | undefined {
    return operatorSpec(this.opType, this.domain);
  }

  /** An input that must be there. Throws OnnxError when it is not. */
  input(index: number): Value {
    const value = this._inputs[index];
    if (value) return value;
    throw this.fail(`expected input ${this.#inputName(index)}, found none`);
  }

  /** An output that must be there. Throws OnnxError when it is not. */
  output(index = 0): Value {
    const value = this._outputs[index];
    if (value) return value;
    throw this.fail(`expected output ${index}, found none`);
  }

  /** Whether the attribute was written. */
  has(name: string): boolean {
    return this.attributes.has(name);
  }

  int(name: string, fallback?: number): number {
    return this.#attribute("int", name, fallback);
  }

  float(name: string, fallback?: number): number {
    return this.#attribute("float", name, fallback);
  }

  string(name: string, fallback?: string): string {
    return this.#attribute("string", name, fallback);
  }

  ints(name: string, fallback?: readonly number[]): readonly number[] {
    return this.#attribute("ints", name, fallback);
  }

  floats(name: string, fallback?: readonly number[]): readonly number[] {
    return this.#attribute("floats", name, fallback);
  }

  /** An attribute of any kind, or undefined. */
  attribute(name: string): Attribute | undefined {
    return this.attributes.get(name);
  }

  /** An error that names this node, to be thrown: `throw node.fail("expected …, found …")`. */
  fail(message: string): OnnxError {
    return new OnnxError(`${this}: ${message}`);
  }

  /** `x "image" [N, 3, H, W]`: an input by its role, name and shape, for messages. */
  describe(index: number): string {
    const value = this._inputs[index];
    return value ? `${this.#inputName(index)} ${value}` : `${this.#inputName(index)} (left out)`;
  }

  /** `Conv "conv1"`. */
  toString(): string {
    return `${this.opType} "${this.name}"`;
  }

  /** An axis in 0 … rank − 1. Throws OnnxError when it is outside −rank … rank − 1. */
  axis(axis: number, rank: number): number {
    if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
      throw this.fail(`expected an axis in ${-rank} … ${rank - 1} of ${this.describe(0)}, found ${axis}`);
    }
    return axis < 0 ? axis + rank : axis;
  }

  /** The element type of an input, checked against those allowed. */
  dtypeOf(index: number, allowed?: readonly DType[]): DType {
    const { dtype } = this.input(index);
    if (allowed && !allowed.includes(dtype)) {
      throw this.fail(`expected ${this.describe(index)} to be ${allowed.join(" or ")}, found ${dtype}`);
    }
    return dtype;
  }

  /** Throws OnnxError unless the inputs named have one element type; returns it. */
  sameDType(...indices: readonly number[]): DType {
    const first = this.input(indices[0] ?? 0).dtype;
    for (const index of indices) {
      const value = this._inputs[index];
      if (value && value.dtype !== first) {
        throw this.fail(
          `expected ${this.describe(index)} to have the element type of ${
            this.describe(indices[0] ?? 0)
          }, ${first}, found ${value.dtype}`,
        );
      }
    }
    return first;
  }

  /** Throws OnnxError unless the input has one of the ranks. */
  expectRank(index: number, ...ranks: readonly number[]): Shape {
    const { shape } = this.input(index);
    if (!ranks.includes(shape.length)) {
      throw this.fail(
        `expected ${this.describe(index)} to have ${ranks.join(" or ")} dimensions, found ${shape.length}`,
      );
    }
    return shape;
  }

  /** The known elements of an input as numbers, or undefined when one is symbolic or unknown. */
  knownInts(index: number): readonly number[] | undefined {
    const elements = this._inputs[index]?.elements;
    return elements?.every((element) => typeof element === "number") ? elements as readonly number[] : undefined;
  }

  /** Throws OnnxError for a computed size below 0. */
  checkShape(shape: Shape): Shape {
    for (const dim of shape) {
      if (typeof dim === "number" && !(dim >= 0)) {
        throw this.fail(`expected sizes from 0, found ${formatShape(shape)} from ${this.#describeAll()}`);
      }
    }
    return shape;
  }

  /** A symbol for a size known only at run time. */
  unknownDim(output: number, dimension: number): Dim {
    return symbol(`${this.name}.${output}.${dimension}`);
  }

  #describeAll(): string {
    return this._inputs.map((value, i) => value ? this.describe(i) : "").filter(Boolean).join(", ");
  }

  #inputName(index: number): string {
    const names = this.spec?.inputs ?? [];
    const name = names[index] ?? (names.at(-1)?.endsWith("*") ? names.at(-1) : undefined);
    if (name === undefined) return `input ${index}`;
    return name.endsWith("*") ? `${name.slice(0, -1)}${index}` : name.replace(/\?$/, "");
  }

  #attribute<Kind extends AttributeKind>(
    kind: Kind,
    name: string,
    fallback: AttributeValues[Kind] | undefined,
  ): AttributeValues[Kind] {
    const attribute = this.attributes.get(name);
    if (attribute === undefined) {
      const value = fallback ?? this.spec?.attributes[name]?.fallback as AttributeValues[Kind] | undefined;
      if (value === undefined) throw this.fail(`expected attribute ${name} (${kind}), found none`);
      return value;
    }
    if (attribute.kind !== kind) {
      throw this.fail(`expected attribute ${name} of kind ${kind}, found ${attribute.kind}`);
    }
    return attribute.value as AttributeValues[Kind];
  }
}
