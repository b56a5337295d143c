/**
 * Judging predictions. Classes are numbers here; names come from callers.
 *
 * Classifiers: top-1 and top-5, accuracy by class and group, confusion, calibration, intervals, comparison of two.
 * Robustness: corrupted pictures, silhouettes, pictures of other things.
 * Detectors: mAP and recall as COCO counts them, non-maximum suppression. Models: operations, parameters, latency, memory.
 * And the yardstick that a model has to beat.
 */

export { EvaluateError } from "./errors.ts";
export * from "./interval.ts";
export { type Features, histogramFeatures, pixelFeatures } from "./features.ts";
export * from "./nearest_neighbour.ts";
export { bootstrapInterval, type BootstrapOptions } from "./bootstrap.ts";
export * from "./calibration.ts";
export * from "./classification.ts";
export * from "./confusion.ts";
export {
  costOf,
  countOperations,
  type CountOptions,
  countParameters,
  type OperationCount,
  type OperatorCost,
  withSizes,
} from "./flops.ts";
export { energyProxy, PICOJOULES } from "./energy.ts";
export { bytesMoved, countTraffic, type Traffic } from "./traffic.ts";
export * from "./latency.ts";
export { mcNemar, type McNemarResult } from "./mcnemar.ts";
export { candidateBoxes, type CandidateOptions, nonMaximumSuppression, type SuppressionOptions } from "./nms.ts";
export { quantile } from "./quantile.ts";
export * from "./rejection.ts";
export * from "./rejection_report.ts";
export * from "./robustness/corruptions.ts";
export * from "./robustness/report.ts";
export * from "./robustness/silhouette.ts";
export { stratifiedSample } from "./stratified_sample.ts";
export { countStages, type Stage } from "./stages.ts";
export { type Labels, ranksOf, type Scores, topK } from "./ranking.ts";
export { intersectionOverUnion, type Rectangle, type ScoredBox, type TruthBox } from "./detection/box.ts";
export type { BoxColumns, DetectionColumns, DetectionTable, TruthColumns } from "./detection/columns.ts";
export {
  type CocoResults,
  cocoTable,
  type CocoTruth,
  type ImageId,
  type LeftOut,
  parseCocoResults,
  parseCocoTruth,
  readCocoResults,
  readCocoTruth,
} from "./detection/coco_files.ts";
export { RECALL_POINTS } from "./detection/curve.ts";
export {
  type ClassDetectionReport,
  type DetectedImage,
  type DetectionReport,
  evaluateDetections,
  evaluateTable,
  type OperatingPoint,
} from "./detection/evaluate.ts";
export { IOU_THRESHOLDS } from "./detection/match.ts";
