/** A whole hybrid from its settings: features, fusion and the classifiers of each modality alone, figures, and phase 2 where it is asked for. */

import { join } from "node:path";
import {
  confidencesOf,
  fitTemperature,
  judgeClassification,
  reliability,
  type Scores,
  softmaxOf,
} from "../../evaluate/mod.ts";
import type { Dataset, TrainResult } from "../../experiment/mod.ts";
import { InputError, openSession } from "../../runtime/mod.ts";
import { type Graph, toModel } from "../../onnx/mod.ts";
import { type Encoder, encoderTeacher } from "../../vlm/mod.ts";
import type { PictureNetwork } from "./cache_features.ts";
import { FUSION_VALUES } from "./classifier.ts";
import type { FusionConfig } from "./config.ts";
import type { HybridFeatures } from "./features.ts";
import { fineTuneHybrid, type FineTuneHybridOptions } from "./fine_tune.ts";
import { type HybridParts, type Member, MEMBERS, writeHybrid } from "./hybrid_classifier.ts";
import { hybridFeatures } from "./hybrid_features.ts";
import { feedsOf, inBatches, trainFusion } from "./train_fusion.ts";

/** Settings of `trainHybrid`: those of phase 2 without what phase 1 gives. */
export interface TrainHybridOptions extends Omit<FineTuneHybridOptions, "backbone" | "tower" | "fusion" | "size"> {
  readonly config: FusionConfig;
  readonly data: Dataset;
  /** From `openModel`. */
  readonly network: PictureNetwork;
  /** From `openVlm`. */
  readonly encoder: Encoder & { readonly folder?: string };
  /** Also train backbone, tower and fusion on pictures (`fineTuneHybrid`); the encoder's folder must hold its tower. Default: false. */
  readonly unfrozen?: boolean | undefined;
  /** Where features are kept. Default: `features/` in the data folder. */
  readonly features?: string | undefined;
}

/** How good one of a hybrid's classifiers is on a split. Shares. */
export interface MemberFigures {
  readonly n: number;
  readonly top1: number;
  readonly "top1_ci95": readonly [number, number];
  readonly top5: number;
  /** At the temperature from validation. */
  readonly ece: number;
}

/** A trained hybrid. */
export interface TrainedHybrid {
  /** Undefined when training was interrupted: the same call goes on. */
  readonly hybrid?: {
    /** What `readHybrid` reads. */
    readonly folder: string;
    readonly parts: HybridParts;
    /** Learned numbers, without those of network and encoder. */
    readonly parameters: Readonly<Record<Member, number>>;
    readonly figures: Readonly<Record<Member, Readonly<Record<"validation" | "test", MemberFigures>>>>;
  };
  /** Of phase 2, where it was asked for. */
  readonly unfrozen?: TrainResult;
}

/** What each member reads: without the prototypes, which are the encoder's, where only the network is asked. */
const CHANGES: Readonly<Record<Member, Partial<FusionConfig["fusion"]>>> = {
  hybrid: {},
  visual: { kind: "visual", prototypes: false },
  embedding: { kind: "embedding" },
};

/**
 * Trains a fusion and the two classifiers that answer without the other modality, fits their temperatures on validation, and writes them
 * into `RUNS/fusion/NAME-PROFILE-HASH`, the folder of a hybrid. Nothing is done twice: features, checkpoints and the folder are kept by what
 * decides them, and `forceNewRun` trains anew. Phase 2 is a run of its own, which `resume` goes on with. Throws InputError for settings
 * of one modality alone, and as `hybridFeatures`, `trainFusion` and `fineTuneHybrid`.
 */
