/** A smaller network from a trained one: structured pruning of channels. */

import { countOperations } from "../../evaluate/mod.ts";
import { copyGraph, foldConstants, type Graph, removeDead, toModel } from "../../onnx/mod.ts";
import { LARGEST_WEIGHT } from "../quantize/prepare.ts";
import type { PictureBatch } from "../quantize/pictures.ts";
import { findChannels } from "./channels.ts";
import { chooseChannels, type ChooseOptions, type ChosenChannels } from "./choose.ts";
import { channelImportance, defaultImportance, type Importance } from "./importance.ts";
import { withoutChannels } from "./surgery.ts";
import { taylorImportance } from "./taylor.ts";

/** Settings of `pruneGraph`. */
export interface PruneOptions extends ChooseOptions {
  /** Default: "batchNorm" where the graph has normalisations with scales, else "l2". */
  readonly importance?: Importance | undefined;
  /** For the importance "taylor": pictures of the train split. */
  readonly pictures?: readonly PictureBatch[] | undefined;
  readonly threads?: number | undefined;
}

/** What `pruneGraph` gives. */
export interface PrunedGraph extends Omit<ChosenChannels, "removed"> {
  readonly graph: Graph;
  readonly importance: Importance;
  /** Learned numbers before and after. */
  readonly parameters: number;
  readonly parametersLeft: number;
  /** Of the source's file with float32 weights. */
  readonly sourceBytes: number;
}

/**
 * Prunes whole channels of a trained graph down to a share of its multiply-accumulate steps, with channels that sums, products and
 * Concat bind together kept consistent. The result runs anywhere the source does and is to be fine-tuned. Weights that are
 * stored smaller become float32. Throws InputError as `chooseChannels` and `channelImportance`.
 */
export async function pruneGraph(source: Graph, options: PruneOptions): Promise<PrunedGraph> {
  const graph = await prepareForPruning(source), channels = findChannels(graph);
  const importance = options.importance ?? defaultImportance(channels);
  const { pictures = [], threads } = options;
  const values = importance === "taylor"
    ? await taylorImportance(channels, pictures, { name: graph.inputs[0]!.name, threads })
    : channelImportance(channels, importance);
  const { removed, ...chosen } = chooseChannels(channels, values, options);
  const pruned = withoutChannels(channels, removed), { sizes = {} } = options;
  return {
    ...{ ...chosen, graph: pruned, importance },
    parameters: countOperations(graph, { sizes }).parameters,
    parametersLeft: countOperations(pruned, { sizes }).parameters,
    sourceBytes: toModel(graph).length,
  };
}

/** A copy in which weights kept as float16 or int8 are float32 again, and shapes are constants; normalisations stay as they are. */
export async function prepareForPruning(source: Graph): Promise<Graph> {
  const graph = copyGraph(source);
  await foldConstants(graph, { parameters: true, largest: LARGEST_WEIGHT });
  removeDead(graph, { parameters: true });
  return graph;
}
