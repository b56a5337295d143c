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

// Encoders from files and the Hub, and the cache of what they embedded.
export {
  type EmbeddedPictures,
  type EmbedOptions,
  embedPictures,
  embedTexts,
  type PictureItem,
} from "./cache/embed_pictures.ts";
export { type CacheOwner, EmbeddingCache, openEmbeddingCache, pictureKey, textKey } from "./cache/embedding_cache.ts";
export { type FoundModel } from "./encoders/find_model.ts";
export { defaultModel, type KnownModel, knownModels, type Precision, precisions } from "./encoders/known_models.ts";
export { type OpenedEncoder, openEncoder, type OpenEncoderOptions } from "./encoders/open_encoder.ts";
export { type PictureSettings, pictureSettings, preparePictures, readPreprocessing } from "./encoders/preprocess.ts";
export { openTokenizer, type TextTokenizer, type Tokens } from "./encoders/tokenize.ts";
export { leastCosine, type Verdict } from "./encoders/verify.ts";
export { embedSplit, type HonestSpecies, honestSpecies, ofSpecies, type SplitFeatures } from "./dataset_features.ts";
export { openVlm, pictureTower, SHIPPED_CLIP, SHIPPED_STUDENT } from "./open_vlm.ts";

// A small CLIP of our own.
export * from "./captions/mod.ts";
export * from "./clip/mod.ts";
export * from "./tokenizer/mod.ts";

// A student for small devices; a generative model.
export * from "./distill/mod.ts";
export * from "./generative/mod.ts";
