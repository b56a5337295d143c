/** Fine-tuning of image and text towers that are ONNX files: learned context, low-rank adapters, all weights. */

export { findProjections, type Projection, type ProjectionPlace } from "./attention.ts";
export { classLoss } from "./class_loss.ts";
export {
  contextPrototypes,
  contextTokens,
  type ContextTokensOptions,
  type LearnedContext,
  loadContext,
  promptPrototypes,
  type PrototypeOptions,
  saveContext,
} from "./context.ts";
export type { Examples, PictureBatch, PictureBatches } from "./examples.ts";
export { fineTune } from "./fine_tune.ts";
export {
  initialAdapters,
  loadAdapters,
  type LowRankAdapters,
  type LowRankOptions,
  type LowRankPlace,
  mergeAdapters,
  saveAdapters,
  withAdapters,
} from "./low_rank.ts";
export type {
  ContextTuned,
  ContextTuning,
  FineTuned,
  FineTuneOptions,
  FitSettings,
  FullTuned,
  FullTuning,
  LowRankTuned,
  LowRankTuning,
  TowerFiles,
  Tuned,
  TuningOptions,
} from "./options.ts";
export { findTokenEmbedding, type TokenEmbedding } from "./token_embedding.ts";
export {
  type JoinedTower,
  joinTower,
  openTower,
  promptRows,
  type PromptTokens,
  textFeeds,
  type Tower,
  type TowerKind,
} from "./tower.ts";
