/** Raw pictures → near-duplicate groups → splits → YOLO dataset → augmented batches. */

export * from "./backgrounds.ts";
export * from "./manifest.ts";

// Batches and what is done to them.
export * as augment from "./augment/mod.ts";
export type { Box, Picture, Target, Transform, TransformSpec } from "./augment/mod.ts";
export * from "./loader/mod.ts";
export * from "./analyze.ts";
export * from "./colour_statistics.ts";
export * from "./contact_sheet.ts";
