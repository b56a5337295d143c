/** From a report of `evaluateModel` to what a model's card tells of it. */

import type { CardDetails, CardFigures, ModelCard } from "./card.ts";
import { readPackage, writeCard } from "./card.ts";
import type { ModelReport, PartAccuracy } from "./evaluate_model.ts";
import type { RobustnessReport } from "./robustness.ts";

/** Of so few pictures of a kind nothing is said. */
const FEW = 20;
/** Pairs of species on a card. */
const PAIRS = 10;

/**
 * Writes the figures of a report, its details and the known failures that follow from them into the card of a package. Returns the
 * new card.
 */
export async function writeDetails(
  folder: string,
  report: ModelReport,
  { split, command, robustness }: Pick<CardDetails, "split" | "command"> & {
    readonly robustness?: RobustnessReport | undefined;
  },
): Promise<ModelCard> {
  const { card } = await readPackage(folder);
  const details: CardDetails = {
    ...detailsOf(report, { split, command }),
    ...(robustness ? { robustness: robustnessOf(robustness) } : {}),
  };
  const written: ModelCard = {
    ...card,
    metrics: { ...card.metrics, [split]: figuresOf(report) },
    details,
    knownFailures: knownFailures(report),
  };
  await writeCard(folder, written);
  return written;
}

/** What a card tells of a report of `measureRobustness`. */
function robustnessOf({ n, clean, mean, corruptions, rejection }: RobustnessReport): CardDetails["robustness"] {
  const best = rejection?.confidences.toSorted((a, b) => b.auroc - a.auroc)[0];
  return {
    ...{ n, clean: clean.top1, mean },
    corruptions: corruptions.map(({ corruption, mean }) => ({ corruption, mean })),
    ...(rejection && best
      ? {
        rejection: {
          ...{ confidence: best.confidence, others: rejection.others, auroc: best.auroc },
          auroc_ci95: [...best.auroc_ci95],
        },
      }
      : {}),
  };
}

/** The figures of a report as a card has them. */
function figuresOf({ n, top1, top5, map50, ece, nll, ...report }: ModelReport): CardFigures {
  const { top1_ci95, top5_ci95, map50_95 } = report;
  return {
    ...{ n, top1, top1_ci95: [...top1_ci95], top5, top5_ci95: [...top5_ci95], ece, nll },
    ...(map50 === undefined ? {} : { map50 }),
    ...(map50_95 === undefined ? {} : { map50_95 }),
  };
}

/** The details of a report. */
export function detailsOf(
  { untempered, perGeneration, perSource, mostConfused, ...report }: ModelReport,
  { split, command }: Pick<CardDetails, "split" | "command">,
): CardDetails {
  const plain = <T extends PartAccuracy>({ top1_ci95: [low, high], ...rest }: T) => ({
    ...rest,
    top1_ci95: [low, high] as [number, number],
  });
  return {
    split,
    command,
    ...(report.top1_ci95_groups ? { top1_ci95_groups: [...report.top1_ci95_groups] } : {}),
    untempered,
    ...(report.latency_ms ? { latency_ms: report.latency_ms } : {}),
    perGeneration: perGeneration.map(plain),
    perSource: perSource.map(plain),
    mostConfused: mostConfused.slice(0, PAIRS).map(({ truth, predicted, count }) => ({ truth, predicted, count })),
  };
}

/** Sentences that follow from a report: the kinds of pictures that are clearly harder than all together, and the usual mistakes. */
export function knownFailures({ top1, perSource, mostConfused }: ModelReport): string[] {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const hard = perSource.filter(({ n, top1_ci95: [, high] }) => n >= FEW && high < top1)
    .sort((a, b) => a.top1 - b.top1);
  return [
    ...hard.map(({ source, n, top1: own, top1_ci95: [low, high] }) =>
      `Pictures of the kind "${source}": top-1 ${percent(own)} [${percent(low)}, ${percent(high)}] of ${n}, against ` +
      `${percent(top1)} of all.`
    ),
    ...mostConfused.slice(0, 5).map(({ truth, predicted, count }) =>
      `${truth.name} is taken for ${predicted.name} (${count} ${count === 1 ? "time" : "times"}).`
    ),
    "A picture of anything else is named as some species too: the model knows no answer beside them.",
  ];
}
