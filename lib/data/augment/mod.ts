/** Augmentation: seeded transforms of pictures, boxes and labels, and how to put them together. */

export { addNoise, defocus, jpeg, lowerResolution, motionBlur, noise, resolution, throughJpeg } from "./camera.ts";
export * from "./environment.ts";
export * from "./geometric.ts";
export { about, type Homography, rotating, scaling } from "./homography.ts";
export * from "./letterbox.ts";
export { mixup, mosaic } from "./mixing.ts";
export * from "./occlusion.ts";
export * from "./photometric.ts";
export { halve, layOver, type Picture, pictureFrom } from "./picture.ts";
export * from "./presets.ts";
export * from "./registry.ts";
export { type Box, Sample, type Target } from "./sample.ts";
export { scene, visibleAlpha } from "./scene.ts";
export * from "./transform.ts";
