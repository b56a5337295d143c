/** Darknet-53, the classifier whose body is the backbone of YOLOv3. */

import { flatten, globalAveragePool, Graph, type Value } from "../onnx/mod.ts";
import { DarknetLayers, expectSize, type NetworkOptions } from "./darknet_layers.ts";
import { normal } from "./initializers.ts";

/** Settings of `darknet53`. */
export interface Darknet53Options extends NetworkOptions {
  /** Default: 1000, ImageNet's. */
  readonly classes?: number;
  /** Side of the input in pixels, a multiple of 32. Default: 256. */
  readonly size?: number;
}

/**
 * Darknet-53 (Redmon and Farhadi 2018, table 1): "images" [N, 3, size, size], red, green, blue in 0 … 1, to "logits" [N,
 * classes]. With width and depth 1 its weights are those of Darknet's darknet53.cfg, in the file's order; the classifying
 * layer is `conv52`, a convolution 1x1 on the averaged map. Throws ModelError for a size that is no multiple of 32.
 */
export function darknet53({ classes = 1000, size = 256, ...options }: Darknet53Options): Graph {
  expectSize(size, 32);
  const graph = new Graph("darknet53");
  const layers = new DarknetLayers(options);
  const images = graph.input("images", "float32", [options.batch ?? "N", 3, size, size]);
  const features = globalAveragePool(darknetStages(layers, images).at(-1)!, { name: "pool" });
  const scores = layers.last(features, classes, { weight: (random) => normal(random, { deviation: 0.01 }) });
  graph.output(flatten(scores), "logits");
  return graph;
}

/** The maps after each of the five stages: strides 2, 4, 8, 16 and 32, with 64, 128, 256, 512 and 1024 channels. */
export function darknetStages(layers: DarknetLayers, images: Value): Value[] {
  const stages = [1, 2, 8, 8, 4].map((count, stage) => ({ filters: 64 << stage, count }));
  return layers.stages(layers.convolution(images, 32, 3), stages);
}
