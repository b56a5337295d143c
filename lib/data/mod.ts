/** Raw pictures → near-duplicate groups → splits → YOLO dataset → augmented batches. */

// From raw pictures to a verified dataset.
export * from "./backgrounds.ts";
export * from "./build.ts";
export { renderClutter } from "./clutter.ts";
export * from "./compose.ts";
export * from "./decode.ts";
export * from "./fingerprint.ts";
export * from "./manifest.ts";
export * from "./near_duplicates.ts";
export * from "./other_pictures.ts";
export * from "./source.ts";
export * from "./splits.ts";
export * from "./verify.ts";
export { checkLabel } from "./verify_label.ts";
export * from "./yolo.ts";

// What a dataset is made of.
export * from "./analyze.ts";
export * from "./colour_statistics.ts";
export * from "./contact_sheet.ts";
export * from "./leakage.ts";
export * from "./picture_style.ts";
export * from "./style_holdout.ts";

// Batches and what is done to them.
export * as augment from "./augment/mod.ts";
export type { Box, Picture, Target, Transform, TransformSpec } from "./augment/mod.ts";
export * from "./loader/mod.ts";
export * from "./preview.ts";
