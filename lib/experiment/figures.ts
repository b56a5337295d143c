/** From what a model said of pictures to figures with their intervals. */

import {
  confidencesOf,
  evaluateDetections,
  fitTemperature,
  judgeClassification,
  logarithms,
  properScores,
  reliability,
  type Scores,
  softmaxOf,
} from "../evaluate/mod.ts";
import type { CardFigures } from "./card.ts";
import { type Way, wayOutput, WAYS } from "./graphs.ts";
import type { Judgement } from "./judge.ts";

/** Probabilities at a temperature. */
export function tempered(probabilities: Scores, temperature: number): Scores {
  return temperature === 1 ? probabilities : softmaxOf(logarithms(probabilities), { temperature });
}

/** How far confidences are from accuracies, and how good the probabilities are. */
export function calibrationOf(probabilities: Scores, labels: Int32Array): { ece: number; nll: number } {
  const { predicted } = judgeClassification(probabilities, labels);
  const { ece } = reliability(confidencesOf(probabilities), labels.map((label, i) => Number(label === predicted[i])));
  return { ece, nll: properScores(softmaxOf(logarithms(probabilities)), labels).nll };
}

/** The figures of a card. */
export function cardFigures(
  { labels, detected }: Judgement,
  probabilities: Scores,
  { classes }: { readonly classes: number },
): CardFigures {
  const { n, top1, top5 } = judgeClassification(probabilities, labels);
  const report = detected.length > 0 ? evaluateDetections(detected, { classes }) : undefined;
  return {
    n,
    top1: top1.share,
    top1_ci95: [...top1.ci95],
    top5: top5.share,
    top5_ci95: [...top5.ci95],
    ...(report?.mAP50 === undefined ? {} : { map50: report.mAP50 }),
    ...(report?.mAP50to95 === undefined ? {} : { map50_95: report.mAP50to95 }),
    ...calibrationOf(probabilities, labels),
  };
}

/** What the fit loop is told of a validation. */
export function validationFigures(
  judgement: Judgement,
  way: Way,
  { classes }: { readonly classes: number },
): Record<string, number> {
  const { labels, distributions, detected, losses } = judgement;
  const probabilities = distributions[wayOutput(way)]!;
  const { top1, top5 } = judgeClassification(probabilities, labels);
  const report = detected.length > 0 ? evaluateDetections(detected, { classes }) : undefined;
  const { loss = NaN, ...parts } = Object.fromEntries(
    Object.entries(losses).map(([name, value]) => [name.replace(/^loss\//, ""), value]),
  );
  return {
    top1: top1.share,
    top5: top5.share,
    ...(report ? { mAP50: report.mAP50 ?? NaN, mAP50_95: report.mAP50to95 ?? NaN } : {}),
    nll: calibrationOf(probabilities, labels).nll,
    loss,
    ...parts,
  };
}

/** One way from cells to a distribution, and how good it is on validation. */
export interface WayFigures {
  readonly way: Way;
  readonly top1: number;
  readonly top5: number;
  /** At its own best temperature, so that ways are compared by what they know. */
  readonly nll: number;
  readonly temperature: number;
}

/** All ways that were judged, the best first: by top-1, of equal ones by the likelihood. */
export function compareWays({ labels, distributions }: Judgement): WayFigures[] {
  return WAYS.flatMap((way): WayFigures[] => {
    const probabilities = distributions[wayOutput(way)];
    if (!probabilities) return [];
    const { top1, top5 } = judgeClassification(probabilities, labels);
    const { temperature, nll } = fitTemperature(logarithms(probabilities), labels);
    return [{ way, top1: top1.share, top5: top5.share, nll, temperature }];
  }).sort((a, b) => b.top1 - a.top1 || a.nll - b.nll);
}
