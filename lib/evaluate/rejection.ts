/**
 * Saying "none of them": how well scores tell pictures of known classes from pictures of other things, the threshold of such a
 * decision, and what a classifier gains by leaving its unsure pictures out. A higher score stands for a known picture.
 */

import { type Share, shareOf } from "./classification.ts";
import { EvaluateError } from "./errors.ts";
import { checkScores, type Scores } from "./ranking.ts";

/** How sure a classifier is of a picture, the higher the surer. */
export const CONFIDENCES = ["probability", "margin", "entropy", "energy"] as const;
export type Confidence = typeof CONFIDENCES[number];

/**
 * The confidence of each picture.
 * - `probability`: the largest one (Hendrycks and Gimpel 2017, "A baseline for detecting misclassified and out-of-distribution
 *   examples"), of probabilities.
 * - `margin`: the largest less the second largest, of probabilities.
 * - `entropy`: minus the entropy in nats, of probabilities.
 * - `energy`: T · log Σ exp(logit / T) (Liu et al. 2020, "Energy-based out-of-distribution detection", equation 4, negated), of
 *   logits. Probabilities have lost it: of their logarithms it is 0 for every picture at T = 1.
 *
 * Throws EvaluateError for NaN, and for a margin of a single class.
 */
export function confidenceBy(
  kind: Confidence,
  scores: Scores,
  { temperature = 1 }: { readonly temperature?: number } = {},
): Float64Array {
  const n = checkScores(scores), { values, classes } = scores;
  if (kind === "margin" && classes < 2) throw new EvaluateError("margin: expected two classes or more, found 1");
  return Float64Array.from({ length: n }, (_, i) => {
    const row = values.subarray(i * classes, (i + 1) * classes);
    let first = -Infinity, second = -Infinity;
    for (const value of row) {
      if (value > first) [first, second] = [value, first];
      else if (value > second) second = value;
    }
    if (kind === "probability") return first;
    if (kind === "margin") return first - second;
    if (kind === "entropy") return row.reduce((sum, p) => p > 0 ? sum + p * Math.log(p) : sum, 0);
    return first + temperature * Math.log(row.reduce((sum, v) => sum + Math.exp((v - first) / temperature), 0));
  });
}

/** Thresholds from the highest down, each with the shares of pictures that score as high or higher. */
export interface RocCurve {
  /** The first is Infinity: nothing is accepted. */
  readonly thresholds: readonly number[];
  /** Known pictures that are accepted. */
  readonly tpr: readonly number[];
  /** Other pictures that are accepted. */
  readonly fpr: readonly number[];
}

/** The receiver operating characteristic, a point a distinct score. Throws EvaluateError without pictures of a side, for NaN. */
export function rocCurve(known: ArrayLike<number>, other: ArrayLike<number>): RocCurve {
  const a = descending(known, "known"), b = descending(other, "other");
  const thresholds = [Infinity], tpr = [0], fpr = [0];
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    const threshold = Math.max(a[i] ?? -Infinity, b[j] ?? -Infinity);
    while (i < a.length && a[i]! >= threshold) i++;
    while (j < b.length && b[j]! >= threshold) j++;
    thresholds.push(threshold);
    tpr.push(i / a.length);
    fpr.push(j / b.length);
  }
  return { thresholds, tpr, fpr };
}

/** The area under the receiver operating characteristic, with how sure it is. */
export interface Auroc {
  /** The chance that a known picture scores higher than another one, ties counting half. */
  readonly value: number;
  /** DeLong's standard error. */
  readonly standardError: number;
  /** Newcombe's 95 % score interval, which also holds near 0 and 1. */
  readonly ci95: readonly [low: number, high: number];
}

/**
 * The area under the curve by the Mann–Whitney statistic. Its standard error is that of DeLong et al. 1988 ("Comparing the areas
 * under two or more correlated receiver operating characteristic curves"), from the sample variances of each picture's share of
 * won comparisons; undefined (NaN) with a single picture of a side. Throws EvaluateError as `rocCurve`.
 */
export function auroc(known: ArrayLike<number>, other: ArrayLike<number>): Auroc {
  const a = descending(known, "known").reverse(), b = descending(other, "other").reverse();
  const won = shareBelow(a, b), lost = shareBelow(b, a).map((share) => 1 - share);
  const value = mean(won);
  return {
    value,
    standardError: Math.sqrt(variance(won) / a.length + variance(lost) / b.length),
    ci95: aurocInterval(value, a.length, b.length),
  };
}

/** The normal distribution's 97.5 % point: two-sided 95 %. */
const z95 = 1.959963984540054;

/**
 * The variance of an area A between m and n pictures by Hanley and McNeil 1982 ("The meaning and use of the area under a receiver
 * operating characteristic (ROC) curve", with Q₁ = A / (2 − A), Q₂ = 2A² / (1 + A)).
 */
export function hanleyMcNeilVariance(area: number, m: number, n: number): number {
  const q1 = area / (2 - area), q2 = 2 * area ** 2 / (1 + area);
  return (area * (1 - area) + (m - 1) * (q1 - area ** 2) + (n - 1) * (q2 - area ** 2)) / (m * n);
}

