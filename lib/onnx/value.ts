/** A value of a graph: an input, an initialiser, or the output of a node. */

import type { DType, Tensor } from "../runtime/mod.ts";
import { type Dim, formatShape, isStatic, type Shape } from "./dims.ts";
import { OnnxError } from "./errors.ts";
import type { Graph } from "./graph.ts";
import type { Node } from "./node.ts";
import type { ValueType } from "./registry.ts";

/**
 * Where a value comes from: fed at run time; a trainable weight; a fixed tensor; or computed by a node.
 * Parameters and constants are both initialisers of the file.
 */
export type ValueKind = "input" | "parameter" | "constant" | "node";

/** A named edge of the graph with its element type and shape. Made by `Graph` and the operator functions only. */
export class Value {
  readonly graph: Graph;
  /** The node that computes it; undefined for inputs and initialisers. */
  readonly producer: Node | undefined;
  /** Which of its producer's outputs it is. */
  readonly index: number;
  /** @internal set by Graph */
  _name: string;
  /** @internal set by Graph */
  _kind: ValueKind;
  /** @internal set by Graph */
  _type: ValueType | undefined;
  /** @internal set by Graph */
  _tensor: Tensor | undefined;

  /** @internal use Graph */
  constructor(
    graph: Graph,
    name: string,
    kind: ValueKind,
    type: ValueType | undefined,
    { producer, index = 0, tensor }: { producer?: Node; index?: number; tensor?: Tensor } = {},
  ) {
    this.graph = graph;
    this._name = name;
    this._kind = kind;
    this._type = type;
    this.producer = producer;
    this.index = index;
    this._tensor = tensor;
  }

  get name(): string {
    return this._name;
  }

  get kind(): ValueKind {
    return this._kind;
  }

  /** Type and shape, or undefined where a file holds an operator whose inference is not known. */
  get type(): ValueType | undefined {
    return this._type;
  }

  /** The element type. Throws OnnxError when it is not known. */
  get dtype(): DType {
    return this.#known().dtype;
  }

  /** The sizes; strings are symbols. Throws OnnxError when not even the rank is known. */
  get shape(): Shape {
    return this.#known().shape;
  }

  /** The number of dimensions. Throws OnnxError when it is not known. */
  get rank(): number {
    return this.shape.length;
  }

  /** The shape as numbers. Throws OnnxError when a size is symbolic. */
  get staticShape(): readonly number[] {
    const { shape } = this;
    if (isStatic(shape)) return shape;
    throw new OnnxError(`value "${this.name}": expected a static shape, found ${formatShape(shape)}`);
  }

  /** The elements of a small shape-like tensor as far as they are known before anything runs. */
  get elements(): readonly Dim[] | undefined {
    return this._type?.elements;
  }

  /** The initialiser's elements; undefined for inputs and for what a node computes. */
  get tensor(): Tensor | undefined {
    return this._tensor;
  }

  /** `"image" [N, 3, H, W]`, for messages. */
  toString(): string {
    return `"${this.name}" ${this._type ? formatShape(this._type.shape) : "of unknown shape"}`;
  }

  #known(): ValueType {
    if (this._type) return this._type;
    const origin = this.producer ? `, the output of ${this.producer},` : "";
    throw new OnnxError(`value "${this.name}"${origin}: expected a known type and shape, found none`);
  }
}
