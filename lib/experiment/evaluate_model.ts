/** A model judged on pictures: the document of `deno task evaluate --model`. */

import {
  accuracyBy,
  accuracyPerClass,
  bootstrapInterval,
  confidencesOf,
  confusion,
  evaluateDetections,
  judgeClassification,
  measureLatency,
  mostConfused,
  type Share,
} from "../evaluate/mod.ts";
import { type ProgressListener, WorkError } from "../runtime/mod.ts";
import { judgedBatch, OUTPUTS } from "./graphs.ts";
import { judge, type JudgedBatch, type Judgement } from "./judge.ts";
import { calibrationOf, tempered } from "./figures.ts";
import type { OpenedModel } from "./open_model.ts";
import type { PictureFacts, PictureSet } from "./picture_sets.ts";

/** Settings of `evaluateModel`. */
export interface EvaluateModelOptions {
  /** Pictures in a batch, fewer where the model has very many scores. Default: 16. */
  readonly batch?: number;
  /** Measure the time of one picture, which takes a few seconds. Default: true. */
  readonly latency?: boolean;
  /** Pairs of species that are listed as confused. Default: 20. */
  readonly confused?: number;
  readonly onProgress?: ProgressListener;
  readonly signal?: AbortSignal;
}

/** A species' name and number. */
export interface NamedSpecies {
  readonly dex: number;
  readonly name: string;
}

/** Accuracy of a part of the pictures. */
export interface PartAccuracy {
  readonly n: number;
  readonly correct: number;
  readonly top1: number;
  readonly "top1_ci95": readonly [number, number];
}

/** How good a model is; shares in 0 … 1, intervals by Wilson, 95 %. */
export interface ModelReport {
  /** The card's name. */
  readonly model: string;
  readonly pictures: string;
  readonly n: number;
  readonly top1: number;
  readonly "top1_ci95": readonly [number, number];
  readonly top5: number;
  readonly "top5_ci95": readonly [number, number];
  /** By bootstrap over whole near-duplicate groups, where they are known: pictures of one drawing tell less than as many drawings. */
  readonly "top1_ci95_groups"?: readonly [number, number];
  /** As COCO counts them; absent for a model without boxes. */
  readonly map50?: number;
  readonly "map50_95"?: number;
  /** Expected calibration error and negative log-likelihood at the card's temperature, and without it. */
  readonly ece: number;
  readonly nll: number;
  readonly temperature: number;
  readonly untempered: { readonly ece: number; readonly nll: number };
  /** Of one picture in the model alone. */
  readonly "latency_ms"?: { readonly p50: number; readonly p95: number; readonly threads: number };
  readonly perClass: readonly (NamedSpecies & PartAccuracy & { readonly ap50?: number })[];
  readonly perGeneration: readonly ({ readonly generation: number } & PartAccuracy)[];
  /** By the kind of picture that the path tells. */
  readonly perSource: readonly ({ readonly source: string } & PartAccuracy)[];
  /** Most frequent mistakes first; `examples` are ids or files, the surest mistakes first. */
  readonly mostConfused: readonly {
    readonly truth: NamedSpecies;
    readonly predicted: NamedSpecies;
    readonly count: number;
    readonly share: number;
    readonly examples: readonly string[];
  }[];
  /** Pictures of species that the model does not know, and files that are no pictures. */
  readonly leftOut: number;
  readonly skipped: readonly { readonly path: string; readonly cause: string }[];
}

/** What a model said of pictures, for closer looks: reliability plots, wrong pictures. */
export interface ModelJudgement extends Judgement {
  readonly facts: readonly PictureFacts[];
  readonly leftOut: number;
  readonly skipped: ModelReport["skipped"];
}

/** Runs a model over pictures. */
export async function judgeModel(
  model: OpenedModel,
  pictures: PictureSet,
  { batch = 16, onProgress, signal }: Pick<EvaluateModelOptions, "batch" | "onProgress" | "signal"> = {},
): Promise<ModelJudgement> {
  const { card, classes, session } = model;
  using opened = await pictures.open({
    card,
    dex: classes.map(({ dex }) => dex),
    batch: judgedBatch(
      { heads: card.decode.heads, size: card.input.size, classes: classes.length },
      batch,
      card.decode.views,
    ),
  });
  const facts: PictureFacts[] = [];
  const batches = async function* (): AsyncGenerator<JudgedBatch> {
    for await (const each of opened.batches()) {
      facts.push(...each.facts);
      yield each;
    }
  };
  const judgement = await judge(session, batches(), {
    ...{ classes: classes.length, size: card.input.size, suppression: card.decode.suppression },
    ...{ total: opened.total, onProgress, signal },
  });
  if (facts.length === 0) throw new WorkError(`${pictures.name}: expected pictures, found none that can be read`);
  return { ...judgement, facts, leftOut: opened.leftOut, skipped: opened.skipped };
}

