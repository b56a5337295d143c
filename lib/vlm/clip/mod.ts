/** A small CLIP of our own: towers, training, packages. */

export { type ClipConfig, clipConfigSchema, isClipConfig, readClipConfig } from "./config.ts";
export { heldOutSpecies, partData, type PartedData } from "./held_out.ts";
export { type ClipShape, imageTower, textGraph, textTower, visionGraph } from "./towers.ts";
export { type ClipFigures } from "./judge.ts";
export { CLIP_WEIGHTS, type ClipCard, type ClipWeights, copyClip, readClip } from "./package.ts";
export { MODEL_FOLDER, trainClip, type TrainClipOptions, type TrainClipResult } from "./train_clip.ts";
