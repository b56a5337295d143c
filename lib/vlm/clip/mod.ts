/** A small CLIP of our own: towers, training, packages. */

export { type ClipConfig, clipConfigSchema, readClipConfig } from "./config.ts";
export { heldOutSpecies, partData, type PartedData } from "./held_out.ts";
export { type ClipShape, imageTower, textGraph, textTower, visionGraph } from "./towers.ts";
export { type ClipCardFigures, evaluateClip, type EvaluateClipOptions } from "./evaluate_clip.ts";
export { type ClipFigures } from "./judge.ts";
export { openPokedexClip, type OpenPokedexClipOptions, type PokedexClip } from "./open_clip.ts";
export { CLIP_WEIGHTS, type ClipCard, type ClipWeights, copyClip, exportClip, findClip, readClip } from "./package.ts";
export { trainClip, type TrainClipOptions, type TrainClipResult } from "./train_clip.ts";
