/** What the backbone of a picture network sees: its maps of features at several strides, pooled. */

import { cutGraph, flatten, globalAveragePool, type Graph, removeDead, type Value } from "../onnx/mod.ts";
import { InputError } from "../runtime/mod.ts";

/** Name of output i of `backboneFeatures`, the finest map first. */
export const featureName = (scale: number) => `features${scale}`;

/** Operators that compute no features of their own, or none that is ready: convolutions have their activation after them. */
const MOVING = ["Conv", "Concat", "Resize", "Upsample", "Slice", "MaxPool", "AveragePool", "Reshape", "Transpose"];

/**
 * A graph from the pictures to the means of the maps of features at the `scales` coarsest strides, finest first: outputs "features0",
 * … [N, channels]. The map of a stride is the last of those with the most channels that an activation or a sum gives: what a YOLO's
 * heads read, and the end of a classifier's stages. Views that a model averages over are left aside: the graph begins at the first convolution, and
 * its input takes what that takes, under the name "images". The source is left as it is. Throws InputError for a network without as
 * many strides.
 */
export function backboneFeatures(source: Graph, { scales = 3 }: { readonly scales?: number } = {}): Graph {
  const first = source.nodes.find(({ opType }) => opType === "Conv")?.inputs[0];
  const maps = new Map<number, Value>(); // by side
  const seen = new Set<Value | undefined>(source.inputs); // of pictures: weights of compact files are computed too
  for (const { opType, inputs, outputs } of source.nodes) {
    if (!inputs.some((input) => seen.has(input))) continue;
    for (const output of outputs) if (output) seen.add(output);
    const [value] = outputs;
    if (value?.rank !== 4 || MOVING.includes(opType)) continue;
    const [, channels, side, other] = value.shape;
    if (typeof side !== "number" || side < 2 || side !== other || typeof channels !== "number") continue;
    if (channels >= (maps.get(side)?.shape[1] as number | undefined ?? 0)) maps.set(side, value);
  }
  const chosen = [...maps].sort(([a], [b]) => b - a).slice(-scales).map(([, value]) => value);
  if (!first || chosen.length < scales) {
    throw new InputError(
      `${source.name}: expected a network with maps of features at ${scales} strides, found ${maps.size}`,
    );
  }
  const graph = cutGraph(source, { inputs: [first.name], outputs: chosen.map(({ name }) => name) });
  for (const [scale, { name }] of chosen.entries()) {
    const map = graph.value(name);
    graph.removeOutput(map);
    graph.output(flatten(globalAveragePool(map)), featureName(scale));
  }
  const [images] = graph.inputs;
  if (images!.name !== "images") graph.rename(images!, "images");
  removeDead(graph);
  return graph;
}
