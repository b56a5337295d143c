/** Losses that pull pairs together and push all others of the batch apart. */

import {
  add,
  div,
  matMul,
  mul,
  type Operand,
  reduceLogSumExp,
  reduceMean,
  reduceSum,
  reduceSumSquare,
  softplus,
  sqrt,
  sub,
  transpose,
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

/**
 * The symmetric cross-entropy of matching row i of `a` [N, D] with row i of `b` [N, D] among all N (Radford et al. 2021,
 * CLIP, figure 3; van den Oord et al. 2018, InfoNCE, eq. 4). A scalar: the mean over pairs and both directions.
 */
export function infoNce(a: Value, b: Value, { scale = 1 / 0.07, normalize = true }: ContrastiveOptions = {}): Value {
  const { all, matching } = similarities("infoNce", a, b, scale, normalize);
  const rows = sub(reduceLogSumExp(all, { axes: 1 }), matching);
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

/** scale · a · bᵀ [N, N], and its diagonal [N]. */
function similarities(
  place: string,
  a: Value,
  b: Value,
  scale: Operand,
  normalize: boolean,
): { all: Value; matching: Value } {
  if (a.rank !== 2 || b.rank !== 2) throw new TrainError(`${place}: expected embeddings [N, D], found ${a} and ${b}`);
  const [left, right] = normalize ? [unit(a), unit(b)] : [a, b];
  return {
    all: mul(matMul(left, transpose(right, [1, 0])), scale),
    matching: mul(reduceSum(mul(left, right), { axes: 1 }), scale),
  };
}

function unit(x: Value): Value {
  return div(x, sqrt(add(reduceSumSquare(x, { axes: -1, keepdims: true }), 1e-12)));
}
