/** What a student learns from its teacher: where each picture lies, how the pictures of a batch lie to each other, and their species. */

import { stopGradient } from "../../autodiff/mod.ts";
import {
  add,
  cast,
  div,
  equal,
  matMul,
  mul,
  type Operand,
  range,
  reduceMean,
  reduceSum,
  reduceSumSquare,
  shape,
  sqrt,
  squeeze,
  sub,
  transpose,
  unsqueeze,
  type Value,
} from "../../onnx/mod.ts";
import { crossEntropy, klDivergence, type LossResult, TrainError, unitRows } from "../../train/mod.ts";

/** How far two embeddings of length 1 are from each other. */
export type FeatureMetric = "cosine" | "mse";

/**
 * The mean over the pictures of the distance of student [N, D] and teacher [N, D], both brought to length 1: "cosine" is 1 − sᵢ·tᵢ,
 * "mse" is ‖sᵢ − tᵢ‖² (Yang et al. 2024, "CLIP-KD", feature distillation), which for length 1 is twice the cosine's, 2 − 2·sᵢ·tᵢ.
 * No gradient reaches the teacher. Throws TrainError for other shapes.
 */
export function featureMatching(
  student: Value,
  teacher: Value,
  { metric = "cosine" }: { readonly metric?: FeatureMetric } = {},
): Value {
  expectRows("featureMatching", student, teacher);
  const [, own] = student.shape, [, wanted] = teacher.shape;
  if (own !== wanted) {
    throw new TrainError(
      `featureMatching: expected embeddings of the teacher's ${wanted} numbers, found ${own}; bring them there by a projection`,
    );
  }
  const s = unitRows(student), t = unitRows(stopGradient(teacher));
  if (metric === "mse") return reduceMean(reduceSumSquare(sub(s, t), { axes: 1 }));
  return reduceMean(sub(1, reduceSum(mul(s, t), { axes: 1 })));
}

/** Settings of `similarityStructure`. */
export interface StructureOptions {
  /** "kl": rows as distributions; "preserving": rows as vectors of length 1. Default: "kl". */
  readonly kind?: "kl" | "preserving";
  /** Of "kl": divides the cosines; above 0. Default: 0.1. */
  readonly temperature?: number;
}

/** Takes a picture's cosine with itself, always 1, out of its row; finite, so that its gradient is 0 and not NaN. */
const NEVER = -1e9;

/**
 * Compares the cosines of the pictures of a batch with each other, S = s·sᵀ of the student [N, d] with T = t·tᵀ of the teacher
 * [N, D]; the dimensions may differ. A scalar; no gradient reaches the teacher.
 *
 * "kl": the mean over i of KL(softmax(Tᵢⱼ / τ, j ≠ i) ‖ softmax(Sᵢⱼ / τ, j ≠ i)): neighbours of a picture as a distribution (Passalis
 * and Tefas 2018, "Probabilistic Knowledge Transfer", section 3, with the softmax of Fang et al. 2021, "SEED", section 3.2, as
 * kernel). "preserving": 1/N² · ‖S̃ − T̃‖², each row of S̃ and T̃ at length 1 (Tung and Mori 2019, "Similarity-Preserving
 * Knowledge Distillation", eq. 2 to 4). Both are relations in place of places, as Park et al. 2019, "Relational Knowledge
 * Distillation", argue for: a student of few weights can keep them where it cannot keep every embedding.
 *
 * Throws TrainError for what is not [N, D], and unless the temperature is above 0.
 */
export function similarityStructure(
  student: Value,
  teacher: Value,
  { kind = "kl", temperature = 0.1 }: StructureOptions = {},
): Value {
  expectRows("similarityStructure", student, teacher);
  if (!(temperature > 0)) {
    throw new TrainError(`similarityStructure: expected a temperature above 0, found ${temperature}`);
  }
  const own = cosines(student), wanted = cosines(stopGradient(teacher));
  if (kind === "preserving") {
    const difference = sub(lengthOne(own), lengthOne(wanted));
    return reduceMean(mul(difference, difference));
  }
  const numbers = range(0, squeeze(shape(student, { start: 0, end: 1 })), 1);
  const isSelf = cast(equal(unsqueeze(numbers, [1]), unsqueeze(numbers, [0])), own.dtype);
  const row = (all: Value) => add(mul(all, 1 / temperature), mul(isSelf, NEVER));
  return klDivergence(row(own), row(wanted));
}

/**
 * Scores of species: scale · s·pᵀ [N, C] of embeddings s [N, D], brought to length 1, and prototypes p [C, D] of length 1: the
 * embeddings of texts are a classifier (Radford et al. 2021, "CLIP", section 3.1.2).
 */
export function prototypeLogits(embeddings: Value, prototypes: Value, scale: Operand): Value {
  return mul(matMul(unitRows(embeddings), transpose(prototypes, [1, 0])), scale);
}

/** How much each part of `distillationLoss` counts; a part of weight 0 is not computed. */
export interface DistillationWeights {
  /** Of `featureMatching`. */
  readonly features: number;
  /** Of `similarityStructure`. */
  readonly structure: number;
  /** Of the cross-entropy with the species. */
  readonly labels: number;
}

/** Settings of `distillationLoss`. */
export interface DistillationOptions {
  readonly weights: DistillationWeights;
  readonly metric?: FeatureMetric;
  readonly structure?: StructureOptions;
  /** Of the species' cross-entropy. Default: 0. */
  readonly labelSmoothing?: number;
}

/**
 * features · `featureMatching` + structure · `similarityStructure` + labels · cross-entropy of the logits [N, C] with the species
 * [N, C] (Hinton et al. 2015, section 2: hard targets beside the teacher's), with the parts as metrics. Throws TrainError for a
 * weight below 0, and where all are 0.
 */
export function distillationLoss(
  { student, teacher, logits, targets }: {
    readonly student: Value;
    readonly teacher: Value;
    readonly logits: Value;
    readonly targets: Value;
  },
  { weights, metric = "cosine", structure = {}, labelSmoothing = 0 }: DistillationOptions,
): LossResult {
  for (const [name, weight] of Object.entries(weights)) {
    if (!(weight >= 0)) {
      throw new TrainError(`distillationLoss: weights.${name}: expected a number from 0, found ${weight}`);
    }
  }
  const makers: Readonly<Record<keyof DistillationWeights, () => Value>> = {
    features: () => featureMatching(student, teacher, { metric }),
    structure: () => similarityStructure(student, teacher, structure),
    labels: () => crossEntropy(logits, targets, { labelSmoothing }),
  };
  const parts = (Object.keys(makers) as (keyof DistillationWeights)[]).filter((name) => weights[name] > 0)
    .map((name) => ({ name, value: makers[name]() }));
  if (parts.length === 0) throw new TrainError("distillationLoss: expected a weight above 0, found none");
  return {
    loss: parts.map(({ name, value }) => mul(value, weights[name])).reduce((sum, part) => add(sum, part)),
    metrics: Object.fromEntries(parts.map(({ name, value }) => [name, value])),
  };
}

/** x·xᵀ of rows at length 1. */
function cosines(x: Value): Value {
  const rows = unitRows(x);
  return matMul(rows, transpose(rows, [1, 0]));
}

/** Rows over their length; those of a matrix of cosines are at least 1 long. */
function lengthOne(x: Value): Value {
  return div(x, sqrt(reduceSumSquare(x, { axes: 1, keepdims: true })));
}

function expectRows(place: string, student: Value, teacher: Value): void {
  if (student.rank === 2 && teacher.rank === 2) return;
  throw new TrainError(`${place}: expected embeddings [N, D], found ${student} and ${teacher}`);
}
