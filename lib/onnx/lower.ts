/** Nodes as a file of a given opset has them: operators newer than it are written as older ones. */

import { isFloat, type Tensor, tensor } from "../runtime/mod.ts";
import type { Attribute } from "./attributes.ts";
import type { OnnxError } from "./errors.ts";
import type { Graph } from "./graph.ts";
import { lowerings } from "./lowerings.ts";
import type { Node } from "./node.ts";

/** A node as it is written; undefined: an optional input or output left out. */
export interface NodeRecord {
  readonly name: string;
  readonly opType: string;
  readonly domain: string;
  readonly inputs: readonly (string | undefined)[];
  readonly outputs: readonly (string | undefined)[];
  readonly attributes: ReadonlyMap<string, Attribute>;
}

/** What the writing of a graph at an opset gives: nodes, and initialisers beyond the graph's own. */
export interface Lowered {
  readonly nodes: readonly NodeRecord[];
  readonly constants: ReadonlyMap<string, Tensor>;
}

/** Operators without inference here that begin, or take their present form, after opset 17 (onnx/onnx, docs/Changelog.md). */
const NEWER: Readonly<Record<string, number>> = {
  AffineGrid: 20,
  Attention: 23,
  BitwiseAnd: 18,
  BitwiseNot: 18,
  BitwiseOr: 18,
  BitwiseXor: 18,
  CenterCropPad: 18,
  Col2Im: 18,
  DeformConv: 19,
  DFT: 20,
  ImageDecoder: 20,
  OptionalGetElement: 18,
  OptionalHasElement: 18,
  RegexFullMatch: 20,
  RMSNormalization: 23,
  RotaryEmbedding: 23,
  StringConcat: 20,
  StringSplit: 20,
  Swish: 24,
  TensorScatter: 24,
};

/** Nodes of the graph for the opset. Throws OnnxError naming an operator that has no form there. */
export function lowerNodes(graph: Graph, opset: number): Lowered {
  const writer = new Lowering(graph, opset);
  for (const node of graph.nodes) writer.write(node);
  return { nodes: writer.nodes, constants: writer.constants };
}

/** Appends records for nodes, with fresh names for what is put between. */
export class Lowering {
  readonly nodes: NodeRecord[] = [];
  readonly constants = new Map<string, Tensor>();
  readonly opset: number;
  readonly #graph: Graph;
  #count = 0;

  constructor(graph: Graph, opset: number) {
    this.#graph = graph;
    this.opset = opset;
  }

  /** Appends one node of the graph, rewritten where the opset has another form. */
  write(node: Node): void {
    const lower = node.domain === "" ? lowerings[node.opType] : undefined;
    if (lower) {
      if (!lower(this, node)) this.copy(node);
      return;
    }
    const since = node.domain === "" ? node.spec?.since ?? NEWER[node.opType] ?? 0 : 0;
    if (since > Math.max(this.opset, 13)) throw this.impossible(node, `an operator that begins at opset ${since}`);
    this.copy(node);
  }

  /** Appends the node as it is, or with other inputs or attributes. */
  copy(
    node: Node,
    inputs: readonly (string | undefined)[] = node.inputs.map((value) => value?.name),
    attributes: ReadonlyMap<string, Attribute> = node.attributes,
  ): void {
    const outputs = node.outputs.map((value) => value?.name);
    this.nodes.push({ name: node.name, opType: node.opType, domain: node.domain, inputs, outputs, attributes });
  }

  /** An error that names the node and the opset. */
  impossible(node: Node, what: string): OnnxError {
    return node.fail(`expected a form that opset ${this.opset} has, found ${what}`);
  }

  /** Appends a node with one output, named or fresh; returns the output's name. */
  emit(
    node: Node,
    opType: string,
    inputs: readonly (string | undefined)[],
    attributes: Readonly<Record<string, Attribute>> = {},
    output = this.fresh(node.name),
  ): string {
    this.nodes.push({
      name: `${output}/${opType}`,
      opType,
      domain: "",
      inputs,
      outputs: [output],
      attributes: new Map(Object.entries(attributes)),
    });
    return output;
  }

  /** A name that nothing has. */
  fresh(stem: string): string {
    let name: string;
    do name = `${stem}~${++this.#count}`; while (this.#graph.values.has(name));
    return name;
  }

  /** An initialiser beyond the graph's own; returns its name. */
  constant(node: Node, content: Tensor): string {
    const name = this.fresh(node.name);
    this.constants.set(name, content);
    return name;
  }

  /** A scalar of the node's own floating-point type. */
  scalar(node: Node, value: number): string {
    const { dtype } = node.input(0);
    if (!isFloat(dtype)) throw node.fail(`expected floating-point elements, found ${dtype}`);
    return this.constant(node, tensor(dtype, [], [value]));
  }

  /** An int64 list. */
  ints(node: Node, values: readonly number[]): string {
    return this.constant(node, tensor("int64", [values.length], values));
  }
}
