/** The typed graph: inputs, initialisers, nodes and outputs, with shapes inferred and checked as it is written. */

import { type DType, type Tensor, tensor } from "../runtime/mod.ts";
import { type Attribute, type PlainAttribute, toAttribute } from "./attributes.ts";
import { type ConstantSource, constantTensor, spell, tensorType } from "./constant.ts";
import type { Shape } from "./dims.ts";
import { OnnxError } from "./errors.ts";
import { inferTypes } from "./infer.ts";
import { Node } from "./node.ts";
import { operatorSpec, type ValueType } from "./registry.ts";
import { Value, type ValueKind } from "./value.ts";

/** An initialiser given by shape and a function that fills it. */
export interface ParameterInit {
  readonly shape: readonly number[];
  /** Default: "float32". */
  readonly dtype?: DType;
  /** Returns the elements for the shape, in row-major order. */
  readonly init: (shape: readonly number[]) => ArrayLike<number>;
}

/** Settings of `Graph.constant`. */
export interface ConstantOptions {
  readonly name?: string;
  /** Default: "float32" for what is not a tensor. */
  readonly dtype?: DType;
  /** Default: [] for a number, else one dimension. */
  readonly shape?: readonly number[];
}

/** Settings of `Graph.node`. */
export interface NodeOptions {
  /** The node's and its first output's name; made unique. Default: the operator's name and a number. */
  readonly name?: string | undefined;
  /** How many outputs, or which: false leaves an optional one out. Default: the operator's required ones. */
  readonly outputs?: number | readonly boolean[];
  readonly domain?: string;
}

/** Constants of at most so many elements are shared within a graph. */
const LONGEST_SHARED = 16;

/**
 * A graph under construction. In memory a graph speaks opset 17, whatever the file it came from or goes to.
 * Values belong to one graph; an operator on values of two graphs throws OnnxError.
 *
 * ```ts
 * import { conv, Graph, relu, toModel } from "./mod.ts";
 *
 * const graph = new Graph("edges");
 * const x = graph.input("image", "float32", ["N", 3, 32, 32]);
 * const w = graph.parameter("w", { shape: [8, 3, 3, 3], init: () => new Float32Array(216).fill(0.1) });
 * const y = relu(conv(x, w, { pads: 1, strides: 2 }));
 * console.assert(String(y.shape) === "N,8,16,16");
 * graph.output(y, "edges");
 * const file = toModel(graph); // the bytes of an ONNX file
 * console.assert(file.length > 864);
 * ```
 */
export class Graph {
  /** The graph's name in the file. */
  name: string;
  /** Free text pairs of the file (`metadata_props`). */
  readonly metadata = new Map<string, string>();
  /** Versions of the operator domains beside ONNX's own, e.g. "com.microsoft" → 1. */
  readonly domains = new Map<string, number>();
  readonly #values = new Map<string, Value>();
  readonly #inputs: Value[] = [];
  readonly #initialisers = new Set<Value>();
  readonly #outputs: Value[] = [];
  #nodes: Node[] = [];
  readonly #nodeNames = new Set<string>();
  readonly #counters = new Map<string, number>();
  readonly #shared = new Map<string, Value>();
  readonly #scopes: string[] = [];

  constructor(name = "graph") {
    this.name = name;
  }

  /** What is fed at run time, in order. */
  get inputs(): readonly Value[] {
    return this.#inputs;
  }

  /** What a run returns, in order. */
  get outputs(): readonly Value[] {
    return this.#outputs;
  }

  /** The nodes in topological order (for a graph built here; `sortNodes` restores it). */
  get nodes(): readonly Node[] {
    return this.#nodes;
  }

