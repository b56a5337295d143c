/** Whether confidences mean what they say, as a picture. */

import {
  confidencesOf,
  judgeClassification,
  type Labels,
  type Reliability,
  reliability,
  type Scores,
} from "../evaluate/mod.ts";
import { Figure } from "./figure.ts";

/** The reliability of a classifier's top predictions, in bins of equal width. */
export function reliabilityOf(
  probabilities: Scores,
  labels: Labels,
  { bins = 10 }: { bins?: number } = {},
): Reliability {
  const { ranks } = judgeClassification(probabilities, labels);
  return reliability(confidencesOf(probabilities), Array.from(ranks, (rank) => rank === 0), { bins });
}

/** Accuracy against confidence, one line for each of the named reliabilities, beside the line on which both are equal. */
export function reliabilityFigure(
  named: Readonly<Record<string, Reliability>>,
  { title, caption }: { readonly title: string; readonly caption: string },
): Figure {
  return Figure.line({
    title,
    caption,
    x: { title: "confidence", unit: "%", range: [0, 100] },
    y: { title: "share that is right", unit: "%", range: [0, 100] },
    series: [
      ...Object.entries(named).map(([name, { bins }]) => {
        const filled = bins.filter(({ n }) => n > 0);
        return {
          name,
          x: filled.map(({ confidence }) => 100 * confidence!),
          y: filled.map(({ accuracy }) => 100 * accuracy!),
        };
      }),
      { name: "as sure as right", x: [0, 100], y: [0, 100] },
    ],
  });
}
