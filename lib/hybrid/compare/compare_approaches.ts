/** All ways to classify on one split: chosen by validation, judged once on test, each with what it costs. */

import {
  confidencesOf,
  fitTemperature,
  judgeClassification,
  logarithms,
  reliability,
  type Share,
  shareOf,
  softmaxOf,
} from "../../evaluate/mod.ts";
import { InputError, type ProgressListener } from "../../runtime/mod.ts";
import { compareRight, type Comparison } from "../overlap.ts";
import { type Approach, type Family, figuresOf, isBetter, type Kind } from "./approach.ts";
import type { CorruptedPictures } from "./corrupted_pictures.ts";
import { type Cost, totalCost } from "./cost.ts";
import type { PictureView } from "./picture_view.ts";

/** What a way is worth. Shares in 0 … 1. */
export interface ComparedApproach {
  readonly name: string;
  readonly kind: Kind;
  readonly family: Family;
  /** On validation: top-1, and the mean negative log-likelihood (nats) at the temperature that fits. */
  readonly validation: { readonly top1: number; readonly nll: number };
  /** On test. */
  readonly top1: Share;
  readonly top5: Share;
  /** Expected calibration error, at the temperature that fits validation. */
  readonly ece: number;
  /** Of each test picture whether the first answer is right. */
  readonly right: readonly boolean[];
  /** The species of the first answer, by its place among the view's. */
  readonly predicted: readonly number[];
  /** Top-1 on the corrupted pictures, and on the same ones clean. */
  readonly corrupted?: { readonly n: number; readonly share: number; readonly clean: number };
  readonly cost: Cost;
  /** First is this way, second the best single model. */
  readonly against: Comparison;
  /** No other way is as accurate for less, or more accurate for as much (milliseconds). */
  readonly onFront: boolean;
}

/** The ways beside each other. */
export interface ApproachComparison {
  readonly rows: readonly ComparedApproach[];
  /** The way of pictures or language alone, and the hybrid, that are best on validation. */
  readonly bestSingle: string;
  readonly bestHybrid: string;
  readonly pictures: number;
  readonly species: number;
}

/** Settings of `compareApproaches`. */
export interface CompareApproachesOptions {
  readonly validation: PictureView;
  readonly test: PictureView;
  readonly corrupted?: { readonly pictures: CorruptedPictures; readonly view: PictureView };
  readonly onProgress?: ProgressListener;
}

/**
 * Judges ways to classify. What is chosen (a temperature for each, the best single model, the best hybrid) is chosen on validation. Throws
 * InputError without a single model, without a hybrid, and for two ways of one name.
 */
export async function compareApproaches(
  approaches: readonly Approach[],
  { validation, test, corrupted, onProgress }: CompareApproachesOptions,
): Promise<ApproachComparison> {
  const names = new Set(approaches.map(({ name }) => name));
  if (names.size !== approaches.length) {
    throw new InputError(`comparison: expected ways of different names, found ${approaches.length} of ${names.size}`);
  }
  const judged: Omit<ComparedApproach, "against" | "onFront">[] = [];
  for (const [done, each] of approaches.entries()) {
    onProgress?.({ label: "compare", done, total: approaches.length, unit: "approaches", note: each.name });
    judged.push(await judge(each, { validation, test, ...(corrupted ? { corrupted } : {}) }));
  }
  onProgress?.({ label: "compare", done: judged.length, total: judged.length, unit: "approaches" });
  const best = (what: string, families: readonly Family[]) => {
    const own = judged.filter(({ family }) => families.includes(family));
    if (own.length === 0) throw new InputError(`comparison: expected at least one ${what}, found none`);
    return own.reduce((top, row) => isBetter(row.validation, top.validation) ? row : top);
  };
  const single = best("single model", ["pictures", "language"]), hybrid = best("hybrid", ["hybrid"]);
  return {
    rows: judged.map((row) => ({
      ...row,
      against: compareRight(row.right, single.right),
      onFront: !judged.some((other) => dominates(other, row)),
    })),
    ...{ bestSingle: single.name, bestHybrid: hybrid.name },
    pictures: test.features.labels.length,
    species: test.features.dex.length,
  };
}

/** The row of a name. Throws InputError where there is none. */
export function rowOf({ rows }: Pick<ApproachComparison, "rows">, name: string): ComparedApproach {
  const row = rows.find((each) => each.name === name);
  if (row) return row;
  throw new InputError(`comparison: expected ${rows.map((each) => each.name).join(", ")}, found "${name}"`);
}

/** Places of the test pictures that a way gets right and no way of pictures or language alone does, in the pictures' order. */
export function onlyRight({ rows }: Pick<ApproachComparison, "rows">, name: string): number[] {
  const singles = rows.filter(({ family }) => family === "pictures" || family === "language");
  const own = rowOf({ rows }, name);
  return own.right.flatMap((right, i) => right && singles.every((single) => !single.right[i]) ? [i] : []);
}

async function judge(
  { name, kind, family, costs, scores }: Approach,
  { validation, test, corrupted }: Omit<CompareApproachesOptions, "onProgress">,
): Promise<Omit<ComparedApproach, "against" | "onFront">> {
  const chosen = await scores(validation),
    { temperature } = fitTemperature(logarithms(chosen), validation.features.labels);
  const probabilities = softmaxOf(logarithms(await scores(test)), { temperature });
  const { top1, top5, ranks, predicted } = judgeClassification(probabilities, test.features.labels);
  const right = Array.from(ranks, (rank) => rank === 0);
  return {
    ...{ name, kind, family, top1, top5, right, predicted: Array.from(predicted), cost: totalCost(costs) },
    validation: figuresOf(chosen, validation.features.labels),
    ece: reliability(confidencesOf(probabilities), right).ece,
    ...(corrupted ? { corrupted: await robustnessOf(scores, corrupted, { test, right }) } : {}),
  };
}

async function robustnessOf(
  scores: Approach["scores"],
  { pictures: { sample }, view }: NonNullable<CompareApproachesOptions["corrupted"]>,
  { test, right }: { readonly test: PictureView; readonly right: readonly boolean[] },
): Promise<NonNullable<ComparedApproach["corrupted"]>> {
  const { top1: { n, share } } = judgeClassification(await scores(view), view.features.labels);
  const wanted = new Set(sample), clean = right.filter((_, i) => wanted.has(test.features.pictures[i]!));
  return { n, share, clean: shareOf(clean.filter(Boolean).length, clean.length).share };
}

/** Whether a is as good as b in both and better in one. */
function dominates(
  a: Pick<ComparedApproach, "top1" | "cost">,
  b: Pick<ComparedApproach, "top1" | "cost">,
): boolean {
  const accuracy = a.top1.share - b.top1.share, saved = b.cost.latency - a.cost.latency;
  return accuracy >= 0 && saved >= 0 && (accuracy > 0 || saved > 0);
}
