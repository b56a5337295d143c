/** Detector features and language embeddings in one classifier. */

export { aligned, type Answers } from "./answers.ts";
export { cascadeAnswers, cascadeCurve, type CascadeOptions, type CascadePoint, chooseThreshold } from "./cascade.ts";
export { fitLateFusion, fuseLate, type LateFusion } from "./late_fusion.ts";
export { compareRight, type Comparison } from "./overlap.ts";
