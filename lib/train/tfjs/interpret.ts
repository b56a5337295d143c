/** Runs an ONNX graph with TensorFlow.js, node by node. */

import type { Tensor as TensorFlowTensor } from "@tensorflow/tfjs";
import { ancestors, type Graph, isFloat, type Node, OnnxError, type Value } from "../../onnx/mod.ts";
import { describeError } from "../../runtime/mod.ts";
import { TrainError } from "../errors.ts";
import type { TensorFlow } from "./backend.ts";
import { toTensorFlow } from "./convert.ts";
import { withoutGradient } from "./gradient.ts";
import { OperatorContext, tensorFlowOperator } from "./operator.ts";
import "./operators/convolution.ts";
import "./operators/elementwise.ts";
import "./operators/indexing.ts";
import "./operators/layout.ts";
import "./operators/normalization.ts";
import "./operators/reduction.ts";
import "./operators/resize.ts";

/** A graph that TensorFlow.js can run; holds its constants until `dispose`. */
export class Interpreter {
  readonly #tf: TensorFlow;
  readonly #graph: Graph;
  readonly #outputs: readonly Value[];
  readonly #constants = new Map<Value, TensorFlowTensor>();
  readonly #nodes: readonly Node[];

  /** Throws TrainError that names in one line all operators which TensorFlow.js lacks here. */
  constructor(tf: TensorFlow, graph: Graph, outputs: readonly Value[]) {
    this.#tf = tf;
    this.#graph = graph;
    this.#outputs = outputs;
    const { nodes, values } = ancestors(outputs, new Set());
    const needed = graph.nodes.filter((node) => nodes.has(node));
    const missing = needed.filter((node) => !tensorFlowOperator(node));
    if (missing.length > 0) {
      const names = [...new Set(missing.map(({ domain, opType }) => domain ? `${domain}.${opType}` : opType))];
      throw new TrainError(
        `graph "${graph.name}": expected operators that TensorFlow.js runs, found ${names.join(", ")} (first in ${
          missing[0]
        })`,
      );
    }
    this.#nodes = needed;
    for (const value of graph.initialisers) {
      if (values.has(value)) this.#constants.set(value, tf.keep(toTensorFlow(tf, value.tensor!)));
    }
  }

  /** The inputs that the outputs depend on. */
  get inputs(): readonly Value[] {
    const { values } = ancestors(this.#outputs, new Set());
    return this.#graph.inputs.filter((input) => values.has(input));
  }

  /**
   * The outputs, in order, for tensors by input name. Call inside `tf.tidy` or a gradient of TensorFlow.js: what lies between is
   * not disposed of here. Throws TrainError naming the node that fails.
   */
  run(feeds: Readonly<Record<string, TensorFlowTensor>>): TensorFlowTensor[] {
    const values: Values = new Map(this.#constants);
    for (const input of this.#graph.inputs) {
      const fed = feeds[input.name];
      if (fed) values.set(input, fed);
    }
    for (const node of this.#nodes) {
      const made = this.#compute(node, values);
      node.outputs.forEach((output, i) => {
        if (output && made[i]) values.set(output, made[i]);
      });
    }
    return this.#outputs.map((output) => {
      const found = values.get(output);
      if (found) return found;
      throw new TrainError(`graph "${this.#graph.name}": expected a tensor for "${output.name}", found none`);
    });
  }

  #compute(node: Node, values: Values): readonly (TensorFlowTensor | undefined)[] {
    const context = new OperatorContext(this.#tf, node, node.inputs.map((input) => input && values.get(input)));
    try {
      const compute = () => tensorFlowOperator(node)!(context);
      const made = node.outputs.length > 1 || isFloat(node.output().dtype)
        ? compute()
        : withoutGradient(this.#tf, context.inputs, compute as () => TensorFlowTensor);
      return "rank" in made ? [made] : made;
    } catch (error) {
      if (error instanceof TrainError || error instanceof OnnxError) throw error;
      throw new TrainError(`${node}: TensorFlow.js: ${describeError(error, 300)}`, { cause: error });
    }
  }

  /** Frees the constants. */
  dispose(): void {
    for (const constant of this.#constants.values()) constant.dispose();
    this.#constants.clear();
  }
}

type Values = Map<Value, TensorFlowTensor>;
