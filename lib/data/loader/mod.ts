/** Batches: decoded pictures in one file, and loaders that draw from it. */

export * from "./batches.ts";
export { openCache, type OpenCacheOptions, PictureCache } from "./cache.ts";
export { type PictureFile, type PictureFileOptions, readPictureFile } from "./picture_file.ts";
export { type Batch, decodedSize, type Normalisation, type View } from "./render.ts";
export * from "./sampler.ts";
