/** Few-shot adapters on cached embeddings, and the protocol that compares them. */

export type { Adapter, AdapterInput, FittedAdapter, LinearWeights, Settings, Trial } from "./adapter.ts";
export type { TrainingOptions } from "./batches.ts";
export { clipAdapter, type ClipAdapterOptions, type ClipAdapterWeights } from "./clip_adapter.ts";
export { gda, type GdaOptions } from "./gda.ts";
export { linearProbe, type LinearProbeOptions } from "./linear_probe.ts";
export { lpPlusPlus, type LpPlusPlusOptions } from "./lp_plus_plus.ts";
export { nearestPrototype, type NearestPrototypeOptions } from "./nearest_prototype.ts";
export { tipAdapter, tipAdapterF, type TipAdapterFOptions, type TipAdapterOptions } from "./tip_adapter.ts";
export { zeroShot } from "./zero_shot.ts";