/**
 * Judges a model. Pictures of species that it does not know are left out and counted. Throws InputError where no picture is
 * left, WorkError where none can be read.
 */
export async function evaluateModel(
  model: OpenedModel,
  pictures: PictureSet,
  options: EvaluateModelOptions = {},
): Promise<ModelReport> {
  const judgement = await judgeModel(model, pictures, options);
  const latency = options.latency === false ? undefined : await latencyOf(model);
  return reportOf(model, pictures.name, judgement, { ...options, latency });
}

/** The report of what a model said. */
export function reportOf(
  { card, classes }: Pick<OpenedModel, "card" | "classes">,
  name: string,
  judgement: ModelJudgement,
  { latency, confused = 20 }: Pick<EvaluateModelOptions, "confused"> & { latency?: ModelReport["latency_ms"] } = {},
): ModelReport {
  const { labels, facts, detected, leftOut, skipped } = judgement;
  const raw = judgement.distributions[OUTPUTS.probabilities]!;
  const probabilities = tempered(raw, card.temperature);
  const judged = judgeClassification(probabilities, labels);
  const report = detected.length > 0 ? evaluateDetections(detected, { classes: classes.length }) : undefined;
  const ap50 = new Map(report?.perClass.map((each) => [each.classId, each.ap50]));
  const groups = facts.every(({ group }) => group !== undefined) ? facts.map(({ group }) => group) : undefined;
  const named = (label: number): NamedSpecies => ({ dex: classes[label]!.dex, name: classes[label]!.name });
  const by = <Key>(keyOf: (facts: PictureFacts) => Key) => [...accuracyBy(judged, (i) => keyOf(facts[i]!))];
  const { top1, top5 } = judged;
  return {
    model: card.name,
    pictures: name,
    n: judged.n,
    top1: top1.share,
    top1_ci95: top1.ci95,
    top5: top5.share,
    top5_ci95: top5.ci95,
    ...(groups
      ? {
        top1_ci95_groups: bootstrapInterval(
          judged.n,
          (drawn) => drawn.reduce((sum, i) => sum + (judged.ranks[i] === 0 ? 1 : 0), 0) / drawn.length,
          { seed: "evaluate", groups },
        ),
      }
      : {}),
    ...(report?.mAP50 === undefined ? {} : { map50: report.mAP50 }),
    ...(report?.mAP50to95 === undefined ? {} : { map50_95: report.mAP50to95 }),
    ...calibrationOf(probabilities, labels),
    temperature: card.temperature,
    untempered: calibrationOf(raw, labels),
    ...(latency ? { latency_ms: latency } : {}),
    perClass: accuracyPerClass(judged).map(({ classId, ...share }) => {
      const ap = ap50.get(classId);
      return { ...named(classId), ...part(share), ...(ap === undefined ? {} : { ap50: ap }) };
    }),
    perGeneration: by(({ generation }) => generation).sort(([a], [b]) => a - b)
      .map(([generation, share]) => ({ generation, ...part(share) })),
    perSource: by(({ style }) => style).sort(([, a], [, b]) => b.n - a.n)
      .map(([source, share]) => ({ source, ...part(share) })),
    mostConfused: mostConfused(confusion(judged), { limit: confused, confidences: confidencesOf(probabilities) })
      .map(({ truth, predicted, count, share, pictures }) => ({
        ...{ truth: named(truth), predicted: named(predicted), count, share },
        examples: pictures.map((i) => facts[i]!.id),
      })),
    leftOut,
    skipped,
  };
}

async function latencyOf({ path, session }: OpenedModel): Promise<ModelReport["latency_ms"]> {
  const [one] = await measureLatency(path, { batches: [1], device: session.device, runs: 50, seconds: 5 });
  return one && { p50: one.p50, p95: one.p95, threads: one.threads };
}

/** A share as reports write it. */
export function part({ n, correct, share, ci95 }: Share): PartAccuracy {
  return { n, correct, top1: share, top1_ci95: ci95 };
}