  /** All initialisers: parameters and constants. */
  get initialisers(): readonly Value[] {
    return [...this.#initialisers];
  }

  /** The trainable initialisers, in the order in which they were made. */
  get parameters(): readonly Value[] {
    return this.initialisers.filter((value) => value.kind === "parameter");
  }

  /** All values by name. */
  get values(): ReadonlyMap<string, Value> {
    return this.#values;
  }

  /** A value by its name. Throws OnnxError when there is none. */
  value(name: string): Value {
    const value = this.#values.get(name);
    if (value) return value;
    throw new OnnxError(`graph "${this.name}": expected a value named "${name}", found none`);
  }

  /** Declares an input. A string in the shape is a symbol. Throws OnnxError when the name is taken. */
  input(name: string, dtype: DType, shape: Shape): Value {
    for (const dim of shape) {
      if (typeof dim === "number" ? !Number.isInteger(dim) || dim < 0 : dim === "") {
        throw new OnnxError(`input "${name}": expected sizes from 0 or symbols, found [${shape.join(", ")}]`);
      }
    }
    const value = new Value(this, this.#claim(this.scoped(name)), "input", { dtype, shape: [...shape] });
    this.#values.set(value.name, value);
    this.#inputs.push(value);
    return value;
  }

  /** Declares a trainable initialiser. Throws OnnxError when the name is taken. */
  parameter(name: string, source: Tensor | ParameterInit): Value {
    const content = "init" in source
      ? tensor(source.dtype ?? "float32", source.shape, source.init(source.shape))
      : source;
    return this.#initialiser(this.#claim(this.scoped(name)), "parameter", content);
  }

  /** A fixed initialiser. Small unnamed constants that are equal share one value. */
  constant(source: ConstantSource, { name, dtype, shape }: ConstantOptions = {}): Value {
    const content = constantTensor(source, dtype, shape);
    if (name !== undefined) return this.#initialiser(this.#unique(this.scoped(name)), "constant", content);
    const shared = content.data.length <= LONGEST_SHARED
      ? `${content.dtype}[${content.shape}]${Array.from(content.data as ArrayLike<unknown>, spell).join()}`
      : undefined;
    const known = shared === undefined ? undefined : this.#shared.get(shared);
    if (known && this.#values.get(known.name) === known) return known;
    const value = this.#initialiser(this.#unique("const"), "constant", content);
    if (shared !== undefined) this.#shared.set(shared, value);
    return value;
  }

  /** An int64 constant of one dimension, as Reshape, Slice and others want it; a number gives a scalar. */
  ints(values: readonly number[] | number): Value {
    return typeof values === "number"
      ? this.constant([values], { dtype: "int64", shape: [] })
      : this.constant(values, { dtype: "int64", shape: [values.length] });
  }

  /** Makes an initialiser trainable, or fixed. Throws OnnxError for anything else. */
  setTrainable(value: Value, trainable = true): void {
    this.#own(value, "setTrainable");
    if (!this.#initialisers.has(value)) {
      throw new OnnxError(`setTrainable: expected an initialiser, found ${value.kind} ${value}`);
    }
    value._kind = trainable ? "parameter" : "constant";
  }

  /** Replaces an initialiser's elements. Throws OnnxError unless type and shape stay. */
  setTensor(value: Value, content: Tensor): void {
    this.#own(value, "setTensor");
    const old = value._tensor;
    if (!old) throw new OnnxError(`setTensor: expected an initialiser, found ${value.kind} ${value}`);
    if (old.dtype !== content.dtype || String(old.shape) !== String(content.shape)) {
      throw new OnnxError(
        `setTensor: expected ${old.dtype} [${old.shape.join(", ")}] for "${value.name}", found ${content.dtype} [${
          content.shape.join(", ")
        }]`,
      );
    }
    value._tensor = content;
    value._type = tensorType(content);
  }

  /**
   * Declares an output of the graph, renamed when a name is given (an input, an initialiser or what already is an output
   * gets an Identity instead). Throws OnnxError when the name is taken.
   */
  output(value: Value, name?: string): Value {
    this.#own(value, "output");
    let result = value;
    if (name !== undefined && name !== value.name) {
      if (value.kind !== "node" || this.#outputs.includes(value)) {
        const target = this.#claim(name);
        result = this.node("Identity", [value])[0]!;
        this.rename(result, target);
      } else this.rename(value, name);
    } else if (this.#outputs.includes(value)) return value;
    this.#outputs.push(result);
    return result;
  }

  /** Takes a value off the list of outputs. */
  removeOutput(value: Value): void {
    const at = this.#outputs.indexOf(value);
    if (at >= 0) this.#outputs.splice(at, 1);
  }

  /**
   * Appends a node and infers its outputs. The escape hatch below the operator functions: any operator by its ONNX name,
   * in its form of opset 17. For an operator that the library does not know the outputs have no type.
   * Throws OnnxError when the inputs do not go together.
   */
  node(
    opType: string,
    inputs: readonly (Value | undefined)[],
    attributes: Readonly<Record<string, PlainAttribute>> = {},
    { name, outputs, domain = "" }: NodeOptions = {},
  ): Value[] {
    const spec = operatorSpec(opType, domain);
    const nodeName = this.#uniqueNode(this.scoped(name ?? opType), name === undefined);
    const typed = new Map<string, Attribute>();
    for (const [key, value] of Object.entries(attributes)) {
      if (value === undefined) continue;
      if (spec && !spec.attributes[key]) {
        const known = Object.keys(spec.attributes).join(", ") || "none";
        throw new OnnxError(`${opType} "${nodeName}": expected one of the attributes ${known}, found ${key}`);
      }
      typed.set(key, toAttribute(value, spec?.attributes[key]?.kind, `${opType} "${nodeName}": ${key}`));
    }
    const wanted = typeof outputs === "number"
      ? new Array<boolean>(outputs).fill(true)
      : outputs ?? (spec ? spec.outputs.filter((output) => !output.endsWith("?")).map(() => true) : [true]);
    const node = new Node(this, nodeName, opType, domain, trimmed(inputs), typed);
    for (const input of node._inputs) if (input) this.#own(input, String(node));
    node.outputCount = wanted.length;
    let types: readonly (ValueType | undefined)[];
    try {
      types = inferTypes(node);
    } catch (error) {
      this.#nodeNames.delete(nodeName);
      throw error;
    }
    node._outputs = wanted.map((present, index) => {
      if (!present) return undefined;
      const value = new Value(
        this,
        this.#unique(index === 0 ? nodeName : `${nodeName}:${index}`),
        "node",
        types[index],
        { producer: node, index },
      );
      this.#values.set(value.name, value);
      return value;
    });
    this.#nodes.push(node);
    return node._outputs.filter((value) => value !== undefined);
  }

  /**
   * Names made inside begin with `name/`: `graph.scope("stem", () => …)`, or for the rest of a block
   * `using _ = graph.scope("stem")`.
   */
  scope(name: string): Disposable;
  scope<T>(name: string, body: () => T): T;
  scope<T>(name: string, body?: () => T): T | Disposable {
    const depth = this.#scopes.length;
    this.#scopes.push(name);
    const leave = () => {
      this.#scopes.length = depth;
    };
    if (!body) return { [Symbol.dispose]: leave };
    try {
      return body();
    } finally {
      leave();
    }
  }

  /** A name with the present scopes before it. */
  scoped(name: string): string {
    return [...this.#scopes, name].join("/");
  }

  /** Renames a value. Throws OnnxError when the name is taken. */
  rename(value: Value, name: string): void {
    this.#own(value, "rename");
    if (value.name === name) return;
    this.#claim(name);
    this.#values.delete(value.name);
    value._name = name;
    this.#values.set(name, value);
  }

  /** Which nodes read each value; values that none reads are absent. */
  consumers(): Map<Value, Node[]> {
    const result = new Map<Value, Node[]>();
    for (const node of this.#nodes) {
      for (const input of new Set(node.inputs)) {
        if (!input) continue;
        const list = result.get(input);
        if (list) list.push(node);
        else result.set(input, [node]);
      }
    }
    return result;
  }

  /** @internal for reading files and rewrites: the graph's own lists. */
  _internals(): {
    values: Map<string, Value>;
    inputs: Value[];
    initialisers: Set<Value>;
    outputs: Value[];
    nodes: Node[];
    nodeNames: Set<string>;
    setNodes(nodes: Node[]): void;
    addInitialiser(name: string, kind: ValueKind, content: Tensor): Value;
    uniqueName(name: string): string;
    uniqueNodeName(name: string): string;
  } {
    return {
      values: this.#values,
      inputs: this.#inputs,
      initialisers: this.#initialisers,
      outputs: this.#outputs,
      nodes: this.#nodes,
      nodeNames: this.#nodeNames,
      setNodes: (nodes) => {
        this.#nodes = nodes;
      },
      addInitialiser: (name, kind, content) => this.#initialiser(this.#claim(name), kind, content),
      uniqueName: (name) => this.#unique(name),
      uniqueNodeName: (name) => this.#uniqueNode(name, false),
    };
  }

  #initialiser(name: string, kind: ValueKind, content: Tensor): Value {
    const value = new Value(this, name, kind, tensorType(content), { tensor: content });
    this.#values.set(name, value);
    this.#initialisers.add(value);
    return value;
  }

  #claim(name: string): string {
    if (name === "") throw new OnnxError(`graph "${this.name}": expected a name, found an empty text`);
    const taken = this.#values.get(name);
    if (!taken) return name;
    throw new OnnxError(`graph "${this.name}": expected a new name, found "${name}", taken by ${taken.kind} ${taken}`);
  }

  #unique(name: string): string {
    if (!this.#values.has(name)) return name;
    return this.#count(name, (candidate) => this.#values.has(candidate));
  }

  #uniqueNode(name: string, numbered: boolean): string {
    const taken = (candidate: string) => this.#nodeNames.has(candidate) || this.#values.has(candidate);
    const result = numbered || taken(name) ? this.#count(name, taken) : name;
    this.#nodeNames.add(result);
    return result;
  }

  #count(name: string, taken: (candidate: string) => boolean): string {
    let count = this.#counters.get(name) ?? 0;
    while (taken(`${name}_${++count}`));
    this.#counters.set(name, count);
    return `${name}_${count}`;
  }

  #own(value: Value, place: string): void {
    if (value.graph !== this) {
      throw new OnnxError(
        `${place}: expected values of graph "${this.name}", found ${value} of graph "${value.graph.name}"`,
      );
    }
  }
}

function trimmed(inputs: readonly (Value | undefined)[]): readonly (Value | undefined)[] {
  let length = inputs.length;
  while (length > 0 && inputs[length - 1] === undefined) length--;
  return inputs.slice(0, length);
}
