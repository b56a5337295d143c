/** Phase 1: fusion and heads learn on cached features; the networks that made these are not even there. */

import { join } from "node:path";
import { judgeClassification, properScores, type Scores, softmaxOf } from "../../evaluate/mod.ts";
import { monitorOf, optimizerOf, planOf, scheduleOf } from "../../experiment/mod.ts";
import { type Graph, toModel } from "../../onnx/mod.ts";
import {
  exists,
  InputError,
  openSession,
  type ProgressListener,
  Random,
  type Tensor,
  tensor,
} from "../../runtime/mod.ts";
import { speciesByDex } from "../../species/mod.ts";
import { configHash } from "../../track/mod.ts";
import {
  type Batch,
  bestCheckpointPath,
  compileStep,
  findResume,
  fit,
  type FitLog,
  type FitResult,
  hasCheckpoints,
  readCheckpoint,
  type Step,
  type StepState,
} from "../../train/mod.ts";
import { featureName } from "../backbone.ts";
import { FUSION_VALUES, fusionGraph } from "./classifier.ts";
import type { FusionConfig } from "./config.ts";
import { expectSameKind, featuresHash, type HybridFeatures, tensorHash } from "./features.ts";
import { fusionLoss, TARGETS } from "./loss.ts";
import { momentsOf } from "./standardise.ts";

/** Settings of `trainFusion`. */
export interface TrainFusionOptions {
  readonly config: FusionConfig;
  readonly train: HybridFeatures;
  readonly validation: HybridFeatures;
  /** One text embedding a class, [classes, D], in the order of the features' classes. */
  readonly prototypes?: Tensor<"float32"> | undefined;
  /** Weights, order of pictures and dropout follow from it. */
  readonly seed: number;
  /**
   * Where checkpoints lie, each training in a folder of its own, named by the hash of all that decides it: one that was stopped goes on.
   * Default: none are written.
   */
  readonly folder?: string | undefined;
  /** CPU threads. Default: one a physical core. */
  readonly threads?: number | undefined;
  /** Train in a worker. Default: true. */
  readonly worker?: boolean | undefined;
  readonly log?: FitLog | undefined;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly warn?: ((message: string) => void) | undefined;
}

/** A trained fusion. */
export interface TrainedFusion {
  /** From features to logits, with the weights that were best on validation. */
  readonly graph: Graph;
  /** Learned numbers. */
  readonly parameters: number;
  readonly fit: FitResult;
  /** On validation, of these weights. */
  readonly validation: FusionFigures;
  /** SHA-256 of settings, seed and features. */
  readonly hash: string;
}

/** How good a fusion is on some pictures. */
export interface FusionFigures {
  readonly top1: number;
  readonly top5: number;
  /** Mean negative log-likelihood, nats. */
  readonly nll: number;
}

/** Pictures evaluated at a time. */
const EVALUATED = 1024;

/**
 * Trains a fusion on cached features, as `config.frozen` says, and gives the weights that were best on validation. The same settings,
 * features and seed give the same weights on one machine, whatever stops and resumes lie between. Throws InputError for features that
 * do not go together, TrainError and WorkError as `fit`.
 */
export async function trainFusion(options: TrainFusionOptions): Promise<TrainedFusion> {
  const { config, train, validation, prototypes, seed, folder, threads, worker = true, warn = () => {} } = options;
  const { optimizer, schedule, training } = config.frozen;
  expectSameKind(train, validation);
  const classes = train.dex.map(speciesByDex), n = train.labels.length;
  const graph = fusionGraph({
    ...{ config, prototypes, seed, classes: classes.length },
    moments: { visual: train.visual.map(momentsOf), embedding: momentsOf(train.embedding) },
  });
  const inputs = graph.inputs.map(({ name }) => name);
  await using step = await compileStep({
    model: graph,
    loss: fusionLoss(config, classes),
    optimizer: optimizerOf(optimizer),
    ...{ seed, worker },
    ...(threads === undefined ? {} : { threads }),
    ...(training.averageDecay === undefined ? {} : { averageDecay: training.averageDecay }),
  });
  const hash = trainingHash(options), runId = hash.slice(0, 16);
  const own = folder === undefined ? undefined : join(folder, runId);
  const resume = own !== undefined && await hasCheckpoints([own])
    ? await findResume({ folder: own, runId, tensors: step.tensors, warn })
    : undefined;
  const size = Math.min(training.batch, n), stepsPerEpoch = Math.floor(n / size);
  const steps = Math.min(training.epochs * stepsPerEpoch, training.steps ?? Infinity);
  const weights = step.averaged ? "average" : "current";
  const judge = async () => figuresOf(await logitsBy(step, validation, inputs, weights), validation.labels);
  let best: StepState | undefined;
  const result = await fit({
    ...{ step, epochs: training.epochs, stepsPerEpoch, runId, configHash: hash, warn },
    schedule: scheduleOf(schedule, { steps, stepsPerEpoch }),
    async *batches(epoch, fromStep) {
      const order = Random.seeded("fusion order", seed, epoch).shuffle(train.labels.keys());
      for (let at = fromStep; at < stepsPerEpoch; at++) {
        const rows = order.slice(at * size, (at + 1) * size);
        yield { batch: trainingBatch(train, rows, inputs), images: size };
      }
    },
    validation: {
      every: training.validateEvery,
      monitor: monitorOf(training),
      pictures: validation.labels.length,
      ...(training.patience === undefined ? {} : { patience: training.patience }),
      run: async () => ({ ...await judge() }),
    },
    ...(own === undefined ? { budget: planOf(training, { folder: "" }).budget! } : planOf(training, { folder: own })),
    ...(resume ? { resume } : {}),
    ...(options.log ? { log: options.log } : {}),
    ...(options.onProgress ? { onProgress: options.onProgress } : {}),
    ...(options.signal ? { signal: options.signal } : {}),
    callbacks: own === undefined
      ? [{
        onValidation: async ({ best: isBest }) => {
          if (isBest) best = await step.state();
        },
      }]
      : [],
  });
  if (own !== undefined && result.best && await exists(bestCheckpointPath(own))) {
    best = (await readCheckpoint(bestCheckpointPath(own))).state;
  }
  if (best) await step.load(best);
  const trained = await step.model({ weights });
  return { graph: trained, parameters: parametersOf(trained), fit: result, validation: await judge(), hash };
}

