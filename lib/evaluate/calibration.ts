/** Whether a classifier's probabilities mean what they say: reliability, proper scores, temperature scaling. */

import { EvaluateError } from "./errors.ts";
import { checkScores, type Labels, type Scores } from "./ranking.ts";

/** The predictions whose confidence lies in (low, high]. */
export interface ReliabilityBin {
  readonly low: number;
  readonly high: number;
  readonly n: number;
  /** Share that is right; undefined in an empty bin. */
  readonly accuracy: number | undefined;
  /** Mean confidence; undefined in an empty bin. */
  readonly confidence: number | undefined;
}

/** How far confidences are from accuracies. */
export interface Reliability {
  /** Expected calibration error: mean of |accuracy − confidence| of the bins, weighted by their predictions. */
  readonly ece: number;
  /** Maximum calibration error: the largest of these gaps. */
  readonly mce: number;
  /** For a reliability plot. */
  readonly bins: readonly ReliabilityBin[];
}

/**
 * Reliability in bins of equal width (Guo et al. 2017, "On calibration of modern neural networks", section 2): 15 bins
 * (low, high]; a confidence of 0 falls into the first. Throws EvaluateError without predictions, for other numbers of answers
 * than of confidences, and for a confidence outside 0 … 1.
 */
export function reliability(
  confidences: ArrayLike<number>,
  correct: ArrayLike<boolean | number>,
  { bins = 15 }: { readonly bins?: number } = {},
): Reliability {
  const n = confidences.length;
  if (n === 0 || correct.length !== n) {
    throw new EvaluateError(`reliability: expected as many answers as confidences, found ${correct.length} and ${n}`);
  }
  const counts = new Float64Array(bins), right = new Float64Array(bins), sums = new Float64Array(bins);
  for (let i = 0; i < n; i++) {
    const confidence = confidences[i]!;
    // single precision may put a sum of probabilities a little above 1
    if (!(confidence >= 0 && confidence <= 1 + 1e-6)) {
      throw new EvaluateError(`reliability: expected confidences in 0 … 1, found ${confidence} of prediction ${i}`);
    }
    const bin = Math.min(bins - 1, Math.max(0, Math.ceil(confidence * bins) - 1));
    counts[bin]!++;
    sums[bin]! += confidence;
    if (correct[i]) right[bin]!++;
  }
  const rows = Array.from(counts, (count, b): ReliabilityBin => ({
    low: b / bins,
    high: (b + 1) / bins,
    n: count,
    accuracy: count === 0 ? undefined : right[b]! / count,
    confidence: count === 0 ? undefined : sums[b]! / count,
  }));
  const gaps = rows.map(({ accuracy = 0, confidence = 0 }) => Math.abs(accuracy - confidence));
  return { ece: rows.reduce((sum, row, b) => sum + row.n * gaps[b]!, 0) / n, mce: Math.max(...gaps), bins: rows };
}

/** The probabilities of logits (or of logarithms of probabilities) at a temperature: softmax(values / temperature). */
export function softmaxOf(logits: Scores, { temperature = 1 }: { readonly temperature?: number } = {}): Scores {
  checkScores(logits);
  const { values, classes } = logits;
  const result = new Float32Array(values.length);
  for (let from = 0; from < values.length; from += classes) {
    const largest = maximum(values, from, classes);
    let sum = 0;
    for (let c = from; c < from + classes; c++) sum += Math.exp((values[c]! - largest) / temperature);
    for (let c = from; c < from + classes; c++) result[c] = Math.exp((values[c]! - largest) / temperature) / sum;
  }
  return { values: result, classes };
}

/**
 * The logarithms of probabilities, which temperature scaling takes as logits. None is below `floor`, by default single
 * precision's smallest normal number, so that a 0 stays finite.
 */
export function logarithms(
  { values, classes }: Scores,
  { floor = 2 ** -126 }: { readonly floor?: number } = {},
): Scores {
  return { values: values.map((p) => Math.log(Math.max(p, floor))), classes };
}

/** The largest probability of each picture. */
export function confidencesOf({ values, classes }: Scores): Float32Array {
  return Float32Array.from({ length: values.length / classes }, (_, i) => maximum(values, i * classes, classes));
}

