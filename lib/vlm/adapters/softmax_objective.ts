/** The loss of a linear softmax classifier over all training pictures, and its gradient. */

import { gemm, Graph, log, reduceMax, reduceSum, softmax, sub, toModel } from "../../onnx/mod.ts";
import { openSession, type Session, type Tensor, tensor } from "../../runtime/mod.ts";
import type { LabelledFeatures } from "../encoder.ts";
import { chunks, classSums } from "./products.ts";

/** Mean cross-entropy, and its gradient by the weights [C, D] and the bias [C]. */
export interface Evaluation {
  readonly loss: number;
  readonly weights: Float64Array;
  readonly bias: Float64Array;
}

/**
 * L(W, b) = 1/N Σ_i (log Σ_k exp z_ik − z_{i, y_i}) with z = F Wᵀ + b. In ONNX Runtime runs what depends on all classes: the softmax P
 * and Pᵀ F. What depends on the labels is linear in W and b, Σ_i z_{i, y_i} = ⟨W, S⟩ + ⟨b, n⟩ with the class sums S and counts n, and is
 * worked out once: no matrix of labels is made.
 */
export class SoftmaxObjective implements AsyncDisposable {
  readonly #session: Session;
  readonly #parts: readonly Tensor[];
  readonly #sums: Float64Array;
  readonly #counts: Float64Array;
  readonly #pictures: number;
  readonly #dtype: "float32" | "float64";

  private constructor(
    session: Session,
    parts: Tensor[],
    train: LabelledFeatures,
    classes: number,
    dtype: "float32" | "float64",
  ) {
    const { sums, counts } = classSums(train, classes);
    this.#session = session;
    this.#parts = parts;
    this.#sums = sums;
    this.#counts = counts;
    this.#pictures = train.labels.length;
    this.#dtype = dtype;
  }

  /** `dtype`: what products are worked out in; sums over parts of 2,048 pictures are in double precision in any case. */
  static async open(
    train: LabelledFeatures,
    classes: number,
    { threads, dtype = "float32" }: { threads: number | undefined; dtype?: "float32" | "float64" },
  ): Promise<SoftmaxObjective> {
    const graph = new Graph("softmax objective");
    const x = graph.input("x", dtype, ["N", "D"]), weights = graph.input("weights", dtype, ["C", "D"]);
    const z = gemm(x, weights, graph.input("bias", dtype, ["C"]), { transB: true });
    const p = softmax(z, { axis: 1 });
    // log Σ exp z = max z − log max p, where max p ≥ 1/C: nothing overflows
    graph.output(reduceSum(sub(reduceMax(z, { axes: 1 }), log(reduceMax(p, { axes: 1 })))), "normalizers");
    graph.output(gemm(p, x, undefined, { transA: true }), "products");
    graph.output(reduceSum(p, { axes: 0 }), "mass");
    const session = await openSession(toModel(graph), { threads });
    const { features } = train;
    const all: Tensor<"float32"> | Tensor<"float64"> = dtype === "float32"
      ? features
      : tensor("float64", features.shape, Float64Array.from(features.data));
    return new SoftmaxObjective(session, [...chunks<"float32" | "float64">(all)], train, classes, dtype);
  }

  /** The number of classes' pictures, [C]. */
  get counts(): Float64Array {
    return this.#counts;
  }

  async evaluate(weights: ArrayLike<number>, bias: ArrayLike<number>): Promise<Evaluation> {
    const classes = bias.length, dimension = weights.length / classes;
    const feeds = {
      weights: tensor(this.#dtype, [classes, dimension], weights),
      bias: tensor(this.#dtype, [classes], bias),
    };
    const gradient = new Float64Array(weights.length), biasGradient = new Float64Array(classes);
    let loss = 0;
    for (const x of this.#parts) {
      const { normalizers, products, mass } = await this.#session.run({ x, ...feeds });
      loss += Number(normalizers!.data[0]);
      accumulate(gradient, products!.data as Float32Array);
      accumulate(biasGradient, mass!.data as Float32Array);
    }
    for (let i = 0; i < weights.length; i++) {
      loss -= weights[i]! * this.#sums[i]!;
      gradient[i] = (gradient[i]! - this.#sums[i]!) / this.#pictures;
    }
    for (let k = 0; k < classes; k++) {
      loss -= bias[k]! * this.#counts[k]!;
      biasGradient[k] = (biasGradient[k]! - this.#counts[k]!) / this.#pictures;
    }
    return { loss: loss / this.#pictures, weights: gradient, bias: biasGradient };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.dispose();
  }
}

function accumulate(into: Float64Array, from: ArrayLike<number>): void {
  for (let i = 0; i < into.length; i++) into[i] = into[i]! + from[i]!;
}
