/** What a sweep found: its variants in order, and of an ablation what each part is worth. */

import { bootstrapInterval, mcNemar, newcombeInterval, newcombePairedInterval } from "../../evaluate/mod.ts";
import type { YamlValue } from "../../runtime/mod.ts";
import type { CardFigures } from "../card.ts";
import type { TrialEntry } from "./log.ts";
import { BASE, type SweepConfig } from "./settings.ts";
import type { Trial } from "./trials.ts";

/** Settings that were tried, and what they reached on validation. */
export interface VariantResult {
  /** From 1, in the order of the plan. */
  readonly variant: number;
  readonly label: string;
  readonly parameters: Readonly<Record<string, YamlValue>>;
  /** Failed: with every seed. */
  readonly status: "done" | "failed";
  /** Of the largest budget that it reached. */
  readonly epochs: number;
  /** Trainings that are in the figures; one a seed. */
  readonly trainings: number;
  /** The monitored figure: mean over the trainings, and its lowest and highest. */
  readonly value?: number;
  readonly lowest?: number;
  readonly highest?: number;
  /** Pictures. */
  readonly n?: number;
  /** Mean over the trainings. */
  readonly top1?: number;
  /**
   * 95 %: of one training by Wilson; of several the bootstrap over pictures of their mean, which says nothing of other seeds;
   * absent where they were not judged on the same pictures.
   */
  readonly "top1_ci95"?: readonly [number, number];
  /** Ids of the runs. */
  readonly runs: readonly string[];
  /** Of failed trainings. */
  readonly causes: readonly string[];
}

/** What a switch does to top-1 on validation. */
export interface AblationDifference {
  readonly label: string;
  /** Top-1 with the switch less that of the base: what goes missing is negative. */
  readonly difference: number;
  /** Newcombe's, of pairs where both saw the same pictures; of several seeds the bootstrap over pictures. */
  readonly ci95: readonly [number, number];
  /** McNemar's exact test; of one seed and the same pictures. */
  readonly p?: number;
  /** Whether picture by picture. */
  readonly paired: boolean;
  /** Seeds with which both were trained. */
  readonly trainings: number;
}

/** What `results.json` holds. */
export interface SweepResult {
  readonly name: string;
  readonly method: SweepConfig["method"];
  readonly monitor: SweepConfig["monitor"];
  readonly profile: string;
  /** "interrupted": the same command goes on. */
  readonly state: "finished" | "interrupted";
  readonly folder: string;
  /** The best first; a larger budget before a smaller one, the failed last. */
  readonly variants: readonly VariantResult[];
  /** Of an ablation, in the order of the switches. */
  readonly differences?: readonly AblationDifference[];
}

/** The monitored figure of a card; undefined for a model without boxes. */
export function monitored(figures: CardFigures, monitor: SweepConfig["monitor"]): number | undefined {
  const { top1, top5, map50, map50_95: map, nll } = figures;
  return { top1, top5, mAP50: map50, mAP50_95: map, nll }[monitor];
}

/** Compares entries: the better first, those without the figure last, equal ones in the order of the plan. */
export function byMonitor(monitor: SweepConfig["monitor"]): (a: TrialEntry, b: TrialEntry) => number {
  const cost = (entry: TrialEntry) => costOf(entry.validation && monitored(entry.validation, monitor), monitor);
  return (a, b) => compare(cost(a), cost(b)) || a.trial - b.trial;
}

/** The variants that have a result, the best first. */
export function variantResults(
  trials: readonly Trial[],
  entries: readonly TrialEntry[],
  monitor: SweepConfig["monitor"],
): VariantResult[] {
  const byTrial = Map.groupBy(entries, ({ trial }) => trial);
  const results = [...Map.groupBy(trials, ({ variant }) => variant).values()].flatMap((group) => {
    // what a trial reached in the last round that it finished; a failure only where there is no such
    const last = group.flatMap(({ number }) => {
      const own = (byTrial.get(number) ?? []).toSorted((a, b) => a.rung - b.rung);
      return own.findLast(({ status }) => status === "done") ?? own.at(-1) ?? [];
    });
    const causes = group.flatMap(({ number }) => (byTrial.get(number) ?? []).flatMap(({ cause }) => cause ?? []));
    return last.length === 0 ? [] : [variantResult(group[0]!, last, causes, monitor)];
  });
  return results.sort((a, b) =>
    b.epochs * Number(b.status === "done") - a.epochs * Number(a.status === "done") ||
    compare(costOf(a.value, monitor), costOf(b.value, monitor)) || a.variant - b.variant
  );
}

