/** CLIP and small vision-language models: encoders, prompts, zero-shot, adapters, distillation. */

export * from "./encoder.ts";
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
export * from "./adapters/mod.ts";

// Fine-tuning of exported towers.
export * from "./finetune/mod.ts";

export * from "./distill/mod.ts";
export * from "./generative/mod.ts";
