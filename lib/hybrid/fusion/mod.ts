/** Fusion of visual features and embeddings: graphs, features, the two phases of training, and the classifier at run time. */

export { embeddedPictures, type PictureNetwork, visualFeatures, type VisualFeaturesOptions } from "./cache_features.ts";
export { FUSION_VALUES, fusionGraph, type FusionGraphOptions } from "./classifier.ts";
export { type FusionConfig, fusionConfigSchema, readFusionConfig, unfrozenConfig } from "./config.ts";
export {
  type EmbeddedPictures,
  expectSameKind,
  featuresHash,
  type HybridFeatures,
  joinFeatures,
  type ModelIdentity,
  type VisualFeatures,
  withClasses,
} from "./features.ts";
export { fineTuneHybrid, type FineTuneHybridOptions } from "./fine_tune.ts";
export { type Fusion, type FusionKind, fusionOf, FUSIONS } from "./fusions.ts";
export {
  type HybridAnswer,
  HybridClassifier,
  type HybridParts,
  type Member,
  readHybrid,
  writeHybrid,
} from "./hybrid_classifier.ts";
export { hybridFeatures, type HybridFeaturesOptions } from "./hybrid_features.ts";
export { featureGraph, type JoinedGraph, joinedGraph, type JoinedGraphOptions, type Part } from "./joined_graph.ts";
export { fusionLoss } from "./loss.ts";
export { type Moments, momentsOf, standardised } from "./standardise.ts";
export { type MemberFigures, type TrainedHybrid, trainHybrid, type TrainHybridOptions } from "./train_hybrid.ts";
export { type FusionFigures, type TrainedFusion, trainFusion, type TrainFusionOptions } from "./train_fusion.ts";
