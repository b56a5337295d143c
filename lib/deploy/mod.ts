/** Quantize, prune, distil, check and package models for each target. */

export {
  assertFitsK210,
  checkK210,
  K210,
  type K210Layer,
  type K210Loader,
  type K210Problem,
  type K210Report,
  kpuMapBytes,
} from "./k210/check.ts";
export { exportTarget, type ExportTargetOptions } from "./targets/export_target.ts";
export {
  manifestSchema,
  readManifest,
  type Target,
  type TargetFile,
  type TargetManifest,
  TARGETS,
} from "./targets/manifest.ts";
export { preprocessingOf, preprocessingText, type TargetPreprocessing } from "./targets/preprocessing.ts";
export { tritonConfig } from "./targets/triton.ts";
export { WEB_BUDGET } from "./targets/web.ts";
export { readSigningKey, signBytes, type SigningKey, writeNewKey } from "./updates/keys.ts";
