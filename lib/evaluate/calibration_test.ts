/** Tests of calibration.ts. Recorded figures are PyTorch's and SciPy's: tests/peers/record_calibration.py. */

import assert from "node:assert/strict";
import { confidencesOf, fitTemperature, logarithms, properScores, reliability, softmaxOf } from "./calibration.ts";
import { ranksOf, type Scores } from "./ranking.ts";

interface Recorded {
  readonly classes: number;
  readonly labels: readonly number[];
  readonly logits: readonly number[];
  readonly ece: number;
  readonly nll: number;
  readonly brier: number;
  readonly temperature: number;
  readonly nllAtTemperature: number;
}

const recorded: readonly Recorded[] = JSON.parse(
  await Deno.readTextFile(new URL("../../tests/fixtures/evaluate/calibration.json", import.meta.url)),
).calibration;

const logitsOf = ({ logits, classes }: Recorded): Scores => ({ values: Float32Array.from(logits), classes });
const near = (found: number, expected: number, tolerance: number, what: string) =>
  assert.ok(Math.abs(found - expected) < tolerance, `${what}: ${found} is not ${expected}`);

Deno.test("ECE, NLL and Brier score are PyTorch's to 1e-6", () => {
  for (const each of recorded) {
    const probabilities = softmaxOf(logitsOf(each));
    const right = Array.from(ranksOf(probabilities, each.labels), (rank) => rank === 0);
    near(reliability(confidencesOf(probabilities), right).ece, each.ece, 1e-6, "ece");
    const { nll, brier } = properScores(probabilities, each.labels);
    near(nll, each.nll, 1e-6 * each.nll, "nll");
    near(brier, each.brier, 1e-6, "brier");
  }
});

Deno.test("the fitted temperature and its likelihood are SciPy's minimum", () => {
  for (const each of recorded) {
    const found = fitTemperature(logitsOf(each), each.labels);
    near(found.temperature, each.temperature, 1e-5 * each.temperature, "temperature");
    near(found.nll, each.nllAtTemperature, 1e-7, "nll");
    near(found.nllBefore, each.nll, 1e-6 * each.nll, "nll before");
    assert.equal(found.atBound, false);
    const scaled = softmaxOf(logitsOf(each), { temperature: found.temperature });
    near(properScores(scaled, each.labels).nll, each.nllAtTemperature, 1e-6, "nll of scaled probabilities");
    // Logarithms of probabilities do as well as logits.
    const fromProbabilities = fitTemperature(logarithms(softmaxOf(logitsOf(each))), each.labels);
    near(fromProbabilities.temperature, each.temperature, 1e-4 * each.temperature, "temperature of probabilities");
  }
});

Deno.test("two classes, right in 3 of 4, get the temperature at which the confidence is 3/4", () => {
  // Logits ±2 give odds e^(4 / T) = 3, so that T = 4 / ln 3.
  const logits: Scores = { values: Float32Array.from([2, -2, 2, -2, 2, -2, 2, -2]), classes: 2 };
  const { temperature, nll } = fitTemperature(logits, [0, 0, 0, 1]);
  near(temperature, 4 / Math.log(3), 1e-9, "temperature");
  near(nll, -(0.75 * Math.log(0.75) + 0.25 * Math.log(0.25)), 1e-12, "nll");
});

Deno.test("a classifier that is never wrong, or no better than chance, gets the temperature at the bound and says so", () => {
  const logits: Scores = { values: Float32Array.from([1, 0, 0, 1]), classes: 2 };
  const perfect = fitTemperature(logits, [0, 1]), wrong = fitTemperature(logits, [1, 0], { range: [0.5, 8] });
  near(perfect.temperature, 0.01, 1e-12, "temperature");
  near(wrong.temperature, 8, 1e-12, "temperature");
  assert.deepEqual([perfect.atBound, wrong.atBound], [true, true]);
});

Deno.test("reliability() puts confidences into bins that include their upper ends", () => {
  const { ece, mce, bins } = reliability([0, 0.5, 0.51, 1], [0, 1, 0, 1], { bins: 2 });
  assert.deepEqual(bins, [
    { low: 0, high: 0.5, n: 2, accuracy: 0.5, confidence: 0.25 },
    { low: 0.5, high: 1, n: 2, accuracy: 0.5, confidence: 0.755 },
  ]);
  near(ece, (0.25 + 0.255) / 2, 1e-12, "ece");
  near(mce, 0.255, 1e-12, "mce");
  const [empty] = reliability([0.99], [true]).bins;
  assert.deepEqual(empty, { low: 0, high: 1 / 15, n: 0, accuracy: undefined, confidence: undefined });
});

Deno.test("uniform probabilities of C classes have NLL ln C and Brier score 1 − 1/C", () => {
  const classes = 8, uniform = softmaxOf({ values: new Float32Array(3 * classes).fill(5), classes });
  const { nll, brier } = properScores(uniform, [0, 3, 7]);
  near(nll, Math.log(classes), 1e-7, "nll");
  near(brier, 1 - 1 / classes, 1e-7, "brier");
});

Deno.test("what cannot be judged is refused", () => {
  assert.throws(() => reliability([], []), /found 0 and 0$/);
  assert.throws(() => reliability([1.5], [1]), /expected confidences in 0 … 1, found 1.5 of prediction 0$/);
  assert.throws(
    () => fitTemperature({ values: Float32Array.of(0, -Infinity), classes: 2 }, [0]),
    /expected finite logits/,
  );
  assert.throws(() => fitTemperature({ values: new Float32Array(0), classes: 2 }, []), /expected at least one picture/);
  assert.throws(() => properScores({ values: Float32Array.of(NaN, 1), classes: 2 }, [0]), /found NaN/);
});
