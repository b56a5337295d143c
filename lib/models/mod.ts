/** Architectures as functions of the graph builder: starting values, layers, networks, and what turns their outputs into boxes. */

export {
  CLASSIFIER_STRIDE,
  CLASSIFIER_VALUES,
  type ClassifierNetwork,
  type ClassifierOptions,
  type ClassifierSpec,
} from "./classifiers/classifier.ts";
export * from "./classifiers/c2f_net.ts";
export * from "./classifiers/efficient_net.ts";
export * from "./classifiers/mobile_net.ts";
export * from "./classifiers/residual_net.ts";
export * from "./darknet53.ts";
export type { NetworkOptions } from "./darknet_layers.ts";
export { buildDarknet, type BuildOptions, type DarknetGraph, type DarknetHead } from "./darknet/build.ts";
export {
  fetchWeights,
  type FetchWeightsOptions,
  type HubFile,
  hubUrl,
  PUBLISHED_WEIGHTS,
  type PublishedWeights,
} from "./darknet/fetch_weights.ts";
export { type Cfg, type CfgSection, formatCfg, parseCfg } from "./darknet/cfg.ts";
export { type DarknetFiles, exportDarknet, type ExportedHeads, type ExportOptions } from "./darknet/export.ts";
export {
  importDarknet,
  type ImportedDarknet,
  type ImportOptions,
  loadDarknetWeights,
  type LoadOptions,
} from "./darknet/import.ts";
export {
  type DarknetLayer,
  type DarknetNetwork,
  type MapSize,
  planNetwork,
  type PlanOptions,
} from "./darknet/network.ts";
export {
  blockLength,
  type BlockShape,
  blockShapes,
  type DarknetWeights,
  readWeights,
  type WeightBlock,
  type WeightsHeader,
  writeWeights,
} from "./darknet/weights.ts";
export * from "./errors.ts";
export * from "./initializers.ts";
export * from "./layers.ts";
export * from "./stochastic.ts";
export * from "./transformers/mod.ts";
export * from "./transformers/mod.ts";
export { type ViewOptions, withCrops, withMirror, withViews } from "./test_time.ts";
export {
  headBias,
  scaleAnchors,
  YOLO_V3_ANCHORS,
  YOLO_V3_TINY_ANCHORS,
  type YoloNetwork,
  type YoloOptions,
} from "./yolo_head.ts";
export * from "./yolo/decode.ts";
export * from "./yolo_spec.ts";
export * from "./yolo_v3.ts";
export * from "./yolo_v3_tiny.ts";
