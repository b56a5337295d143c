/** Judging predictions: intervals, and the yardstick that a model has to beat. */

export { EvaluateError } from "./errors.ts";
export * from "./interval.ts";
export { type Features, histogramFeatures, pixelFeatures } from "./features.ts";
export * from "./nearest_neighbour.ts";
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
