/** Multinomial logistic regression on the embeddings; the texts are not looked at. */

import type { Adapter, Trial } from "./adapter.ts";
import { checkInput } from "./inputs.ts";
import { minimize } from "./lbfgs.ts";
import { linearAdapter } from "./linear.ts";
import { pause } from "./pause.ts";
import { Products, singles } from "./products.ts";
import { bestTrial, judge } from "./search.ts";
import { SoftmaxObjective } from "./softmax_objective.ts";

/** Settings of `linearProbe`. */
export interface LinearProbeOptions {
  /** Inverse strengths of the penalty that are tried, as scikit-learn's C. Default: 1, 10, … 10⁴. */
  readonly inverseStrengths?: readonly number[];
  /** Without validation pictures. Default: 100. */
  readonly inverseStrength?: number;
  /** Ends when no element of the gradient of the mean loss is farther from zero. Default: 1e-4 / C, at most 1e-5. */
  readonly tolerance?: number;
  /** L-BFGS iterations for each strength. Default: 100. */
  readonly iterations?: number;
}

/** Multiply-adds of an evaluation up to which it is done in double precision: the line search then sees the true decrease. */
const DOUBLE_UP_TO = 3e8;

/**
 * Logits f · w_k + b_k that minimise mean cross-entropy + |W|² / (2 · C · N), the bias free: the linear probe of CLIP (Radford et al. 2021,
 * 3.2; scikit-learn's LogisticRegression with the same C). L-BFGS; C is chosen by validation, from the strongest penalty to the
 * weakest, each from where the last one ended, until two in a row are no better.
 */
export function linearProbe(
  { inverseStrengths = [1, 10, 100, 1e3, 1e4], inverseStrength = 100, tolerance, iterations = 100 }:
    LinearProbeOptions = {},
): Adapter {
  const name = "linear probe";
  return {
    name,
    settings: { inverseStrengths, inverseStrength, tolerance, iterations },
    learns: true,
    draws: false,
    async fit(input) {
      const { dimension, pictures } = checkInput(name, input);
      const { train, classes, validation, threads, signal, onProgress } = input;
      const split = classes * dimension;
      const dtype = pictures * split <= DOUBLE_UP_TO ? "float64" : "float32";
      await using objective = await SoftmaxObjective.open(train, classes, { threads, dtype });
      await using products = await Products.open(threads);
      const strengths = validation ? inverseStrengths.toSorted((a, b) => a - b) : [inverseStrength];
      let point: Float64Array = new Float64Array(split + classes);
      const found: { trial: Trial; point: Float64Array }[] = [];
      for (const [number, strength] of strengths.entries()) {
        const penalty = 1 / (strength * pictures);
        const minimum = await minimize(
          async (at) => {
            await pause(signal);
            const { loss, weights, bias } = await objective.evaluate(at.subarray(0, split), at.subarray(split));
            const gradient = new Float64Array(at.length);
            let square = 0;
            for (let i = 0; i < split; i++) {
              square += at[i]! ** 2;
              gradient[i] = weights[i]! + penalty * at[i]!;
            }
            gradient.set(bias, split);
            return { value: loss + penalty * square / 2, gradient };
          },
          point,
          {
            tolerance: tolerance ?? Math.min(1e-5, 1e-4 / classes),
            iterations,
            onIteration: (iteration, { value }) =>
              onProgress?.({
                label: name,
                done: number * iterations + iteration,
                total: strengths.length * iterations,
                unit: "iterations",
                note: `C ${strength}, loss ${value.toFixed(4)}`,
              }),
          },
        );
        point = minimum.point;
        const settings = { inverseStrength: strength };
        if (!validation) {
          found.push({ trial: { settings, top1: NaN, loss: NaN }, point });
          break;
        }
        const scores = await products.scores(validation.features, ...matrices(point, classes, dimension));
        found.push({ trial: { settings, ...judge(scores, validation.labels) }, point });
        const tried = found.map(({ trial }) => trial);
        if (tried.length - 1 - tried.indexOf(bestTrial(tried)) >= 2) break;
      }
      const tried = validation ? found.map(({ trial }) => trial) : [];
      const best = validation ? found.find(({ trial }) => trial === bestTrial(tried))! : found[0]!;
      const [weights, bias] = matrices(best.point, classes, dimension);
      return await linearAdapter({ adapter: name, weights, bias, chosen: best.trial.settings, tried, threads });
    },
  };
}

function matrices(point: Float64Array, classes: number, dimension: number) {
  const split = classes * dimension;
  return [singles([classes, dimension], point.subarray(0, split)), singles([classes], point.subarray(split))] as const;
}
