/** The backbone of YOLOv8 as a classifier: blocks whose inner maps all reach the output (C2f). */

import { add, concat, silu, split, type Value } from "../../onnx/mod.ts";
import { scaledChannels } from "../darknet_layers.ts";
import { convolution, type ConvolutionOptions } from "../layers.ts";
import { dropPath, dropPathRatios } from "../stochastic.ts";
import { buildClassifier, type ClassifierNetwork, type ClassifierOptions } from "./classifier.ts";

/** Stages at strides 4, 8 and 16: channels, bottlenecks of the C2f block with depth 1. */
const STAGES = [[64, 1], [128, 2], [256, 2]] as const;

/**
 * YOLOv8's backbone up to stride 16 as a classifier: strided convolutions 3x3 and between them C2f blocks – 1x1, split in two
 * halves, bottlenecks of two 3x3 on the second, all halves joined, 1x1 – with SiLU (Ultralytics 2023, yolov8-cls.yaml). `width`
 * multiplies the channels (32 … 256), `depth` the bottlenecks. Throws ModelError for a size that is no multiple of 16.
 */
export function c2fNet(options: ClassifierOptions): ClassifierNetwork {
  const { random, width = 1, depth = 1, epsilon, dropPath: drop = 0 } = options;
  const counts = STAGES.map(([, bottlenecks]) => Math.max(1, Math.round(bottlenecks * depth)));
  const ratios = dropPathRatios(counts.reduce((sum, count) => sum + count, 0), drop).values();
  const layer = (x: Value, name: string, filters: number, more: Partial<ConvolutionOptions> = {}) =>
    silu(convolution(x, {
      ...{ name, random, filters, activation: "linear" },
      ...(epsilon === undefined ? {} : { epsilon }),
      ...more,
    }));
  const c2f = (x: Value, name: string, channels: number, bottlenecks: number): Value => {
    const half = channels / 2;
    const halves = split(layer(x, `${name}.enter`, channels, { size: 1 }), 2, { axis: 1 });
    for (let i = 0; i < bottlenecks; i++) {
      const last = halves.at(-1)!;
      const branch = layer(layer(last, `${name}.${i}.first`, half), `${name}.${i}.second`, half);
      halves.push(add(last, dropPath(branch, { name: `${name}.${i}.drop`, ratio: ratios.next().value! })));
    }
    return layer(concat(halves, 1), `${name}.leave`, channels, { size: 1 });
  };
  return buildClassifier("c2f", options, (images) => {
    let x = layer(images, "stem", scaledChannels(32, width), { stride: 2 });
    for (const [stage, [channels]] of STAGES.entries()) {
      const filters = scaledChannels(channels, width);
      x = layer(x, `stage${stage}.down`, filters, { stride: 2 });
      x = c2f(x, `stage${stage}.c2f`, filters, counts[stage]!);
    }
    return layer(x, "top", scaledChannels(512, width), { size: 1 });
  });
}
