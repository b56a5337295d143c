/** Layers of transformers on the graph builder. */

export {
  type AttentionOptions,
  denseRows,
  type DenseRowsOptions,
  layerNorm,
  type LayerNormOptions,
  multiHeadAttention,
  multilayerPerceptron,
  type PerceptronOptions,
  quickGelu,
  tokenEmbedding,
  type TokenEmbeddingOptions,
  transformerBlock,
  type TransformerBlockOptions,
  type TransformerLayerOptions,
} from "./layers.ts";
export { sharedWeight, type WeightOptions } from "./weights.ts";
