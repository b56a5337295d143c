/** An inference graph, from here or anywhere, seen as a model to be trained. */

import { copyGraph, type Graph, isFloat, type Node, type Value } from "../onnx/mod.ts";
import { TrainError } from "./errors.ts";
import { expectMatches, matchesName, type NamePattern } from "./patterns.ts";
import { untieInitialisers } from "./untie.ts";
import { findWeights } from "./weights.ts";

/** What is done with the statistics of batch normalisation. */
export type NormalizationMode = "train" | "frozen";

/** Settings of `trainable`. */
export interface TrainableOptions {
  /** Parameters that stay as they are. Default: none. */
  readonly freeze?: NamePattern | readonly NamePattern[] | undefined;
  /** Which initialisers are parameters; default: those marked so, or else found by their place in the graph. */
  readonly parameters?: NamePattern | readonly NamePattern[] | undefined;
  /**
   * "train" (default): normalise by the batch and keep running statistics; "frozen": by the running statistics as they are.
   * A function chooses by the node's name. A normalisation whose scale is frozen keeps its statistics in any case.
   */
  readonly batchNormalization?: NormalizationMode | ((node: string) => NormalizationMode) | undefined;
  /** Drop out in training where the graph has Dropout nodes. Default: true. */
  readonly dropout?: boolean | undefined;
  /** In a file from elsewhere, weights that an exporter kept once because they were equal become several. Default: true. */
  readonly untie?: boolean | undefined;
}

/** A model and what of it is trained. The graph itself is not changed: training works on a copy. */
export class TrainableModel {
  /** The inference graph: a copy of the one given. */
  readonly graph: Graph;
  /** Trained initialisers, in the graph's order. */
  readonly parameters: readonly Value[];
  /** Running means and variances that are updated in training. */
  readonly statistics: readonly Value[];
  /** Batch normalisations that use the batch's own statistics in training. */
  readonly normalizations: ReadonlySet<Node>;
  /** Dropout nodes that drop in training, with the probability of each. */
  readonly dropouts: ReadonlyMap<Node, number>;

  /** @internal use trainable */
  constructor(
    graph: Graph,
    parameters: readonly Value[],
    normalizations: ReadonlySet<Node>,
    dropouts: ReadonlyMap<Node, number>,
  ) {
    this.graph = graph;
    this.parameters = parameters;
    this.normalizations = normalizations;
    this.dropouts = dropouts;
    this.statistics = [...normalizations].flatMap((node) => [node.input(3), node.input(4)]);
  }
}

/**
 * Turns an inference graph into a model that `compileStep` trains: `trainable(await fromFile("model.onnx"), { freeze:
 * "backbone/*" })`. Initialisers that are weights become parameters, whether their file says so or not; batch normalisation
 * is put back to training or kept frozen; Dropout nodes drop again. Where an exporter folded a normalisation into a
 * convolution, the folded weights are trained as they are.
 *
 * Throws TrainError when nothing is left to train, a pattern names nothing, or a weight has a type that is not trained.
 */
export function trainable(source: Graph, options: TrainableOptions = {}): TrainableModel {
  const { freeze, parameters, batchNormalization = "train", dropout = true, untie = true } = options;
  const graph = untie && source.parameters.length === 0 ? untieInitialisers(source) : copyGraph(source);
  const candidates = parameters === undefined
    ? findWeights(graph)
    : graph.initialisers.filter((value) => matchesName(value.name, parameters));
  const names = candidates.map(({ name }) => name);
  if (freeze !== undefined) expectMatches("trainable: freeze", freeze, names);
  if (parameters !== undefined) expectMatches("trainable: parameters", parameters, names);
  const frozen = (value: Value) => freeze !== undefined && matchesName(value.name, freeze);
  const statistics = new Set<Value>();
  const candidateSet = new Set(candidates);
  const readers = graph.consumers();
  const normalizations = new Set<Node>();
  for (const node of graph.nodes) {
    if (node.opType !== "BatchNormalization" || node.domain !== "") continue;
    const [, scale, , mean, variance] = node.inputs;
    const own = [mean, variance].every((value) => value?.tensor && readers.get(value)?.length === 1);
    const mode = typeof batchNormalization === "function" ? batchNormalization(node.name) : batchNormalization;
    for (const value of [mean, variance]) if (value) statistics.add(value);
    const kept = scale && candidateSet.has(scale) && frozen(scale);
    if (own && mode === "train" && !kept) normalizations.add(node);
  }
  const trained = candidates.filter((value) => !frozen(value) && !statistics.has(value));
  if (trained.length === 0) {
    throw new TrainError(
      `graph "${graph.name}": expected parameters to train, found ${
        candidates.length === 0 ? "no weights" : `all ${candidates.length} frozen`
      }`,
    );
  }
  for (const { name, dtype } of trained) {
    if (isFloat(dtype) && (dtype === "float32" || dtype === "float64")) continue;
    throw new TrainError(`graph "${graph.name}": expected float32 or float64 for parameter "${name}", found ${dtype}`);
  }
  for (const value of candidates) if (!statistics.has(value)) graph.setTrainable(value); // known again in a saved file
  return new TrainableModel(graph, trained, normalizations, dropout ? findDropouts(graph) : new Map());
}

function findDropouts(graph: Graph): Map<Node, number> {
  const result = new Map<Node, number>();
  for (const node of graph.nodes) {
    if (node.opType !== "Dropout" || node.domain !== "") continue;
    const given = node.inputs[1];
    const ratio = given ? Number(given.tensor?.data[0] ?? NaN) : 0.5;
    if (!(ratio >= 0 && ratio < 1)) {
      throw new TrainError(
        `${node}: expected a constant ratio in 0 … 1, found ${given?.tensor ? ratio : String(given)}`,
      );
    }
    if (ratio > 0) result.set(node, ratio);
  }
  return result;
}
