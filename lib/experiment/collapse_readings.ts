/** Which reading of a collapse fits what was published of it, as far as published figures can tell. */

import type { CollapseCase, CollapseStudy, CollapseTrace } from "./collapse_study.ts";

/** What was published of the epoch after the fall. */
export interface PublishedFall {
  readonly species: number;
  readonly mAP50AfterCollapse: number;
  readonly mAP50to95AfterCollapse: number;
}

/** A reading and how near it comes to the published figures. */
export interface Reading {
  readonly name: CollapseCase;
  /** The first epoch's loss after the fall, in losses of the first epoch of all, and of the last healthy one. */
  readonly lossToFirst: number;
  readonly lossToLast: number;
  /** Whether the learning rate rises anew. */
  readonly warmsUp: boolean;
  /** In the first epoch after the fall: accuracy in units of chance, and the overlap of the surest boxes. */
  readonly top1ToChance: number;
  readonly boxOverlap: number;
  /** mAP50-95 / mAP50 in each epoch after the fall in which any class was found: how well the boxes fit of what is still found. */
  readonly boxRatios: readonly number[];
  /** The least |log(ratio / published ratio)| over these epochs; infinite where there is none. */
  readonly distance: number;
}

/** The share of what is found at 0.5 that still counts over all overlaps: 1 where boxes are perfect, 0.1 where they only just fit. */
export function boxRatio({ mAP50, mAP50to95 }: { readonly mAP50: number; readonly mAP50to95: number }): number {
  return mAP50to95 / mAP50;
}

/**
 * The readings, the one whose boxes are nearest to the published ratio first. The ratio is all that both have: a miniature has fewer
 * classes, so its mAP50 by chance is another, and the published run told no loss.
 */
export function weighReadings(
  { healthy, cases, classes }: CollapseStudy,
  published: PublishedFall,
): { readonly ratio: number; readonly toChance: number; readonly readings: readonly Reading[] } {
  const ratio = boxRatio({ mAP50: published.mAP50AfterCollapse, mAP50to95: published.mAP50to95AfterCollapse });
  const readings = cases.filter(({ name }) => name === "overridden rate" || name === "lost weights")
    .map((trace) => readingOf(trace, healthy, { classes, ratio }))
    .sort((a, b) => a.distance - b.distance);
  return { ratio, toChance: published.mAP50AfterCollapse * published.species, readings };
}

function readingOf(
  { name, epochs, steps }: CollapseTrace,
  healthy: CollapseTrace,
  { classes, ratio }: { classes: number; ratio: number },
): Reading {
  const [first] = epochs, rates = steps.slice(0, Math.ceil(steps.length / epochs.length));
  const boxRatios = epochs.filter(({ mAP50 }) => mAP50 > 0).map(boxRatio);
  return {
    name: name as CollapseCase,
    lossToFirst: first!.loss / healthy.epochs[0]!.loss,
    lossToLast: first!.loss / healthy.epochs.at(-1)!.loss,
    warmsUp: rates.at(-1)!.learningRate > 2 * rates[0]!.learningRate,
    top1ToChance: first!.top1 * classes,
    boxOverlap: first!.boxOverlap,
    boxRatios,
    distance: Math.min(
      Infinity,
      ...boxRatios.filter((each) => each > 0).map((each) => Math.abs(Math.log(each / ratio))),
    ),
  };
}
