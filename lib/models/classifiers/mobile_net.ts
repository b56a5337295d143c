/** MobileNetV1's depthwise separable convolutions: the fewest operations a channel, and layers that the K210 runs. */

import type { Value } from "../../onnx/mod.ts";
import { scaledChannels } from "../darknet_layers.ts";
import { convolution } from "../layers.ts";
import { buildClassifier, type ClassifierNetwork, type ClassifierOptions } from "./classifier.ts";

/** Channels and stride of each separable layer with width 1, after a first convolution with 32 channels and stride 2. */
const LAYERS = [[64, 1], [128, 2], [128, 1], [256, 2], [256, 1], [512, 2], [512, 1], [512, 1], [512, 1]] as const;

/**
 * A convolution, then depthwise 3x3 and pointwise 1x1 in turns, each normalised and rectified (Howard et al. 2017, table 1, up to
 * stride 16, where pictures of 64 pixels have a map of 4 x 4). `width` multiplies the channels; `depth` repeats the last layer
 * 3 · depth times. Throws ModelError for a size that is no multiple of 16.
 */
export function mobileNet(options: ClassifierOptions): ClassifierNetwork {
  const { random, width = 1, depth = 1, epsilon } = options;
  const shared = { random, activation: "relu" as const, ...(epsilon === undefined ? {} : { epsilon }) };
  const last = Math.max(1, Math.round(3 * depth));
  const layers = [...LAYERS.slice(0, -3), ...Array.from({ length: last }, () => LAYERS.at(-1)!)];
  return buildClassifier("mobilenet", options, (images) =>
    layers.reduce(
      (x: Value, [channels, stride], i) => {
        const groups = x.shape[1] as number;
        const spatial = convolution(x, { ...shared, name: `layer${i}.depthwise`, filters: groups, groups, stride });
        return convolution(spatial, {
          ...{ ...shared, name: `layer${i}.pointwise`, size: 1 },
          filters: scaledChannels(channels, width),
        });
      },
      convolution(images, { ...shared, name: "stem", filters: scaledChannels(32, width), stride: 2 }),
    ));
}
