/** What a student learns from a teacher's probabilities, and from what the teacher sees on the way to them. */

import { add, clip, log, mul, reduceSum, sub, type Value } from "../../onnx/mod.ts";
import { stopGradient } from "../../autodiff/mod.ts";
import { TrainError } from "../errors.ts";
import { crossEntropy } from "./cross_entropy.ts";
import { klDivergence } from "./divergence.ts";
import { type LossOptions, reduceLoss } from "./reduction.ts";

/** Settings of `distillation`. */
export interface DistillationOptions {
  /** Softens both distributions; usual: 2 … 20. Default: 4. */
  readonly temperature?: number;
  /** α, what the teacher's part counts; the labels' part counts 1 − α. Default: 0.9. */
  readonly weight?: number;
  /** Of the labels' part. Default: 0. */
  readonly labelSmoothing?: number;
}

/** A loss and its two parts, unweighted. */
export interface DistillationLoss {
  readonly loss: Value;
  readonly labels: Value;
  readonly teacher: Value;
}

/** A probability of 0 would be a logit of minus infinity: the smallest normal number of single precision. */
const SMALLEST = 2 ** -126;

/**
 * (1 − α) · cross-entropy with the targets + α · T² · KL(teacher^(1/T) ‖ softmax(logits / T)) (Hinton, Vinyals and Dean 2015, "Distilling
 * the knowledge in a neural network", section 2). The teacher is given as probabilities [N, classes]: their logarithms serve as its
 * logits, which leaves the softmax at every T as it was. Targets as for `crossEntropy`. Throws TrainError for α outside 0 … 1 and for
 * a teacher of another shape.
 */
export function distillation(
  logits: Value,
  targets: Value,
  teacher: Value,
  { temperature = 4, weight = 0.9, labelSmoothing = 0 }: DistillationOptions = {},
): DistillationLoss {
  if (!(weight >= 0 && weight <= 1)) throw new TrainError(`distillation: expected a weight in 0 … 1, found ${weight}`);
  if (String(teacher.shape) !== String(logits.shape)) {
    throw new TrainError(`distillation: expected probabilities of the shape of ${logits}, found ${teacher}`);
  }
  const labels = crossEntropy(logits, targets, { labelSmoothing });
  const taught = klDivergence(logits, log(clip(teacher, SMALLEST)), { temperature });
  return { loss: add(mul(labels, 1 - weight), mul(taught, weight)), labels, teacher: taught };
}

/**
 * ½ ‖student − teacher‖² of each picture, [N, D] both (Romero et al. 2015, "FitNets", equation 3); the student's features are brought to
 * the teacher's width by a regressor before. No gradient reaches the teacher. Throws TrainError for other shapes.
 */
export function hintLoss(student: Value, teacher: Value, { reduction }: LossOptions = {}): Value {
  if (student.rank !== 2 || student.shape[1] !== teacher.shape[1] || teacher.rank !== 2) {
    throw new TrainError(`hintLoss: expected features [N, D] of one width, found ${student} and ${teacher}`);
  }
  const difference = sub(student, stopGradient(teacher));
  return reduceLoss(mul(reduceSum(mul(difference, difference), { axes: 1 }), 0.5), reduction);
}
