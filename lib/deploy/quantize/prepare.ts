/** The graph that is quantized: of a model's file the form that all steps of quantization agree on. */

import { copyGraph, foldBatchNormalization, foldConstants, type Graph, removeDead } from "../../onnx/mod.ts";

/** Weights up to so many elements are turned back from a smaller storage: the largest layers there are. */
export const LARGEST_WEIGHT = 2 ** 28;

/**
 * A copy in which weights kept as float16 or int8 are float32 again, constants are computed and batch normalisation is folded into
 * the convolutions. Calibration, equalisation and quantization name the values of this form; preparing twice changes nothing.
 */
export async function prepareForQuantization(source: Graph): Promise<Graph> {
  const graph = copyGraph(source);
  await foldConstants(graph, { parameters: true, largest: LARGEST_WEIGHT });
  foldBatchNormalization(graph);
  removeDead(graph, { parameters: true });
  return graph;
}