export async function trainHybrid(
  { network, encoder, unfrozen = false, features, ...options }: TrainHybridOptions,
): Promise<TrainedHybrid> {
  const { config, data, seed, threads, runsFolder, profile, forceNewRun = false, signal, onProgress, warn } = options;
  const { kind } = config.fusion;
  if (kind === "visual" || kind === "embedding") {
    throw new InputError(`${config.name}: fusion.kind: expected a fusion of both modalities, found "${kind}"`);
  }
  const folder = features ?? join(data.dataFolder, "features"), kept = { folder, threads, onProgress, signal };
  const of = (split: "train" | "validation" | "test") => hybridFeatures({ network, encoder }, data, split, kept);
  const train = await of("train"), validation = await of("validation"), test = await of("test");
  const prototypes = config.fusion.prototypes ? await encoderTeacher(encoder).prototypes(data.classes) : undefined;
  const checkpoints = join(runsFolder, "fusion", "checkpoints");
  const graphs: Partial<Record<Member, Graph>> = {}, temperatures: Partial<Record<Member, number>> = {};
  const parameters: Partial<Record<Member, number>> = {};
  const figures: Partial<Record<Member, Record<"validation" | "test", MemberFigures>>> = {};
  let hash = "";
  for (const member of MEMBERS) {
    const trained = await trainFusion({
      ...{ config: { ...config, fusion: { ...config.fusion, ...CHANGES[member] } }, train, validation, prototypes },
      ...{ seed, threads, onProgress, signal, warn },
      folder: forceNewRun ? undefined : checkpoints,
    });
    if (trained.fit.reason === "interrupted") return {};
    if (member === "hybrid") hash = trained.hash;
    const logits = { validation: await logitsOf(trained.graph, validation), test: await logitsOf(trained.graph, test) };
    const { temperature } = fitTemperature(logits.validation, validation.labels);
    graphs[member] = trained.graph;
    temperatures[member] = temperature;
    parameters[member] = trained.parameters;
    figures[member] = {
      validation: memberFigures(logits.validation, validation.labels, temperature),
      test: memberFigures(logits.test, test.labels, temperature),
    };
  }
  const parts: HybridParts = {
    ...{ graphs: graphs as Record<Member, Graph>, temperatures: temperatures as Record<Member, number> },
    ...{ dex: train.dex, models: train.models },
  };
  const place = join(runsFolder, "fusion", `${config.name}-${profile}-${hash.slice(0, 8)}`);
  await writeHybrid(place, parts);
  const hybrid = {
    ...{ folder: place, parts, parameters: parameters as Record<Member, number> },
    figures: figures as Record<Member, Record<"validation" | "test", MemberFigures>>,
  };
  if (!unfrozen) return { hybrid };
  if (encoder.folder === undefined) {
    throw new InputError(`${encoder.name}: expected an encoder in a folder for the second phase, found none`);
  }
  const { input } = network.card, { kernel, ...shown } = encoder.preprocessing;
  const result = await fineTuneHybrid({
    ...options,
    backbone: { source: network.path, colours: { mean: input.mean, std: input.std } },
    tower: {
      source: join(encoder.folder, "onnx", "vision_model.onnx"),
      preprocessing: { ...shown, kernel: kernel === "lanczos" ? "bicubic" : kernel }, // the nearest that a graph has
    },
    ...{ fusion: parts.graphs.hybrid, size: input.size },
  });
  return { hybrid, unfrozen: result };
}

async function logitsOf(graph: Graph, features: HybridFeatures): Promise<Scores> {
  await using session = await openSession(toModel(graph), { name: "fusion" });
  const inputs = graph.inputs.map(({ name }) => name);
  return await inBatches(features, async (rows) => {
    const { [FUSION_VALUES.logits]: logits } = await session.run(feedsOf(features, rows, inputs), {
      outputs: [FUSION_VALUES.logits],
    });
    return logits!;
  });
}

function memberFigures(logits: Scores, labels: Int32Array, temperature: number): MemberFigures {
  const probabilities = softmaxOf(logits, { temperature });
  const { n, top1, top5, predicted } = judgeClassification(probabilities, labels);
  const right = Array.from(labels, (label, i) => Number(label === predicted[i]));
  const { ece } = reliability(confidencesOf(probabilities), right);
  return { n, top1: top1.share, top1_ci95: top1.ci95, top5: top5.share, ece };
}
