/** CLIP and small vision-language models: encoders, prompts, zero-shot, adapters, distillation. */

export * from "./encoder.ts";
export { findProjections, type Projection, type ProjectionPlace } from "./finetune/attention.ts";
export { classLoss, unitRows } from "./finetune/class_loss.ts";
export {
  contextPrototypes,
  contextTokens,
  type ContextTokensOptions,
  type LearnedContext,
  loadContext,
  type PrototypeOptions,
  promptPrototypes,
  saveContext,
} from "./finetune/context.ts";
export type { Examples, PictureBatch, PictureBatches } from "./finetune/examples.ts";
export { fineTune } from "./finetune/fine_tune.ts";
export {
  initialAdapters,
  loadAdapters,
  type LowRankAdapters,
  type LowRankOptions,
  type LowRankPlace,
  mergeAdapters,
  saveAdapters,
  withAdapters,
} from "./finetune/low_rank.ts";
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
} from "./finetune/options.ts";
export { findTokenEmbedding, type TokenEmbedding } from "./finetune/token_embedding.ts";
export {
  type JoinedTower,
  joinTower,
  openTower,
  promptRows,
  type PromptTokens,
  textFeeds,
  type Tower,
  type TowerKind,
} from "./finetune/tower.ts";
export { cosines, normalizeRows } from "./cosines.ts";
export { embeddingMap, type EmbeddingMapOptions } from "./search/embedding_map.ts";
export { type Found, nearestRows } from "./search/nearest.ts";
export { zeroShotProbabilities } from "./zero_shot/classify.ts";
export {
  findByAttributes,
  type HeldOutResult,
  PROMPT_SETS,
  type PromptResult,
  type PromptSet,
  type PromptStudyOptions,
  studyPrompts,
} from "./zero_shot/prompt_study.ts";
export { textPrototypes } from "./zero_shot/prototypes.ts";
