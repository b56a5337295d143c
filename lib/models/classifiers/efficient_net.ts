/** EfficientNet's block: a wide depthwise convolution between two narrow ends, with squeeze and excitation. */

import { add, globalAveragePool, mul, sigmoid, silu, type Value } from "../../onnx/mod.ts";
import { scaledChannels } from "../darknet_layers.ts";
import { convolution, type ConvolutionOptions } from "../layers.ts";
import { dropPath, dropPathRatios } from "../stochastic.ts";
import { buildClassifier, type ClassifierNetwork, type ClassifierOptions } from "./classifier.ts";

/** Stages: how much a block widens its input, channels, blocks with depth 1, stride of the first. */
const STAGES = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 40, 2, 2], [6, 80, 3, 2], [6, 112, 2, 1]] as const;

/** Of the narrow end's channels, how many the excitation has (Tan and Le 2019 take 0.25). */
const SQUEEZE = 0.25;

/**
 * Inverted residual blocks (Sandler et al. 2018) with squeeze and excitation (Hu et al. 2018) and SiLU, in EfficientNet-B0's stages
 * up to stride 16 with kernels 3x3, then a convolution 1x1 to 640 channels (Tan and Le 2019, table 1). `width` multiplies the
 * channels, `depth` the blocks. Throws ModelError for a size that is no multiple of 16.
 */
export function efficientNet(options: ClassifierOptions): ClassifierNetwork {
  const { random, width = 1, depth = 1, epsilon, dropPath: drop = 0 } = options;
  const counts = STAGES.map(([, , blocks]) => Math.max(1, Math.round(blocks * depth)));
  const ratios = dropPathRatios(counts.reduce((sum, count) => sum + count, 0), drop).values();
  const layer = (x: Value, name: string, filters: number, more: Partial<ConvolutionOptions> = {}) =>
    convolution(x, {
      ...{ name, random, filters, activation: "linear" },
      ...(epsilon === undefined ? {} : { epsilon }),
      ...more,
    });
  const block = (x: Value, name: string, { expand, channels, stride, ratio }: Block): Value => {
    const inputs = x.shape[1] as number, groups = inputs * expand;
    const wide = expand === 1 ? x : silu(layer(x, `${name}.expand`, groups, { size: 1 }));
    const spatial = silu(layer(wide, `${name}.depthwise`, groups, { groups, stride }));
    const plain = { size: 1, batchNormalize: false };
    const squeezed = silu(layer(globalAveragePool(spatial), `${name}.squeeze`, Math.ceil(inputs * SQUEEZE), plain));
    const excited = mul(spatial, sigmoid(layer(squeezed, `${name}.excite`, groups, plain)));
    const narrow = layer(excited, `${name}.project`, channels, { size: 1 });
    if (stride !== 1 || inputs !== channels) return narrow;
    return add(x, dropPath(narrow, { name: `${name}.drop`, ratio }));
  };
  return buildClassifier("efficientnet", options, (images) => {
    let x = silu(layer(images, "stem", scaledChannels(32, width), { stride: 2 }));
    for (const [stage, [expand, channels, , stride]] of STAGES.entries()) {
      for (let i = 0; i < counts[stage]!; i++) {
        x = block(x, `stage${stage}.block${i}`, {
          ...{ expand, channels: scaledChannels(channels, width), stride: i === 0 ? stride : 1 },
          ratio: ratios.next().value!,
        });
      }
    }
    return silu(layer(x, "top", scaledChannels(640, width), { size: 1 }));
  });
}

interface Block {
  readonly expand: number;
  readonly channels: number;
  readonly stride: number;
  /** Of `dropPath`, where the block has a short cut. */
  readonly ratio: number;
}
