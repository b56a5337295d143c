/** A study of fusions: every variant trained, its settings chosen on validation, and judged on test beside the single models. */

import {
  confidencesOf,
  fitTemperature,
  judgeClassification,
  logarithms,
  reliability,
  type Scores,
  type Share,
  softmaxOf,
} from "../../evaluate/mod.ts";
import { fromFile } from "../../onnx/mod.ts";
import { InputError, type ProgressListener, type Tensor, WorkError } from "../../runtime/mod.ts";
import { aligned, type Answers } from "../answers.ts";
import type { FusionConfig } from "../fusion/config.ts";
import { expectSameKind, type HybridFeatures } from "../fusion/features.ts";
import { logitsOf, trainFusion, trainingHash } from "../fusion/train_fusion.ts";
import { fitLateFusion, fuseLate } from "../late_fusion.ts";
import { compareRight, type Comparison } from "../overlap.ts";
import { TrialLog } from "./trial_log.ts";
import {
  ablationOf,
  choicesOf,
  configOf,
  type HybridSetting,
  type HybridSettings,
  type HybridVariant,
} from "./variants.ts";

/** Settings of `studyHybrid`. */
export interface StudyHybridOptions {
  readonly features: Readonly<Record<"train" | "validation" | "test", HybridFeatures>>;
  /** One text embedding a class, [classes, D], in the order of the features' classes. */
  readonly prototypes?: Tensor<"float32">;
  /** What single models say of the pictures of validation and test; at least one. */
  readonly singles: readonly { readonly validation: Answers; readonly test: Answers }[];
  /** What the variants change. */
  readonly config: FusionConfig;
  /** Default: `ablationOf(config)`. */
  readonly variants?: readonly HybridVariant[];
  /** Tried in every variant. */
  readonly settings?: HybridSettings;
  /** Every choice is trained with each; the first one's answers are judged on test. Default: [1]. */
  readonly seeds?: readonly number[];
  /** Where what is done is kept: a study that was stopped goes on. */
  readonly folder: string;
  readonly threads?: number;
  readonly worker?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressListener;
}

/** Figures on the test pictures. */
export interface JudgedAnswers {
  readonly name: string;
  readonly top1: Share;
  readonly top5: Share;
  /** Expected calibration error, after the temperature from validation. */
  readonly ece: number;
  /** Top-1 on validation, a share. */
  readonly validation: number;
}

/** A classifier beside the best single model, on test. */
export interface ComparedAnswers extends JudgedAnswers {
  /** First is this row, second the best single model. */
  readonly against: Comparison;
  /** Learned numbers, without those of the networks that made the features. */
  readonly parameters: number;
}

/** A variant. */
export interface HybridRow extends ComparedAnswers {
  /** What validation chose. */
  readonly setting: HybridSetting;
  /** Divides the logits, from validation. */
  readonly temperature: number;
  /** Of the chosen setting, by seed: top-1 on validation and test. */
  readonly seeds: readonly { readonly seed: number; readonly validation: number; readonly test: number }[];
  /** The trained graph of the first seed, from features to logits. */
  readonly graph: string;
}

/** What a study found. */
export interface HybridStudy {
  /** Pictures of each split. */
  readonly pictures: Readonly<Record<"train" | "validation" | "test", number>>;
  readonly classes: number;
  readonly singles: readonly JudgedAnswers[];
  /** The single model that is best on validation: what the others are compared with. */
  readonly bestSingle: string;
  /** The single models' answers joined by `fitLateFusion`; undefined for one model. */
  readonly lateFusion?: ComparedAnswers;
  /** In the order of the variants. */
  readonly rows: readonly HybridRow[];
  /** The variant that is best on validation. */
  readonly best: string;
}

/**
 * Trains every variant with every choice of the settings and every seed, and keeps for each variant the choice with the best mean top-1
 * on validation (of equal ones the smaller mean negative log-likelihood). Test is looked at for these alone. Throws InputError for
 * features and answers that do not go together; WorkError where it was stopped, after which the same call goes on.
 */
export async function studyHybrid(options: StudyHybridOptions): Promise<HybridStudy> {
  const { features, config, seeds = [1], settings = {}, folder } = options, { train, validation, test } = features;
  const { variants = ablationOf(config, { scales: train.visual.length }) } = options;
  for (const other of [validation, test]) expectSameKind(train, other);
  if (seeds.length === 0 || options.singles.length === 0) {
    throw new InputError("study: expected seeds and answers of single models, found none");
  }
  const names = new Set(variants.map(({ name }) => name));
  if (names.size !== variants.length || names.size === 0) {
    throw new InputError(
      `study: expected variants of different names, found ${variants.length} of ${names.size} names`,
    );
  }
  const singles = judgeSingles(options);
  using log = await TrialLog.open(folder);
  const trials = variants.flatMap((variant) =>
    choicesOf(config, settings).flatMap((setting) =>
      seeds.map((seed) => ({ variant, setting, seed, config: configOf(config, variant, setting) }))
    )
  );
  const done: Trained[] = [];
  for (const [index, trial] of trials.entries()) {
    options.onProgress?.({
      label: "study fusions",
      done: index,
      total: trials.length,
      unit: "trainings",
      note: trial.variant.name,
    });
    done.push({ ...trial, ...await trained(options, trial, log, `${index} of ${trials.length}`) });
  }
  options.onProgress?.({ label: "study fusions", done: trials.length, total: trials.length, unit: "trainings" });
  const rows: HybridRow[] = [];
  for (const variant of variants) {
    rows.push(
      await judgeVariant(
        options,
        { name: variant.name, best: singles.best, log },
        done.filter((each) => each.variant === variant),
      ),
    );
  }
  const nll = (row: HybridRow) => mean(chosenOf(done, row).map(({ validation }) => validation.nll));
  const best = rows.reduce((top, row) =>
    row.validation > top.validation || row.validation === top.validation && nll(row) < nll(top) ? row : top
  );
  return {
    pictures: { train: train.labels.length, validation: validation.labels.length, test: test.labels.length },
    classes: train.dex.length,
    singles: singles.all.map(({ judged }) => judged),
    bestSingle: singles.best.judged.name,
    ...(singles.late ? { lateFusion: singles.late } : {}),
    ...{ rows, best: best.name },
  };
}

