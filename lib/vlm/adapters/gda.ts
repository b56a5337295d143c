/** Gaussian discriminant analysis: one covariance for all classes, inverted; nothing is trained. */

import { tensor } from "../../runtime/mod.ts";
import type { LabelledFeatures } from "../encoder.ts";
import type { Adapter, Trial } from "./adapter.ts";
import { checkInput } from "./inputs.ts";
import { linearAdapter } from "./linear.ts";
import { classMeans, Products, singles, solvePositive } from "./products.ts";
import { bestTrial, tryWeights } from "./search.ts";
import { scaledTexts } from "./texts.ts";

/** Settings of `gda`. */
export interface GdaOptions {
  /** Weights of the discriminant beside zero-shot that are tried. Default: 10⁻⁴ … 10⁴, two a power of ten. */
  readonly alphas?: readonly number[];
  /** The weight without validation pictures. Default: 1. */
  readonly alpha?: number;
}

/**
 * Logits s · f · t_k + α · (f · w_k + b_k) with w_k = Σ⁻¹ μ_k and b_k = log π_k − ½ μ_kᵀ Σ⁻¹ μ_k (Wang et al. 2024, "A Hard-to-Beat Baseline
 * for Training-free CLIP-based Adaptation", eq. 3), equal priors π_k = 1 / C, and the shrunken inverse
 * Σ⁻¹ = D · ((N − 1) · S + tr(S) · I)⁻¹ of the covariance S of the features about their class means (eq. 4). α is chosen by validation.
 *
 * With one picture a class S is zero: the limit of the shrunken inverse up to a factor is taken, Σ⁻¹ = I, which is the nearest mean.
 */
export function gda(
  { alphas = Array.from({ length: 17 }, (_, i) => 10 ** ((i - 8) / 2)), alpha = 1 }: GdaOptions = {},
): Adapter {
  const name = "gda";
  return {
    name,
    settings: { alphas, alpha },
    learns: true,
    draws: false,
    async fit(input) {
      checkInput(name, input);
      const { train, classes, validation, threads } = input;
      await using products = await Products.open(threads);
      const found = await discriminant(train, classes, products);
      input.signal?.throwIfAborted();
      const texts = scaledTexts(input);
      let tried: Trial[] = [];
      if (validation) {
        const base = await products.scores(validation.features, texts);
        const extra = await products.scores(validation.features, found.weights, found.bias);
        tried = tryWeights(base, extra, validation.labels, alphas, (value) => ({ alpha: value }));
      }
      const chosen = tried.length > 0 ? bestTrial(tried).settings : { alpha };
      return await linearAdapter({
        adapter: name,
        weights: tensor("float32", texts.shape, texts.data.map((t, i) => t + chosen.alpha! * found.weights.data[i]!)),
        bias: tensor("float32", [classes], found.bias.data.map((b) => b * chosen.alpha!)),
        chosen,
        tried,
        threads,
      });
    },
  };
}

/** w [C, D] and b [C] of the formula. */
async function discriminant(train: LabelledFeatures, classes: number, products: Products) {
  const { features, labels } = train, [pictures, dimension] = features.shape as [number, number];
  const means = classMeans(train, classes);
  const centred = features.data.map((value, at) =>
    value - means[labels[Math.floor(at / dimension)]! * dimension + at % dimension]!
  );
  // Class means taken off, the mean of all is zero: the scatter is (N − 1) times the covariance.
  const scatter = await products.gram(tensor("float32", [pictures, dimension], centred));
  let trace = 0;
  for (let d = 0; d < dimension; d++) trace += scatter[d * dimension + d]! / Math.max(1, pictures - 1);
  let rows = means;
  // what rounding alone leaves of one picture a class is no covariance
  if (trace > 1e-12) {
    for (let d = 0; d < dimension; d++) scatter[d * dimension + d] = scatter[d * dimension + d]! + trace;
    rows = solvePositive(scatter, dimension, means).map((value) => value * dimension);
  }
  const bias = Float64Array.from({ length: classes }, (_, k) => {
    let product = 0;
    for (let at = k * dimension; at < (k + 1) * dimension; at++) product += rows[at]! * means[at]!;
    return -Math.log(classes) - product / 2;
  });
  return { weights: singles([classes, dimension], rows), bias: singles([classes], bias) };
}
