/** Training of detectors: true boxes to targets, and the YOLO loss. */

export { type AssignmentOptions, assignPositives, type Positive, positiveCapacity, shapeIou } from "./assignment.ts";
export { type BoxLoss, type YoloGains, yoloLoss, type YoloLossOptions } from "./loss.ts";
export { yoloTargets } from "./targets.ts";
export { type TruthBox } from "./truth.ts";