/** One training of a study. */
interface Trial {
  readonly variant: HybridVariant;
  readonly setting: HybridSetting;
  readonly seed: number;
  readonly config: FusionConfig;
}

/** One that is done. */
interface Trained extends Trial {
  readonly hash: string;
  readonly parameters: number;
  readonly validation: { readonly top1: number; readonly nll: number };
}

async function trained(
  { features: { train, validation }, prototypes, threads, worker, signal }: StudyHybridOptions,
  { config, seed }: Trial,
  log: TrialLog,
  place: string,
): Promise<Pick<Trained, "hash" | "parameters" | "validation">> {
  const stopped = () =>
    new WorkError(`study: expected all trainings, found a stop after ${place}; the same call goes on`);
  const hash = trainingHash({ config, train, validation, prototypes, seed });
  const known = await log.find(hash);
  if (known) return known;
  if (signal?.aborted) throw stopped();
  const { graph, parameters, validation: figures, fit } = await trainFusion({
    ...{ config, train, validation, prototypes, seed, threads, worker, signal },
  });
  if (fit.reason === "interrupted") throw stopped();
  const entry = { hash, parameters, validation: figures, seconds: fit.seconds };
  await log.append(entry, graph);
  return entry;
}

interface Single {
  readonly judged: JudgedAnswers;
  readonly right: readonly boolean[];
}

function judgeSingles(
  { singles, features: { validation, test } }: StudyHybridOptions,
): { readonly all: readonly Single[]; readonly best: Single; readonly late?: ComparedAnswers } {
  const answers = singles.map((single) => ({
    name: single.test.model,
    validation: aligned(single.validation, validation).probabilities,
    test: aligned(single.test, test).probabilities,
  }));
  const all = answers.map(({ name, validation: own, test: judged }): Single => {
    const { temperature } = fitTemperature(logarithms(own), validation.labels);
    return {
      judged: {
        ...judge(name, softmaxOf(logarithms(judged), { temperature }), test.labels),
        validation: judgeClassification(own, validation.labels).top1.share,
      },
      right: rightOf(judged, test.labels),
    };
  });
  const best = all.reduce((top, each) => each.judged.validation > top.judged.validation ? each : top);
  if (answers.length === 1) return { all, best };
  const fusion = fitLateFusion(answers.map((each) => each.validation), validation.labels);
  const fused = fuseLate(fusion, answers.map((each) => each.test));
  const late = {
    ...judge("late fusion", fused, test.labels),
    validation: fusion.top1,
    against: compareRight(rightOf(fused, test.labels), best.right),
    parameters: fusion.weights.length + fusion.temperatures.length + 1,
  };
  return { all, best, late };
}

async function judgeVariant(
  options: StudyHybridOptions,
  { name, best, log }: { readonly name: string; readonly best: Single; readonly log: TrialLog },
  trials: readonly Trained[],
): Promise<HybridRow> {
  const { features: { validation, test } } = options;
  const groups = Map.groupBy(trials, ({ setting }) => JSON.stringify(setting)).values();
  const figures = (group: readonly Trained[]) => ({
    top1: mean(group.map((each) => each.validation.top1)),
    nll: mean(group.map((each) => each.validation.nll)),
  });
  const chosen = [...groups].reduce((top, group) => {
    const [a, b] = [figures(group), figures(top)];
    return a.top1 > b.top1 || a.top1 === b.top1 && a.nll < b.nll ? group : top;
  });
  const seeds: { seed: number; validation: number; test: number }[] = [];
  let first: Omit<HybridRow, "seeds" | "validation"> | undefined;
  for (const { hash, seed, setting, parameters, validation: own } of chosen) {
    const graph = log.graphPath(hash), run = await logitsOf(await fromFile(graph), [validation, test], options);
    const [validating, testing] = run as [Scores, Scores];
    const { temperature } = fitTemperature(validating, validation.labels);
    const probabilities = softmaxOf(testing, { temperature });
    const judged = judge(name, probabilities, test.labels);
    seeds.push({ seed, validation: own.top1, test: judged.top1.share });
    const against = compareRight(rightOf(probabilities, test.labels), best.right);
    first ??= { ...judged, against, parameters, setting, temperature, graph };
  }
  return { ...first!, seeds, validation: figures(chosen).top1 };
}

function judge(name: string, probabilities: Scores, labels: Int32Array): Omit<JudgedAnswers, "validation"> {
  const { top1, top5 } = judgeClassification(probabilities, labels);
  const { ece } = reliability(confidencesOf(probabilities), rightOf(probabilities, labels));
  return { name, top1, top5, ece };
}

function rightOf(probabilities: Scores, labels: Int32Array): boolean[] {
  return Array.from(judgeClassification(probabilities, labels).ranks, (rank) => rank === 0);
}

function chosenOf(done: readonly Trained[], { name, setting }: HybridRow): Trained[] {
  const wanted = JSON.stringify(setting);
  return done.filter((each) => each.variant.name === name && JSON.stringify(each.setting) === wanted);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
