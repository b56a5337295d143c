/** From answers on corrupted pictures to accuracies with their intervals. */

import { type Share, shareOf } from "../classification.ts";
import { EvaluateError } from "../errors.ts";
import { type CorruptionName, CORRUPTIONS, type Severity } from "./corruptions.ts";

/** Whether each picture was named rightly; undefined where the corruption cannot be done to the picture. */
export type Answers = readonly (boolean | undefined)[];

/** Accuracy at one severity. */
export interface SeverityAccuracy extends Share {
  readonly severity: Severity;
  readonly strength: number;
}

/** Accuracy under one corruption. */
export interface CorruptionAccuracy {
  readonly corruption: CorruptionName;
  readonly about: string;
  /** Of the strengths. */
  readonly unit: string;
  /** Of the same pictures, clean: some corruptions can be done to cut-outs only. */
  readonly clean: Share;
  readonly severities: readonly SeverityAccuracy[];
  /** Mean accuracy over the severities. */
  readonly mean: number;
  /** mean / clean accuracy: 1 where the corruption changes nothing; undefined where no clean picture is right. */
  readonly relative?: number;
}

/** Accuracy under all corruptions. */
export interface CorruptionSummary {
  /** Of all pictures. */
  readonly clean: Share;
  readonly corruptions: readonly CorruptionAccuracy[];
  /**
   * Mean corruption accuracy: the mean of the corruptions' means, each weighing the same. ImageNet-C's mean corruption error is
   * 1 − this but for its division by AlexNet's errors, for which there is no counterpart here.
   */
  readonly mean: number;
  /** The mean of the corruptions' ratios to the clean accuracy of the same pictures; undefined where one is. */
  readonly relative?: number;
}

/**
 * Sums up. A corruption that could be done to no picture is left out. Throws EvaluateError without pictures, or where the answers
 * are not as many as the pictures.
 */
export function summariseCorruptions(
  clean: readonly boolean[],
  corrupted: readonly { readonly corruption: CorruptionName; readonly severity: Severity; readonly answers: Answers }[],
): CorruptionSummary {
  if (clean.length === 0) throw new EvaluateError("robustness: expected at least one picture, found none");
  const found: CorruptionAccuracy[] = [];
  for (const [corruption, runs] of Map.groupBy(corrupted, (each) => each.corruption)) {
    const { about, unit, strengths } = CORRUPTIONS[corruption];
    for (const { answers, severity } of runs) {
      if (answers.length === clean.length) continue;
      throw new EvaluateError(
        `${corruption} ${severity}: expected ${clean.length} answers, one a picture, found ${answers.length}`,
      );
    }
    const done = clean.filter((_, i) => runs[0]!.answers[i] !== undefined);
    if (done.length === 0) continue;
    const severities = runs.map(({ severity, answers }): SeverityAccuracy => ({
      ...{ severity, strength: strengths[severity - 1]! },
      ...accuracyOf(answers.filter((answer) => answer !== undefined)),
    })).sort((a, b) => a.severity - b.severity);
    const own = accuracyOf(done), mean = meanOf(severities.map(({ share }) => share));
    found.push({
      ...{ corruption, about, unit, clean: own, severities, mean },
      ...(own.correct > 0 ? { relative: mean / own.share } : {}),
    });
  }
  const ratios = found.map(({ relative }) => relative).filter((each) => each !== undefined);
  return {
    clean: accuracyOf(clean),
    corruptions: found,
    mean: found.length ? meanOf(found.map(({ mean }) => mean)) : accuracyOf(clean).share,
    ...(ratios.length === found.length && found.length > 0 ? { relative: meanOf(ratios) } : {}),
  };
}

function accuracyOf(answers: readonly boolean[]): Share {
  return shareOf(answers.filter((right) => right).length, answers.length);
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
