/** Losses: functions of predictions and targets in a graph. */

export { type AcceptedIntegers, acceptIntegers } from "./accepted.ts";
export { binaryCrossEntropyWithLogits, type BinaryOptions } from "./binary.ts";
export {
  type ContrastiveOptions,
  infoNce,
  sigLip,
  supervisedContrastive,
  type SupervisedContrastiveOptions,
  unitRows,
} from "./contrastive.ts";
export { crossEntropy, type CrossEntropyOptions } from "./cross_entropy.ts";
export { distillation, type DistillationLoss, type DistillationOptions, hintLoss } from "./distillation.ts";
export { type DivergenceOptions, klDivergence } from "./divergence.ts";
export { type IouKind, iouLoss, type IouOptions } from "./iou.ts";
export { type LossOptions, type Reduction } from "./reduction.ts";
export { meanSquaredError, smoothL1 } from "./regression.ts";
export { uncertaintyWeighted } from "./uncertainty.ts";
