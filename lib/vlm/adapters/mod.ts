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
export type { Cell, CellPlace, FailedCell, FinishedCell } from "./cells.ts";
export { type Band, fewShot, type FewShotOptions, type FewShotPoint, type FewShotTable } from "./few_shot.ts";
export { sampleShots, type Shots } from "./sample_shots.ts";
export { takeRows } from "./products.ts";
