/** Raw pictures → near-duplicate groups → splits → YOLO dataset → augmented batches. */

export * from "./backgrounds.ts";
export * from "./build.ts";
export * from "./compose.ts";
export * from "./decode.ts";
export * from "./fingerprint.ts";
export * from "./leakage.ts";
export * from "./manifest.ts";
export * from "./near_duplicates.ts";
export * from "./source.ts";
export * from "./splits.ts";
export * from "./verify.ts";
export * from "./yolo.ts";
