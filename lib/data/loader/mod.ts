/** Batches: decoded pictures in one file, loaders that draw from it, and in which order. */

export * from "./batches.ts";
export { openCache, type OpenCacheOptions, PictureCache } from "./cache.ts";
export * from "./curriculum.ts";
export * from "./distinct_classes.ts";
export * from "./hard_examples.ts";
export {
  type PictureFile,
  type PictureFileOptions,
  planesOn,
  readPictureFile,
  readSquareFile,
  type SquareFile,
  squareOfBytes,
} from "./picture_file.ts";
export * from "./positive_pairs.ts";
export { backgroundOf, type Batch, decodedSize, type Normalisation, type View } from "./render.ts";
export * from "./sampler.ts";
export { cachedSquare, shrunkSquare, type Square, squareOf } from "./square.ts";
