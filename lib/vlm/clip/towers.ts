/** The two towers of a CLIP (Radford et al. 2021, section 2.4): a residual network and a causal transformer, each with a projection. */

import {
  denseRows,
  layerNorm,
  residualBody,
  tokenEmbedding,
  transformerBlock,
  type WeightSource,
} from "../../models/mod.ts";
import {
  cast,
  concat,
  flatten,
  globalAveragePool,
  Graph,
  matMul,
  reshape,
  slice,
  sub,
  unsqueeze,
  type Value,
} from "../../onnx/mod.ts";
import type { ClipConfig } from "./config.ts";

/** What decides the shapes of the weights. */
export type ClipShape = ClipConfig["model"] & {
  /** Different tokens of the tokenizer. */
  readonly vocabulary: number;
};

/** Names of inputs and outputs, as models of the Hub have them. */
export const PORTS = {
  pixels: "pixel_values",
  ids: "input_ids",
  mask: "attention_mask",
  image: "image_embeds",
  text: "text_embeds",
} as const;

/** Pictures [N, 3, size, size], red, green, blue in 0 … 1, to embeddings [N, dimension], not of length 1. Weights `image.…`. */
export function imageTower(pixels: Value, shape: ClipShape, random: WeightSource): Value {
  const { width, depth, dropPath, dimension } = shape;
  const map = residualBody(pixels, { prefix: "image", random, width, depth, dropPath });
  const features = flatten(globalAveragePool(map));
  return denseRows(features, { name: "image.projection", random, outputs: dimension, bias: false });
}

/**
 * Tokens [N, L] with their mask to embeddings [N, dimension], not of length 1: what stands at the last token, the end of the text,
 * which sees all before it. Tokens that fill up stand behind and are seen by none. Weights `text.…`, shared by all uses in a graph.
 */
export function textTower(ids: Value, mask: Value, shape: ClipShape, random: WeightSource): Value {
  const { vocabulary, dimension, text: { width, layers, heads, context } } = shape;
  const length = ids.shape[1] as number;
  let x = tokenEmbedding(ids, { name: "text", random, vocabulary, context, width });
  for (let layer = 0; layer < layers; layer++) {
    x = transformerBlock(x, { name: `text.block${layer}`, random, length, heads, causal: true, blocks: layers });
  }
  const last = unsqueeze(lastToken(cast(mask, "float32"), length), [1]); // [N, 1, L]
  const pooled = reshape(matMul(last, reshape(x, [-1, length, width])), [-1, width]);
  return denseRows(layerNorm(pooled, { name: "text.norm" }), {
    ...{ name: "text.projection", random, outputs: dimension, bias: false },
  });
}

/** 1 where the mask [N, L] has its last 1, else 0: the mask less itself moved by one place. */
function lastToken(mask: Value, length: number): Value {
  const [first, rest] = [slice(mask, [0], [1], { axes: [1] }), slice(mask, [1], [length], { axes: [1] })];
  return sub(mask, concat([rest, sub(first, first)], 1));
}

/** The image tower alone, for any number of pictures: "pixel_values" → "image_embeds". */
export function visionGraph(shape: ClipShape, random: WeightSource): Graph {
  const graph = new Graph("clip_vision");
  const pixels = graph.input(PORTS.pixels, "float32", ["N", 3, shape.size, shape.size]);
  graph.output(imageTower(pixels, shape, random), PORTS.image);
  return graph;
}

/** The text tower alone, for any number of texts of up to `context` tokens: "input_ids", "attention_mask" → "text_embeds". */
export function textGraph(shape: ClipShape, random: WeightSource): Graph {
  const graph = new Graph("clip_text"), { context } = shape.text;
  const input = (name: string) => graph.input(name, "int64", ["N", "L"]);
  const filled = (value: Value) => {
    // Filled up to the context, so that all shapes within are known: what stands behind the end is seen by none.
    const length = graph.node("Shape", [value], { start: 1, end: 2 })[0]!;
    const missing = sub(graph.ints([context]), length);
    const pads = concat([graph.ints([0, 0, 0]), missing], 0);
    const zero = graph.constant([0], { dtype: "int64", shape: [] });
    return reshape(graph.node("Pad", [value, pads, zero])[0]!, [-1, context]);
  };
  graph.output(textTower(filled(input(PORTS.ids)), filled(input(PORTS.mask)), shape, random), PORTS.text);
  return graph;
}