/** SHA-256 of all that decides a training. */
export function trainingHash(
  { config, train, validation, prototypes, seed }: Pick<
    TrainFusionOptions,
    "config" | "train" | "validation" | "prototypes" | "seed"
  >,
): string {
  const { fusion, tasks, loss, frozen } = config;
  return configHash({
    settings: JSON.parse(JSON.stringify({ fusion, tasks, loss, frozen })),
    ...{ seed, train: featuresHash(train), validation: featuresHash(validation) },
    prototypes: fusion.prototypes && prototypes ? tensorHash(prototypes) : null,
  });
}

/** Learned numbers of a graph. */
export function parametersOf(graph: Graph): number {
  return graph.parameters.reduce((sum, { tensor }) => sum + tensor!.data.length, 0);
}

/** Top-1, top-5 and likelihood of logits. */
export function figuresOf(logits: Scores, labels: Int32Array): FusionFigures {
  const { top1, top5 } = judgeClassification(logits, labels);
  return { top1: top1.share, top5: top5.share, nll: properScores(softmaxOf(logits), labels).nll };
}

/** The rows of features that a graph reads, by input. Throws InputError for an input that is no feature. */
export function feedsOf(
  { visual, embedding }: Pick<HybridFeatures, "visual" | "embedding">,
  rows: ArrayLike<number>,
  inputs: readonly string[],
): Record<string, Tensor> {
  return Object.fromEntries(inputs.map((name) => {
    const source = name === FUSION_VALUES.embedding
      ? embedding
      : visual.find((_, scale) => featureName(scale) === name);
    if (!source) throw new InputError(`fusion: expected features for input "${name}", found none`);
    const width = source.shape[1]!, data = new Float32Array(rows.length * width);
    for (let to = 0; to < rows.length; to++) {
      data.set(source.data.subarray(rows[to]! * width, (rows[to]! + 1) * width), to * width);
    }
    return [name, tensor("float32", [rows.length, width], data)];
  }));
}

function trainingBatch(features: HybridFeatures, rows: readonly number[], inputs: readonly string[]): Batch {
  const classes = features.dex.length, targets = new Float32Array(rows.length * classes);
  for (const [to, row] of rows.entries()) targets[to * classes + features.labels[row]!] = 1;
  return { ...feedsOf(features, rows, inputs), [TARGETS]: tensor("float32", [rows.length, classes], targets) };
}

async function logitsBy(
  step: Step,
  features: HybridFeatures,
  inputs: readonly string[],
  weights: "average" | "current",
): Promise<Scores> {
  return await inBatches(
    features,
    async (rows) => (await step.evaluate(feedsOf(features, rows, inputs), { weights }))[FUSION_VALUES.logits]!,
  );
}

/** Logits of all pictures, some at a time. */
export async function inBatches(
  { labels, dex }: Pick<HybridFeatures, "labels" | "dex">,
  logitsOf: (rows: readonly number[]) => Promise<Tensor>,
): Promise<Scores> {
  const n = labels.length, classes = dex.length, values = new Float32Array(n * classes);
  for (let from = 0; from < n; from += EVALUATED) {
    const rows = Array.from({ length: Math.min(EVALUATED, n - from) }, (_, i) => from + i);
    values.set((await logitsOf(rows)).data as Float32Array, from * classes);
  }
  return { values, classes };
}

/** The logits of a trained graph for some sets of features, [pictures, classes] each. */
export async function logitsOf(
  graph: Graph,
  sets: readonly HybridFeatures[],
  { threads }: { readonly threads?: number | undefined } = {},
): Promise<Scores[]> {
  await using session = await openSession(toModel(graph), { threads, name: graph.name });
  const inputs = session.inputs.map(({ name }) => name), outputs = [FUSION_VALUES.logits];
  const results: Scores[] = [];
  for (const features of sets) {
    results.push(
      await inBatches(
        features,
        async (rows) => (await session.run(feedsOf(features, rows, inputs), { outputs }))[FUSION_VALUES.logits]!,
      ),
    );
  }
  return results;
}
