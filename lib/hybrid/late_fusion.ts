/** Late fusion: the answers of several models, weighed. A strong and cheap rival of anything that is trained together. */

import {
  fitTemperature,
  judgeClassification,
  logarithms,
  properScores,
  type Scores,
  softmaxOf,
} from "../evaluate/mod.ts";
import { InputError } from "../runtime/mod.ts";

/** A fusion that was fitted: what each model counts. */
export interface LateFusion {
  /** What the logarithms of each model's probabilities are multiplied by; 0 … 1, their sum 1. */
  readonly weights: readonly number[];
  /** Of each model, fitted alone; then of the sum. */
  readonly temperatures: readonly number[];
  readonly temperature: number;
  /** Top-1 on the pictures that it was fitted on, of the fusion and of each model. */
  readonly top1: number;
  readonly alone: readonly number[];
}

/** Steps between weights that are tried. */
const STEPS = 20;

/**
 * Weights for the calibrated answers of several models (probabilities [N, classes] of the same pictures), from validation: each is
 * brought to its own temperature (Guo et al. 2017), and of the geometric means p ∝ Π pₘ^wₘ (a product of experts, Hinton 2002; Genest
 * and Zidek 1986, the logarithmic opinion pool) that with the best top-1 is taken, of equal ones that with the smallest negative
 * log-likelihood. Weights move in steps of 1/20 between two models at a time, from the best model alone, until none is better: so the
 * fusion is on these pictures never worse than the best model. Throws InputError without models or for answers of other shapes.
 */
export function fitLateFusion(models: readonly Scores[], labels: ArrayLike<number>): LateFusion {
  const [first] = models;
  if (!first) throw new InputError("late fusion: expected at least one model, found none");
  const odd = models.find(({ values, classes }) => classes !== first.classes || values.length !== first.values.length);
  if (odd) {
    throw new InputError(
      `late fusion: expected ${
        first.values.length / first.classes
      } pictures x ${first.classes} classes of every model, ` +
        `found ${odd.values.length / odd.classes} x ${odd.classes}`,
    );
  }
  const logits = models.map((model) => logarithms(model));
  const temperatures = logits.map((each) => fitTemperature(each, labels).temperature);
  const calibrated = logits.map((each, m) => logarithms(softmaxOf(each, { temperature: temperatures[m]! })));
  const judge = (counts: readonly number[]) => {
    const scores = softmaxOf(weighed(calibrated, counts.map((count) => count / STEPS)));
    return { top1: judgeClassification(scores, labels).top1.share, nll: properScores(scores, labels).nll };
  };
  const isBetter = (a: { top1: number; nll: number }, b: { top1: number; nll: number }) =>
    a.top1 > b.top1 || a.top1 === b.top1 && a.nll < b.nll;
  const single = models.map((_, m) => models.map((_, other): number => other === m ? STEPS : 0));
  const alone = single.map(judge);
  const best = alone.reduce((top, each, m) => isBetter(each, alone[top]!) ? m : top, 0);
  let counts = single[best]!, value = alone[best]!;
  for (let improved = true; improved;) {
    improved = false;
    for (let from = 0; from < models.length; from++) {
      for (let to = 0; to < models.length; to++) {
        for (let moved = 1; from !== to && moved <= counts[from]!; moved++) {
          const tried = counts.map((count, m) => count + (m === to ? moved : m === from ? -moved : 0));
          const found = judge(tried);
          if (!isBetter(found, value)) continue;
          [counts, value, improved] = [tried, found, true];
          break; // from the new place
        }
      }
    }
  }
  const weights = counts.map((count) => count / STEPS);
  const { temperature } = fitTemperature(weighed(calibrated, weights), labels);
  return { weights, temperatures, temperature, top1: value.top1, alone: alone.map(({ top1 }) => top1) };
}

/** The fused probabilities of other pictures. Throws InputError for another number of models. */
export function fuseLate({ weights, temperatures, temperature }: LateFusion, models: readonly Scores[]): Scores {
  if (models.length !== weights.length) {
    throw new InputError(`late fusion: expected the answers of ${weights.length} models, found ${models.length}`);
  }
  const calibrated = models.map((model, m) =>
    logarithms(softmaxOf(logarithms(model), { temperature: temperatures[m]! }))
  );
  return softmaxOf(weighed(calibrated, weights), { temperature });
}

/** Σ wₘ · log pₘ. */
function weighed(logarithms: readonly Scores[], weights: readonly number[]): Scores {
  const { values, classes } = logarithms[0]!;
  const sum = new Float32Array(values.length);
  for (const [m, { values }] of logarithms.entries()) {
    const weight = weights[m]!;
    if (weight !== 0) { for (let i = 0; i < sum.length; i++) sum[i]! += weight * values[i]!; }
  }
  return { values: sum, classes };
}