/** How good probabilities are, by rules that only the true probabilities minimise. */
export interface ProperScores {
  /** Mean of −log p(right class), in nats. */
  readonly nll: number;
  /** Mean over pictures of Σ over classes of (p − 1[right class])² (Brier 1950), in 0 … 2. */
  readonly brier: number;
}

/** Negative log-likelihood and Brier score of probabilities. `nll` is Infinity where a right class has probability 0. */
export function properScores(probabilities: Scores, labels: Labels): ProperScores {
  const n = checkScores(probabilities, labels), { values, classes } = probabilities;
  if (n === 0) throw new EvaluateError("properScores: expected at least one picture, found none");
  let nll = 0, brier = 0;
  for (let i = 0; i < n; i++) {
    for (let c = 0; c < classes; c++) {
      const p = values[i * classes + c]!;
      if (c === labels[i]) nll -= Math.log(p);
      brier += (c === labels[i] ? 1 - p : p) ** 2;
    }
  }
  return { nll: nll / n, brier: brier / n };
}

/** A fitted temperature. */
export interface Temperature {
  /** Above 1: the classifier was too sure. */
  readonly temperature: number;
  /** Negative log-likelihood at temperature 1 and at the fitted one. */
  readonly nllBefore: number;
  readonly nll: number;
  /** True where the best temperature lies outside `range`: then the nearer end is given. */
  readonly atBound: boolean;
}

/**
 * The temperature that minimises the negative log-likelihood of softmax(logits / temperature) on validation pictures (Guo et
 * al. 2017, section 4.2). The likelihood is convex in 1 / temperature: Newton's method there, with bisection where a step
 * would leave the bracket. It never changes which class is predicted. Throws EvaluateError without pictures, for labels out
 * of range and for logits that are not finite.
 */
export function fitTemperature(
  logits: Scores,
  labels: Labels,
  { range = [0.01, 100] }: { readonly range?: readonly [lowest: number, highest: number] } = {},
): Temperature {
  const n = checkScores(logits, labels);
  if (n === 0) throw new EvaluateError("fitTemperature: expected at least one picture, found none");
  if (!logits.values.every(Number.isFinite)) {
    throw new EvaluateError("fitTemperature: expected finite logits, found an infinite one; see logarithms()");
  }
  let low = 1 / range[1], high = 1 / range[0], beta = Math.min(high, Math.max(low, 1));
  const at = (inverse: number) => likelihood(logits, labels, inverse);
  const nllBefore = at(1).nll;
  const ends = [low, high].map((inverse) => ({ inverse, ...at(inverse) }));
  for (const [i, { inverse, slope, nll }] of ends.entries()) {
    // rising already at the low end, or still falling at the high one
    if (i === 0 ? slope >= 0 : slope <= 0) return { temperature: 1 / inverse, nllBefore, nll, atBound: true };
  }
  let here = at(beta);
  for (let step = 0; step < 100 && high - low > 1e-12 * high; step++) {
    if (here.slope === 0) break;
    if (here.slope > 0) high = beta;
    else low = beta;
    const newton = beta - here.slope / here.curvature;
    const next = newton > low && newton < high ? newton : (low + high) / 2;
    const moved = Math.abs(next - beta);
    beta = next;
    here = at(beta);
    if (moved < 1e-12 * beta) break;
  }
  return { temperature: 1 / beta, nllBefore, nll: here.nll, atBound: false };
}

/** Mean negative log-likelihood of softmax(inverse · logits), and its first two derivatives by `inverse`. */
function likelihood({ values, classes }: Scores, labels: Labels, inverse: number) {
  const n = labels.length;
  let nll = 0, slope = 0, curvature = 0;
  for (let i = 0; i < n; i++) {
    const from = i * classes, largest = maximum(values, from, classes), own = values[from + labels[i]!]! - largest;
    let sum = 0, first = 0, second = 0;
    for (let c = from; c < from + classes; c++) {
      const z = values[c]! - largest, weight = Math.exp(inverse * z);
      sum += weight;
      first += weight * z;
      second += weight * z * z;
    }
    const mean = first / sum;
    nll += Math.log(sum) - inverse * own;
    slope += mean - own;
    curvature += second / sum - mean * mean;
  }
  return { nll: nll / n, slope: slope / n, curvature: curvature / n };
}

function maximum(values: Float32Array, from: number, count: number): number {
  let largest = -Infinity;
  for (let at = from; at < from + count; at++) if (values[at]! > largest) largest = values[at]!;
  return largest;
}
