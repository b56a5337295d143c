/** The operators: importing this file registers every family. */

export * from "./activation.ts";
export * from "./arithmetic.ts";
export * from "./convolution.ts";
export * from "./indexing.ts";
export * from "./layout.ts";
export * from "./linear.ts";
export * from "./logic.ts";
export * from "./normalization.ts";
export type { Named, Operand } from "./operand.ts";
export * from "./pooling.ts";
export * from "./quantization.ts";
export * from "./reduction.ts";
export * from "./resize.ts";
export * from "./shape.ts";
export type { PerDimension, Window, WindowOptions } from "./window.ts";
