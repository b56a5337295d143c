/** Nodes as a file of a given opset has them: operators newer than it are written as older ones. */

import { isFloat, type Tensor, tensor } from "../runtime/mod.ts";
import type { Attribute } from "./attributes.ts";
import { OnnxError } from "./errors.ts";
import type { Graph } from "./graph.ts";
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

  write(node: Node): void {
    const inputs = node.inputs.map((value) => value?.name);
    const outputs = node.outputs.map((value) => value?.name);
    const { opType } = node;
    if (node.domain === "") {
      if (opType === "Gelu" && this.opset < 20) return this.#gelu(node);
      if (opType === "Mish" && this.opset < 18) return this.#mish(node);
      const since = node.spec?.since;
      if (since !== undefined && since > this.opset && since > 17) {
        throw new OnnxError(`${node}: expected an operator of opset ${this.opset}, found one that begins at ${since}`);
      }
    }
    this.nodes.push({ name: node.name, opType, domain: node.domain, inputs, outputs, attributes: node.attributes });
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

  #scalar(node: Node, value: number): string {
    const { dtype } = node.input(0);
    if (!isFloat(dtype)) throw node.fail(`expected floating-point elements, found ${dtype}`);
    return this.constant(node, tensor(dtype, [], [value]));
  }

  /** x · ½ · (1 + erf(x / √2)), in the form that ONNX Runtime fuses; or the tanh form. */
  #gelu(node: Node): void {
    const x = node.input(0).name, y = node.output().name;
    if (node.string("approximate") === "none") {
      const scaled = this.emit(node, "Div", [x, this.#scalar(node, Math.SQRT2)]);
      const erf = this.emit(node, "Erf", [scaled]);
      const sum = this.emit(node, "Add", [erf, this.#scalar(node, 1)]);
      const product = this.emit(node, "Mul", [x, sum]);
      this.emit(node, "Mul", [product, this.#scalar(node, 0.5)], {}, y);
      return;
    }
    const cube = this.emit(node, "Mul", [this.emit(node, "Mul", [x, x]), x]);
    const inner = this.emit(node, "Add", [x, this.emit(node, "Mul", [cube, this.#scalar(node, 0.044715)])]);
    const tanh = this.emit(node, "Tanh", [this.emit(node, "Mul", [inner, this.#scalar(node, Math.sqrt(2 / Math.PI))])]);
    const half = this.emit(node, "Mul", [x, this.#scalar(node, 0.5)]);
    this.emit(node, "Mul", [half, this.emit(node, "Add", [tanh, this.#scalar(node, 1)])], {}, y);
  }

  #mish(node: Node): void {
    const x = node.input(0).name;
    const tanh = this.emit(node, "Tanh", [this.emit(node, "Softplus", [x])]);
    this.emit(node, "Mul", [x, tanh], {}, node.output().name);
  }
}