/** Each switch's difference to the base; those that failed are left out. */
export function ablationDifferences(trials: readonly Trial[], entries: readonly TrialEntry[]): AblationDifference[] {
  const done = new Map(entries.filter(({ status }) => status === "done").map((entry) => [entry.trial, entry]));
  const found = (variant: readonly Trial[]) =>
    new Map(variant.flatMap(({ number, seed }) => done.has(number) ? [[seed, done.get(number)!] as const] : []));
  const variants = Map.groupBy(trials, ({ label }) => label);
  const base = found(variants.get(BASE) ?? []);
  return [...variants].filter(([label]) => label !== BASE).flatMap(([label, variant]) => {
    const pairs = [...found(variant)].flatMap(([seed, entry]) => {
      const other = base.get(seed);
      return other ? [[entry, other] as const] : [];
    });
    return pairs.length === 0 ? [] : [{ label, ...difference(pairs), trainings: pairs.length }];
  });
}

function difference(
  pairs: readonly (readonly [TrialEntry, TrialEntry])[],
): Omit<AblationDifference, "label" | "trainings"> {
  const share = mean(pairs.map(([a, b]) => a.validation!.top1 - b.validation!.top1));
  const all = pairs.flat();
  if (!comparable(all)) {
    const pooled = (side: 0 | 1) =>
      pairs.map((pair) => pair[side].validation!).map(({ n, top1 }) => ({ n, correct: Math.round(n * top1) }))
        .reduce((sum, { n, correct }) => ({ n: sum.n + n, correct: sum.correct + correct }));
    return { difference: share, ci95: newcombeInterval(pooled(0), pooled(1)), paired: false };
  }
  if (pairs.length > 1) {
    const first = meanAnswers(pairs.map(([a]) => a)), second = meanAnswers(pairs.map(([, b]) => b));
    const each = first.map((value, i) => value - second[i]!);
    return { difference: share, ci95: bootstrapMean(each), paired: true };
  }
  const [first, second] = pairs[0]!.map(({ answers }) => [...answers!].map((answer) => answer === "1")) as [
    boolean[],
    boolean[],
  ];
  const { onlyFirst, onlySecond, p } = mcNemar(first, second);
  const both = first.filter((right, i) => right && second[i]).length;
  const neither = first.length - both - onlyFirst - onlySecond;
  return {
    difference: share,
    ci95: newcombePairedInterval({ both, onlyFirst, onlySecond, neither }),
    ...{ p, paired: true },
  };
}

function variantResult(
  { variant, label, parameters }: Trial,
  last: readonly TrialEntry[],
  causes: readonly string[],
  monitor: SweepConfig["monitor"],
): VariantResult {
  const done = last.filter(({ status }) => status === "done");
  const figures = done.map(({ validation }) => validation!);
  const values = figures.flatMap((each) => monitored(each, monitor) ?? []);
  const interval = done.length === 1
    ? figures[0]!.top1_ci95
    : done.length > 1 && comparable(done)
    ? bootstrapMean(meanAnswers(done))
    : undefined;
  return {
    ...{ variant, label, parameters },
    status: done.length > 0 ? "done" : "failed",
    epochs: Math.max(...(done.length > 0 ? done : last).map(({ epochs }) => epochs)),
    trainings: done.length,
    ...(values.length === 0 ? {} : { value: mean(values), lowest: Math.min(...values), highest: Math.max(...values) }),
    ...(figures.length === 0 ? {} : { n: figures[0]!.n, top1: mean(figures.map(({ top1 }) => top1)) }),
    ...(interval === undefined ? {} : { top1_ci95: interval }),
    runs: done.flatMap(({ run }) => run ?? []),
    causes,
  };
}

/** Whether all were judged on the same pictures, in the same order. */
function comparable(entries: readonly TrialEntry[]): boolean {
  const [first] = entries;
  return entries.every(({ answers, pictures }) =>
    answers !== undefined && answers.length === first!.answers?.length && pictures === first!.pictures
  );
}

/** Of each picture, the share of trainings that get it right. */
function meanAnswers(entries: readonly TrialEntry[]): number[] {
  const [first] = entries;
  return Array.from(first!.answers!, (_, i) => mean(entries.map(({ answers }) => Number(answers![i]))));
}

function bootstrapMean(values: readonly number[]): [number, number] {
  return bootstrapInterval(values.length, (drawn) => {
    let sum = 0;
    for (const picture of drawn) sum += values[picture]!;
    return sum / drawn.length;
  }, { seed: "sweep" });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** What is to be small. */
function costOf(value: number | undefined, monitor: SweepConfig["monitor"]): number {
  if (value === undefined || Number.isNaN(value)) return Infinity;
  return monitor === "nll" ? value : -value;
}

function compare(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
