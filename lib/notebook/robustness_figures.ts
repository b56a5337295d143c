/** What `measureRobustness` found, as pictures. */

import type { RobustnessReport } from "../experiment/mod.ts";
import { Figure } from "./figure.ts";

/** What a figure says beside its lines. */
export interface RobustnessFigureOptions {
  readonly title?: string;
  /** One sentence that says what to read; by default the extremes are named. */
  readonly caption?: string;
}

/** Top-1 accuracy of each corruption at each severity as a heat map, the clean pictures beside it. */
export function robustnessFigure(
  { corruptions, clean, n, mean }: Pick<RobustnessReport, "corruptions" | "clean" | "n" | "mean">,
  { title = "Accuracy on corrupted pictures", caption }: RobustnessFigureOptions = {},
): Figure {
  const severities = [...new Set(corruptions.flatMap((each) => each.severities.map(({ severity }) => severity)))]
    .sort();
  const sorted = corruptions.toSorted((a, b) => a.mean - b.mean), worst = sorted[0], best = sorted.at(-1);
  const extremes = worst && best
    ? `, most by ${worst.corruption} (to ${percent(worst.mean)} %), least by ${best.corruption} (to ${
      percent(best.mean)
    } %)`
    : "";
  return Figure.heatmap({
    title,
    caption: caption ??
      `Of ${n} pictures ${percent(clean.top1)} % are named rightly as they are, ${
        percent(mean)
      } % on average corrupted${extremes}.`,
    x: { title: "severity" },
    y: { title: "corruption" },
    columns: ["clean", ...severities.map(String)],
    rows: corruptions.map(({ corruption }) => corruption),
    values: corruptions.map(({ clean, severities: found }) => [
      100 * clean.top1,
      ...severities.map((severity) => 100 * (found.find((each) => each.severity === severity)?.top1 ?? NaN)),
    ]),
    color: { title: "top-1 accuracy", unit: "%", range: [0, 100] },
  });
}

/** How well the confidences tell known pictures from others: receiver operating characteristics beside the line of chance. */
export function rocFigure(
  { confidences, known, others }: NonNullable<RobustnessReport["rejection"]>,
  { title = "Telling Pokémon from other things", caption }: RobustnessFigureOptions = {},
): Figure {
  const best = confidences.toSorted((a, b) => b.auroc - a.auroc)[0]!;
  return Figure.line({
    title,
    caption: caption ??
      `By its ${best.confidence} the model tells ${known} known pictures from ${others} others best: the area under the curve is ` +
        `${best.auroc.toFixed(3)} [${best.auroc_ci95.map((end) => end.toFixed(3)).join(", ")}], where chance has 0.5.`,
    x: { title: "other pictures accepted", unit: "%", range: [0, 100] },
    y: { title: "known pictures accepted", unit: "%", range: [0, 100] },
    series: [
      ...confidences.map(({ confidence, roc }) => ({
        name: confidence,
        x: roc.fpr.map((share) => 100 * share),
        y: roc.tpr.map((share) => 100 * share),
      })),
      { name: "chance", x: [0, 100], y: [0, 100] },
    ],
  });
}

/** Accuracy of known pictures against the share that is answered, the surest first. */
export function coverageFigure(
  { confidences, known }: Pick<NonNullable<RobustnessReport["rejection"]>, "confidences" | "known">,
  { title = "Accuracy of the surest answers", caption }: RobustnessFigureOptions = {},
): Figure {
  const { confidence, coverage: { accuracy } } = confidences.toSorted((a, b) => a.aurc - b.aurc)[0]!;
  const half = accuracy[Math.ceil(accuracy.length / 2) - 1]!;
  return Figure.line({
    title,
    caption: caption ??
      `Of all ${known} pictures ${
          percent(accuracy.at(-1)!)
        } % are named rightly, of the half that is surest by ${confidence} ` +
        `${percent(half)} %.`,
    x: { title: "pictures answered", unit: "%", range: [0, 100] },
    y: { title: "of these named rightly", unit: "%", range: [0, 100] },
    series: confidences.map(({ confidence, coverage }) => ({
      name: confidence,
      x: coverage.coverage.map((share) => 100 * share),
      y: coverage.accuracy.map((share) => 100 * share),
    })),
  });
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}
