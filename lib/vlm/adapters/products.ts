/** Matrix products of embeddings in ONNX Runtime, and what of linear algebra the adapters need beside them. */

import { gemm, Graph, toModel } from "../../onnx/mod.ts";
import { openSession, type Session, type Tensor, tensor, WorkError } from "../../runtime/mod.ts";
import type { LabelledFeatures } from "../encoder.ts";

/** Rows that a product takes at a time where it is summed up. */
const CHUNK = 2048;

/** Products of any sizes. */
export class Products implements AsyncDisposable {
  readonly #scores: Session;
  readonly #gram: Session;

  private constructor(scores: Session, gram: Session) {
    this.#scores = scores;
    this.#gram = gram;
  }

  static async open(threads: number | undefined): Promise<Products> {
    const scores = new Graph("scores");
    const x = scores.input("x", "float32", ["N", "D"]), weights = scores.input("weights", "float32", ["C", "D"]);
    scores.output(gemm(x, weights, scores.input("bias", "float32", ["C"]), { transB: true }), "y");
    const gram = new Graph("gram"), rows = gram.input("x", "float32", ["N", "D"]);
    gram.output(gemm(rows, rows, undefined, { transA: true }), "y");
    const options = { threads };
    return new Products(await openSession(toModel(scores), options), await openSession(toModel(gram), options));
  }

  /** x · weightsᵀ + bias, [N, C], of x [N, D], weights [C, D], bias [C] (default: zeros). */
  async scores(
    x: Tensor<"float32">,
    weights: Tensor<"float32">,
    bias: Tensor<"float32"> = tensor("float32", [weights.shape[0]!], new Float32Array(weights.shape[0]!)),
  ): Promise<Tensor<"float32">> {
    if (x.shape[0] === 0) return tensor("float32", [0, weights.shape[0]!], new Float32Array(0));
    return (await this.#scores.run({ x, weights, bias })).y as Tensor<"float32">;
  }

  /** xᵀ · x, [D, D], of x [N, D]; parts of it are summed up in double precision. */
  async gram(x: Tensor<"float32">): Promise<Float64Array> {
    const dimension = x.shape[1]!, sum = new Float64Array(dimension * dimension);
    for (const part of chunks(x)) {
      const { data } = (await this.#gram.run({ x: part })).y as Tensor<"float32">;
      for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + data[i]!;
    }
    return sum;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scores.dispose();
    await this.#gram.dispose();
  }
}

/** A tensor's rows, so many at a time; views of the same memory. */
export function* chunks<T extends "float32" | "float64">(x: Tensor<T>, size = CHUNK): Generator<Tensor<T>> {
  const [rows, dimension] = x.shape as [number, number];
  for (let from = 0; from < rows; from += size) {
    const count = Math.min(size, rows - from);
    const data = x.data.subarray(from * dimension, (from + count) * dimension) as typeof x.data;
    yield { dtype: x.dtype, shape: [count, dimension], data };
  }
}

/** Some rows of labelled features, in the order of the indices. */
export function takeRows({ features, labels }: LabelledFeatures, indices: ArrayLike<number>): LabelledFeatures {
  const dimension = features.shape[1]!, data = new Float32Array(indices.length * dimension);
  const chosen = new Int32Array(indices.length);
  for (let i = 0; i < indices.length; i++) {
    const row = indices[i]!;
    data.set(features.data.subarray(row * dimension, (row + 1) * dimension), i * dimension);
    chosen[i] = labels[row]!;
  }
  return { features: tensor("float32", [indices.length, dimension], data), labels: chosen };
}

/** Sums of the features of each class, [C, D], and how many there are, [C]. */
export function classSums(
  { features, labels }: LabelledFeatures,
  classes: number,
): { sums: Float64Array; counts: Float64Array } {
  const dimension = features.shape[1]!, { data } = features;
  const sums = new Float64Array(classes * dimension), counts = new Float64Array(classes);
  for (let row = 0, at = 0; row < labels.length; row++) {
    const label = labels[row]!, to = label * dimension;
    counts[label] = counts[label]! + 1;
    for (let d = 0; d < dimension; d++, at++) sums[to + d] = sums[to + d]! + data[at]!;
  }
  return { sums, counts };
}

/** The mean feature of each class, [C, D]; every class has a picture. */
export function classMeans(labelled: LabelledFeatures, classes: number): Float64Array {
  const { sums, counts } = classSums(labelled, classes), dimension = sums.length / classes;
  return sums.map((sum, at) => sum / counts[Math.floor(at / dimension)]!);
}

/**
 * Solves A · X = B for each row of `rows` as one right side; A is n x n, symmetric and positive definite (Cholesky
 * decomposition: Golub and Van Loan 2013, algorithm 4.2.1). Throws WorkError when A is not positive definite.
 */
export function solvePositive(matrix: Float64Array, n: number, rows: Float64Array): Float64Array {
  const lower = matrix.slice();
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let sum = lower[i * n + j]!;
      for (let k = 0; k < j; k++) sum -= lower[i * n + k]! * lower[j * n + k]!;
      if (i > j) lower[i * n + j] = sum / lower[j * n + j]!;
      else if (sum > 0) lower[j * n + j] = Math.sqrt(sum);
      else throw new WorkError(`Cholesky: expected a positive definite matrix, found pivot ${sum} in row ${j}`);
    }
  }
  const result = rows.slice();
  for (let from = 0; from < result.length; from += n) {
    const x = result.subarray(from, from + n);
    for (let i = 0; i < n; i++) {
      let sum = x[i]!;
      for (let k = 0; k < i; k++) sum -= lower[i * n + k]! * x[k]!;
      x[i] = sum / lower[i * n + i]!;
    }
    for (let i = n - 1; i >= 0; i--) {
      const value = x[i]! / lower[i * n + i]!;
      x[i] = value;
      for (let k = 0; k < i; k++) x[k] = x[k]! - lower[i * n + k]! * value;
    }
  }
  return result;
}

/** The largest eigenvalue of a symmetric matrix without negative ones, by the power method (Golub and Van Loan 2013, 8.2.1). */
export function largestEigenvalue(matrix: Float64Array, n: number): number {
  let vector = new Float64Array(n).fill(1 / Math.sqrt(n)), value = 0;
  // from the heaviest row too: a vector of ones can be at a right angle to the eigenvector
  let heaviest = 0;
  for (let i = 1; i < n; i++) if (matrix[i * n + i]! > matrix[heaviest * n + heaviest]!) heaviest = i;
  for (let i = 0; i < n; i++) {
    vector[i] = vector[i]! + matrix[heaviest * n + i]! / (matrix[heaviest * n + heaviest]! || 1);
  }
  for (let round = 0; round < 1000; round++) {
    const next = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += matrix[i * n + k]! * vector[k]!;
      next[i] = sum;
    }
    const length = Math.hypot(...next), found = length / Math.hypot(...vector);
    if (length === 0) return 0;
    vector = next.map((value) => value / length);
    if (Math.abs(found - value) <= 1e-12 * found) return found;
    value = found;
  }
  return value;
}

/** Numbers as a tensor of single precision. */
export function singles(shape: readonly number[], numbers: ArrayLike<number>): Tensor<"float32"> {
  return tensor("float32", shape, Float32Array.from(numbers));
}
