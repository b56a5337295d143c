/** `deno task evaluate --model … --robustness`: corrupted pictures, silhouettes and pictures of other things. */

import {
  measureRobustness,
  type OpenedModel,
  type RobustnessReport,
  type SquareSource,
} from "../../lib/experiment/mod.ts";
import { openOtherPictures } from "../../lib/data/mod.ts";
import { plainTable, progress } from "../../lib/notebook/mod.ts";
import { describeError, WorkError } from "../../lib/runtime/mod.ts";

/** Settings of `robustnessOf`. */
export interface RobustnessFlags {
  /** At most so many pictures. */
  readonly limit: number;
  readonly batch: number;
  /** Sources of pictures of other things, see `openOtherPictures`. */
  readonly others: readonly string[];
  readonly validation?: SquareSource | undefined;
}

/** Measures a model. Where the emoji's package cannot be fetched, that is said and the rest is measured. */
export async function robustnessOf(
  model: OpenedModel,
  source: SquareSource,
  flags: RobustnessFlags,
): Promise<RobustnessReport> {
  const { size, view } = model.card.input, others: string[] = [];
  for (const name of flags.others) {
    try {
      await openOtherPictures(name, { count: 1, size, view });
      others.push(name);
    } catch (error) {
      if (!(error instanceof WorkError)) throw error;
      console.error(`${name} is left out: ${describeError(error)}`);
    }
  }
  return await measureRobustness(model, source, { ...flags, others, onProgress: progress("robustness") });
}

/** The report for people. */
export function robustnessText(report: RobustnessReport): string {
  const { n, clean, corruptions, mean, relative, silhouettes, rejection } = report;
  const severities = [...new Set(corruptions.flatMap((each) => each.severities.map(({ severity }) => severity)))];
  const lines = [
    `robustness of ${n} pictures: top-1 ${accuracy(clean.top1, clean.top1_ci95)} as they are, on average ${
      percent(mean)
    } % ` +
    `corrupted` + (relative === undefined ? "" : `, ${percent(relative)} % of the clean accuracy`),
    plainTable(corruptions.map((each) => ({
      "top-1 %": each.corruption,
      clean: percent(each.clean.top1),
      ...Object.fromEntries(severities.map((severity) => {
        const found = each.severities.find((one) => one.severity === severity);
        return [
          `severity ${severity}`,
          found ? `${percent(found.top1)} [${found.top1_ci95.map(percent).join(", ")}]` : "",
        ];
      })),
      mean: percent(each.mean),
      "of clean": each.relative === undefined ? "" : percent(each.relative),
    }))),
  ];
  if (silhouettes) {
    lines.push(
      `silhouettes of ${silhouettes.n} cut-outs: top-1 ${
        accuracy(silhouettes.top1, silhouettes.top1_ci95)
      }, the same pictures as ` +
        `they are ${percent(silhouettes.clean.top1)} %`,
    );
  }
  if (rejection) {
    const { accept, known, others, validation, confidences } = rejection;
    lines.push(
      `telling ${known} known pictures from ${others} of other things` +
        (validation === undefined ? "" : `; thresholds chosen on ${validation} of validation`),
      plainTable(confidences.map(({ confidence, auroc, auroc_ci95, own, chosen, aurc }) => ({
        "by": confidence,
        "area under ROC": `${auroc.toFixed(3)} [${auroc_ci95.map((end) => end.toFixed(3)).join(", ")}]`,
        [`others accepted at ${percent(accept)} % known, %`]: percent(own.other.share),
        ...(chosen
          ? {
            "at validation's threshold: known %": percent(chosen.known.share),
            "others %": percent(chosen.other.share),
          }
          : {}),
        "risk-coverage area": aurc.toFixed(3),
      }))),
      plainTable(confidences[0]!.perKind.map(({ kind, n }, i) => ({
        "area under ROC against": kind,
        pictures: n,
        ...Object.fromEntries(confidences.map(({ confidence, perKind }) => [confidence, perKind[i]!.auroc.toFixed(3)])),
      }))),
    );
  }
  return lines.join("\n");
}

function accuracy(share: number, interval: readonly number[]): string {
  return `${percent(share)} % [${interval.map(percent).join(", ")}]`;
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}
