/** LP++: a linear probe in which the texts take part, with step lengths that need no search. */

import type { Adapter, AdapterInput, Trial } from "./adapter.ts";
import { checkInput } from "./inputs.ts";
import { linearAdapter } from "./linear.ts";
import { pause } from "./pause.ts";
import { chunks, classMeans, largestEigenvalue, Products, singles } from "./products.ts";
import { bestTrial, judge } from "./search.ts";
import { SoftmaxObjective } from "./softmax_objective.ts";

/** Settings of `lpPlusPlus`. */
export interface LpPlusPlusOptions {
  /** Full-batch steps. Default: 300, as the authors'; fewer where pictures · classes · numbers are beyond 2.5e9, at least 60. */
  readonly steps?: number;
  /** Of the weights' steps. Default: 0.9, as the authors'. */
  readonly momentum?: number;
  /** The texts' first weight over the mean cosine of pictures with their class's text. Default: 250, as the authors'. */
  readonly textScale?: number;
  /** The texts' weights take a step after each so many of the pictures'. Default: 10, as the authors'. */
  readonly textEvery?: number;
  /** Validation is looked at after each so many steps. Default: 10. */
  readonly judgeEvery?: number;
}

/** Pictures · classes · numbers · steps, at most: 71 steps of 20,000 pictures, 1,025 classes and 512 numbers, half a minute on two cores. */
const WORK = 7.5e11;

/**
 * Logits f · (w_k + α_k t_k) that minimise mean cross-entropy (Huang et al. 2024, "LP++: A Surprisingly Strong Linear Probe for Few-Shot
 * CLIP") by gradient descent on two blocks of variables. Step lengths are the inverses of the blocks' Lipschitz constants:
 * 4 N / λ_max(Fᵀ F) for w (eq. 10), and for α, as the authors' program has it, N / (4 max_k Σ_i (f_i · t_k)²)
 * (eq. 11). First weights (eq. 15): w_k is the class mean times the mean number of
 * pictures a class, all α are 250 times the mean cosine of pictures with their text. No penalty: the step with the best validation
 * counts, without validation the last one.
 */
export function lpPlusPlus(
  { steps, momentum = 0.9, textScale = 250, textEvery = 10, judgeEvery = 10 }: LpPlusPlusOptions = {},
): Adapter {
  const name = "lp++";
  return {
    name,
    settings: { steps, momentum, textScale, textEvery, judgeEvery },
    learns: true,
    draws: false,
    async fit(input) {
      const { pictures, dimension } = checkInput(name, input);
      const { train, texts, classes, validation, threads, signal, onProgress } = input;
      const count = steps ?? Math.max(60, Math.min(300, Math.round(WORK / (pictures * classes * dimension))));
      await using objective = await SoftmaxObjective.open(train, classes, { threads });
      await using products = await Products.open(threads);
      const rateW = 4 * pictures / largestEigenvalue(await products.gram(train.features), dimension);
      const rateAlpha = pictures / (4 * await largestTextSquare(input, products));
      const means = classMeans(train, classes), t = texts.data;
      const w = means.map((value) => value * pictures / classes), velocity = new Float64Array(w.length);
      let cosine = 0;
      for (let i = 0; i < means.length; i++) cosine += means[i]! * t[i]! / classes;
      const alpha = new Float64Array(classes).fill(textScale * cosine), noBias = new Float64Array(classes);
      const combined = () => w.map((value, i) => value + alpha[Math.floor(i / dimension)]! * t[i]!);
      const tried: Trial[] = [];
      let kept: Float64Array | undefined;
      for (let step = 1; step <= count; step++) {
        await pause(signal);
        const { loss, weights: gradient } = await objective.evaluate(combined(), noBias);
        for (let i = 0; i < w.length; i++) {
          velocity[i] = momentum * velocity[i]! + gradient[i]!;
          w[i] = w[i]! - rateW * velocity[i]!;
        }
        if (step % textEvery === 0) {
          for (let k = 0, i = 0; k < classes; k++) {
            let slope = 0;
            for (const end = i + dimension; i < end; i++) slope += gradient[i]! * t[i]!;
            alpha[k] = alpha[k]! - rateAlpha * slope;
          }
        }
        onProgress?.({ label: name, done: step, total: count, unit: "steps", note: `loss ${loss.toFixed(4)}` });
        if (validation && (step % judgeEvery === 0 || step === count)) {
          const weights = combined();
          const scores = await products.scores(validation.features, singles([classes, dimension], weights));
          tried.push({ settings: { steps: step }, ...judge(scores, validation.labels) });
          if (bestTrial(tried) === tried.at(-1)) kept = weights;
        }
      }
      return await linearAdapter({
        adapter: name,
        weights: singles([classes, dimension], kept ?? combined()),
        chosen: tried.length > 0 ? bestTrial(tried).settings : { steps: count },
        tried,
        threads,
      });
    },
  };
}

/** max_k Σ_i (f_i · t_k)² */
async function largestTextSquare(
  { train, texts, classes }: AdapterInput,
  products: Products,
): Promise<number> {
  const sums = new Float64Array(classes);
  for (const part of chunks(train.features)) {
    const { data } = await products.scores(part, texts);
    for (let at = 0; at < data.length; at++) sums[at % classes] = sums[at % classes]! + data[at]! ** 2;
  }
  return Math.max(...sums);
}
