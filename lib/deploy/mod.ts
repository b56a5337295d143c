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