/**
 * The areas that lie within z standard errors of the one found, as Wilson's interval does for a share: the standard error is taken
 * at each area itself, Hanley and McNeil's with both samples of the mean size (Newcombe 2006, "Confidence intervals for an effect
 * size measure based on the Mann–Whitney statistic", part 2, method 5). Solved by bisection.
 */
export function aurocInterval(area: number, m: number, n: number, z = z95): [low: number, high: number] {
  const each = (m + n) / 2;
  const far = (at: number) =>
    Math.abs(at - area) > z * Math.sqrt(Math.max(0, hanleyMcNeilVariance(at, each, each)) * each ** 2 / (m * n));
  const end = (outside: number) => {
    if (area === outside) return outside;
    let [inner, outer] = [area, outside];
    for (let step = 0; step < 60; step++) {
      const middle = (inner + outer) / 2;
      if (far(middle)) outer = middle;
      else inner = middle;
    }
    return inner;
  };
  return [end(0), end(1)];
}

/**
 * The highest threshold that accepts at least a share `tpr` of these pictures: chosen on known pictures of validation, it is used
 * on test as it is. Throws EvaluateError without pictures, for NaN, and unless 0 < tpr ≤ 1.
 */
export function thresholdAt(known: ArrayLike<number>, tpr: number): number {
  if (!(tpr > 0 && tpr <= 1)) throw new EvaluateError(`threshold: expected a share in 0 … 1, found ${tpr}`);
  const sorted = descending(known, "known");
  // 0.95 of 20 is 19, though the product is a hair above it
  return sorted[Math.max(0, Math.ceil(tpr * sorted.length - 1e-9) - 1)]!;
}

/** The share of pictures that a threshold accepts: those that score as high or higher. */
export function acceptedAt(scores: ArrayLike<number>, threshold: number): Share {
  let accepted = 0;
  for (let i = 0; i < scores.length; i++) if (scores[i]! >= threshold) accepted++;
  return shareOf(accepted, scores.length);
}

/** What a classifier gains by answering only where it is sure (El-Yaniv and Wiener 2010). */
export interface RiskCoverage {
  /** Share of pictures that are answered, rising: one point a picture. */
  readonly coverage: readonly number[];
  /** Share of the answers that is right. */
  readonly accuracy: readonly number[];
  /**
   * Area under the risk–coverage curve: the mean of 1 − accuracy over the points (Geifman et al. 2019, "Bias-reduced uncertainty
   * estimation for deep neural classifiers").
   */
  readonly aurc: number;
  /** What it exceeds the best order by, in which all wrong answers come last. */
  readonly excessAurc: number;
}

/**
 * Accuracy against coverage, the surest pictures first. Of equal scores every order is as likely: their wrong answers are spread
 * evenly. Throws EvaluateError without pictures, for NaN, and for other numbers of answers than of scores.
 */
export function riskCoverage(scores: ArrayLike<number>, correct: ArrayLike<boolean | number>): RiskCoverage {
  const n = scores.length;
  if (correct.length !== n) {
    throw new EvaluateError(`risk: expected ${n} answers, one a score, found ${correct.length}`);
  }
  descending(scores, "scored");
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => scores[j]! - scores[i]!);
  const coverage: number[] = [], accuracy: number[] = [];
  let wrong = 0;
  for (let from = 0; from < n;) {
    let to = from, more = 0;
    for (; to < n && scores[order[to]!] === scores[order[from]!]; to++) if (!correct[order[to]!]) more++;
    for (let k = from + 1; k <= to; k++) {
      coverage.push(k / n);
      accuracy.push(1 - (wrong + more * (k - from) / (to - from)) / k);
    }
    wrong += more;
    from = to;
  }
  const aurc = 1 - mean(accuracy);
  const best = mean(Array.from({ length: n }, (_, i) => Math.max(0, i + 1 - (n - wrong)) / (i + 1)));
  return { coverage, accuracy, aurc, excessAurc: aurc - best };
}

/** The scores from the highest down. */
function descending(scores: ArrayLike<number>, side: string): Float64Array {
  if (scores.length === 0) throw new EvaluateError(`rejection: expected ${side} pictures, found none`);
  const sorted = Float64Array.from(scores);
  const at = sorted.findIndex(Number.isNaN);
  if (at >= 0) throw new EvaluateError(`rejection: expected numbers, found NaN for ${side} picture ${at}`);
  return sorted.sort().reverse();
}

/** For each value the share of the others that lie below it, equal ones counting half; both rise. */
function shareBelow(values: Float64Array, others: Float64Array): Float64Array {
  let below = 0, upTo = 0;
  return values.map((value) => {
    while (below < others.length && others[below]! < value) below++;
    while (upTo < others.length && others[upTo]! <= value) upTo++;
    return (below + upTo) / 2 / others.length;
  });
}

function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
}

/** The sample variance, with n − 1. */
function variance(values: Float64Array): number {
  const middle = mean(values);
  return values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1);
}
