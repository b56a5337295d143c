/** Losses that pull pairs, or pictures of one class, together and push all others of the batch apart. */

import {
  add,
  cast,
  concat,
  div,
  equal,
  matMul,
  max,
  min,
  mul,
  type Operand,
  range,
  reduceLogSumExp,
  reduceMean,
  reduceSum,
  reduceSumSquare,
  shape,
  softplus,
  sqrt,
  squeeze,
  sub,
  transpose,
  unsqueeze,
  type Value,
} from "../../onnx/mod.ts";
import { TrainError } from "../errors.ts";

/** Settings of `infoNce` and `sigLip`. */
export interface ContrastiveOptions {
  /** Multiplies the cosines: 1 / temperature. Default: 1 / 0.07 for `infoNce`, 10 for `sigLip`. */
  readonly scale?: Operand;
  /** Divide embeddings by their length first. Default: true. */
  readonly normalize?: boolean;
}

/** Settings of `infoNce`. */
export interface InfoNceOptions extends ContrastiveOptions {
  /** Further rows [M, D] of b's kind that match none: rivals of a's rows in their choice among b's. */
  readonly negatives?: Value;
  /** "both": each side chooses among the other; "rows": only a's rows among b's. Default: "both". */
  readonly direction?: "both" | "rows";
}

/**
 * The symmetric cross-entropy of matching row i of `a` [N, D] with row i of `b` [N, D] among all N (Radford et al. 2021,
 * CLIP, figure 3; van den Oord et al. 2018, InfoNCE, eq. 4). A scalar: the mean over pairs and both directions, or over the pairs
 * of one.
 */
export function infoNce(
  a: Value,
  b: Value,
  { scale = 1 / 0.07, normalize = true, negatives, direction = "both" }: InfoNceOptions = {},
): Value {
  const { all, matching, left } = similarities("infoNce", a, b, scale, normalize);
  const others = negatives && mul(matMul(left, transpose(normalize ? unitRows(negatives) : negatives, [1, 0])), scale);
  const choices = others ? concat([all, others], 1) : all;
  const rows = sub(reduceLogSumExp(choices, { axes: 1 }), matching);
  if (direction === "rows") return reduceMean(rows);
  const columns = sub(reduceLogSumExp(all, { axes: 0 }), matching);
  return mul(reduceMean(add(rows, columns)), 0.5);
}

/**
 * Every pair (i, j) judged by itself: −log σ(z · (scale · cos + bias)), z = 1 for i = j, else −1, summed and divided by N
 * (Zhai et al. 2023, "Sigmoid Loss for Language Image Pre-Training", eq. 1 and section 3.2). Default bias: −10.
 */
export function sigLip(
  a: Value,
  b: Value,
  { scale = 10, bias = -10, normalize = true }: ContrastiveOptions & { bias?: Operand } = {},
): Value {
  const { all, matching } = similarities("sigLip", a, b, scale, normalize);
  // −log σ(l) = softplus(l) − l for the pairs, −log σ(−l) = softplus(l) for all others.
  const every = reduceSum(softplus(add(all, bias)), { axes: 1 });
  return reduceMean(sub(every, add(matching, bias)));
}

/** Settings of `supervisedContrastive`. */
export interface SupervisedContrastiveOptions {
  /** Divides the cosines: the smaller, the more the hardest negatives count; above 0. Default: 0.1. */
  readonly temperature?: number;
  /** Divide embeddings by their length first. Default: true. */
  readonly normalize?: boolean;
}

/** Takes an anchor's own similarity out of its softmax; finite, so that its gradient is 0 and not NaN. */
const NEVER = -1e9;

/**
 * Rows of `embeddings` [N, D] with the same label attract, all others repel: for an anchor i the mean over its positives p (the
 * other rows of its label) of −log(exp(zᵢ·z_p / τ) / Σ_a exp(zᵢ·z_a / τ)), a all rows but i (Khosla et al. 2020,
 * "Supervised Contrastive Learning", eq. 2, L_out). A scalar: the mean over the anchors that have a positive in the
 * batch; others are negatives only, and a batch without any positive costs 0. `labels` [N] are integers, int64 or int32. As
 * two views of one picture have one label, labels that number pictures give SimCLR's loss.
 *
 * Throws TrainError when shapes and types do not go together, and unless the temperature is above 0.
 */
export function supervisedContrastive(
  embeddings: Value,
  labels: Value,
  { temperature = 0.1, normalize = true }: SupervisedContrastiveOptions = {},
): Value {
  const place = "supervisedContrastive";
  if (embeddings.rank !== 2 || labels.rank !== 1 || !["int64", "int32"].includes(labels.dtype)) {
    throw new TrainError(
      `${place}: expected embeddings [N, D] and labels [N] (int64 or int32), found ${embeddings} and ` +
        `${labels.dtype} ${labels}`,
    );
  }
  if (!(temperature > 0)) throw new TrainError(`${place}: expected a temperature above 0, found ${temperature}`);
  const { all } = similarities(place, embeddings, embeddings, 1 / temperature, normalize);
  const pairs = (of: Value) => cast(equal(unsqueeze(of, [1]), unsqueeze(of, [0])), all.dtype);
  const own = pairs(range(0, squeeze(shape(labels)), 1)), same = pairs(labels);
  const positives = sub(same, own);
  const count = reduceSum(positives, { axes: 1 }), counts = min([count, 1]);
  const attraction = div(reduceSum(mul(positives, all), { axes: 1 }), max([count, 1]));
  const rivals = reduceLogSumExp(add(all, mul(own, NEVER)), { axes: 1 });
  const losses = sub(mul(rivals, counts), attraction);
  return div(reduceSum(losses), max([reduceSum(counts), 1]));
}

/** scale · a · bᵀ [N, N], its diagonal [N], and a's rows as they were taken. */
function similarities(
  place: string,
  a: Value,
  b: Value,
  scale: Operand,
  normalize: boolean,
): { all: Value; matching: Value; left: Value } {
  if (a.rank !== 2 || b.rank !== 2) throw new TrainError(`${place}: expected embeddings [N, D], found ${a} and ${b}`);
  const [left, right] = normalize ? [unitRows(a), unitRows(b)] : [a, b];
  return {
    left,
    all: mul(matMul(left, transpose(right, [1, 0])), scale),
    matching: mul(reduceSum(mul(left, right), { axes: 1 }), scale),
  };
}

/** x over its length along the last dimension; a row of zeros stays one. */
export function unitRows(x: Value): Value {
  return div(x, sqrt(add(reduceSumSquare(x, { axes: -1, keepdims: true }), 1e-12)));
}
