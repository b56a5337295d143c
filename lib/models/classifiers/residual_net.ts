/** A compact residual network: few, efficient operations a picture, for training and running on small machines. */

import { add, maxPool, type Value } from "../../onnx/mod.ts";
import { convolution, type ConvolutionOptions } from "../layers.ts";
import { buildClassifier, type ClassifierNetwork, type ClassifierOptions } from "./classifier.ts";
import { type NetworkOptions, scaledChannels } from "../darknet_layers.ts";
import { dropPath, dropPathRatios } from "../stochastic.ts";

/** Stages after the stem: channels, and residual blocks with depth 1. */
const STAGES = [[128, 2], [256, 2], [512, 1]] as const;

/** Settings of `residualBody`. */
export interface ResidualBodyOptions extends Omit<NetworkOptions, "batch"> {
  /** Put before the names of all weights, with a point between. Default: nothing. */
  readonly prefix?: string;
}

/**
 * Two convolutions to stride 4 (32 and 64 channels), then three stages at strides 4, 8 and 16 with 128, 256 and 512 channels: a
 * convolution 3x3 and residual blocks of Darknet-53's kind, 1x1 to half of the channels and 3x3 back (He et al. 2016; Redmon and
 * Farhadi 2018, table 1), with rectifiers. Between stages a maximum over 2 x 2 halves the map. `width` multiplies the channels,
 * `depth` the blocks. Images [N, 3, size, size] → [N, 512 · width, size / 16, size / 16].
 */
export function residualBody(images: Value, options: ResidualBodyOptions): Value {
  const { random, width = 1, depth = 1, epsilon, dropPath: drop = 0, prefix } = options;
  const counts = STAGES.map(([, blocks]) => Math.max(1, Math.round(blocks * depth)));
  const ratios = dropPathRatios(counts.reduce((sum, count) => sum + count, 0), drop).values();
  const named = (name: string) => prefix === undefined ? name : `${prefix}.${name}`;
  const layer = (x: Value, name: string, channels: number, more: Partial<ConvolutionOptions> = {}) =>
    convolution(x, {
      ...{ name: named(name), random, activation: "relu", filters: scaledChannels(channels, width) },
      ...(epsilon === undefined ? {} : { epsilon }),
      ...more,
    });
  let x = layer(layer(images, "stem0", 32, { stride: 2 }), "stem1", 64);
  for (const [stage, [channels]] of STAGES.entries()) {
    x = layer(maxPool(x, 2, { strides: 2 }), `stage${stage}.enter`, channels);
    for (let block = 0; block < counts[stage]!; block++) {
      const name = `stage${stage}.block${block}`;
      const narrow = layer(x, `${name}.narrow`, channels / 2, { size: 1 });
      const wide = layer(narrow, `${name}.wide`, channels);
      const kept = dropPath(wide, { name: named(`${name}.drop`), ratio: ratios.next().value! });
      x = add(x, kept, { name: named(`${name}.sum`) });
    }
  }
  return x;
}

/**
 * A classifier on `residualBody`. With 1,025 classes 4.2 million weights; 182 million multiplications with an addition each for a
 * picture of 64 x 64. Throws ModelError for a size that is no multiple of 16.
 */
export function residualNet(options: ClassifierOptions): ClassifierNetwork {
  return buildClassifier("residual", options, (images) => residualBody(images, options));
}
