/** How well a classifier's own confidence tells that a picture shows none of its classes, by several confidences. */

import { judgeClassification, type Share } from "./classification.ts";
import { EvaluateError } from "./errors.ts";
import type { Labels, Scores } from "./ranking.ts";
import {
  acceptedAt,
  type Auroc,
  auroc,
  type Confidence,
  confidenceBy,
  type RiskCoverage,
  riskCoverage,
  rocCurve,
  thresholdAt,
} from "./rejection.ts";

/** The confidences that probabilities have. */
export const PROBABILITY_CONFIDENCES = ["probability", "margin", "entropy"] as const satisfies readonly Confidence[];

/** A threshold, and what it accepts. */
export interface RejectionThreshold {
  readonly value: number;
  readonly known: Share;
  readonly other: Share;
}

/** One confidence as a reject decision. */
export interface ConfidenceReport {
  readonly confidence: Confidence;
  /** Known pictures against all others. */
  readonly auroc: Auroc;
  /** Known pictures against the others of a kind. */
  readonly perKind: readonly { readonly kind: string; readonly n: number; readonly auroc: Auroc }[];
  /** At the threshold that accepts the wanted share of these known pictures: its `other` is the usual "FPR at 95 % TPR". */
  readonly own: RejectionThreshold;
  /** At the threshold chosen on validation, the honest one: it has not seen these pictures. */
  readonly chosen?: RejectionThreshold;
  readonly roc: { readonly fpr: readonly number[]; readonly tpr: readonly number[] };
  /** Of known pictures alone: accuracy against the share that is answered. */
  readonly riskCoverage: RiskCoverage;
}

/** What judges a reject decision; probabilities are [pictures, classes]. */
export interface RejectionInput {
  readonly known: Scores;
  readonly labels: Labels;
  readonly other: Scores;
  /** Of the other pictures. */
  readonly kinds: readonly string[];
  /** Known pictures that choose the threshold. */
  readonly validation?: Scores | undefined;
}

/**
 * Judges each confidence at the share `tpr` of known pictures accepted. Throws EvaluateError without pictures of a side, for NaN and
 * for other numbers of kinds than of pictures.
 */
export function judgeRejection(
  { known, labels, other, kinds, validation }: RejectionInput,
  { tpr = 0.95 }: { readonly tpr?: number } = {},
): ConfidenceReport[] {
  const { ranks } = judgeClassification(known, labels);
  const correct = Array.from(ranks, (rank) => rank === 0);
  return PROBABILITY_CONFIDENCES.map((confidence): ConfidenceReport => {
    const ours = confidenceBy(confidence, known), others = confidenceBy(confidence, other);
    if (kinds.length !== others.length) {
      throw new EvaluateError(`rejection: expected ${others.length} kinds, one a picture, found ${kinds.length}`);
    }
    const at = (value: number): RejectionThreshold => ({
      ...{ value, known: acceptedAt(ours, value), other: acceptedAt(others, value) },
    });
    const { fpr, tpr: accepted } = rocCurve(ours, others);
    return {
      confidence,
      auroc: auroc(ours, others),
      perKind: [...Map.groupBy(kinds.keys(), (i) => kinds[i]!)].map(([kind, members]) => ({
        ...{ kind, n: members.length },
        auroc: auroc(ours, members.map((i) => others[i]!)),
      })),
      own: at(thresholdAt(ours, tpr)),
      ...(validation ? { chosen: at(thresholdAt(confidenceBy(confidence, validation), tpr)) } : {}),
      roc: { fpr, tpr: accepted },
      riskCoverage: riskCoverage(ours, correct),
    };
  });
}
