/** Judges the network of a training on the validation split, with the weights as they are. */

import { IMAGE_PROBABILITIES, type ImageProbabilities, type YoloNetwork } from "../models/mod.ts";
import { type Graph, toModel } from "../onnx/mod.ts";
import { type Device, openSession, type ProgressListener } from "../runtime/mod.ts";
import type { Step, WeightSource } from "../train/mod.ts";
import type { ModelCard } from "./card.ts";
import type { TrainingConfig } from "./config.ts";
import type { ValidationPictures } from "./feeding.ts";
import { judgingGraph } from "./graphs.ts";
import { judge, type Judgement } from "./judge.ts";
import { lossOf } from "./recipe.ts";

/** How boxes are chosen among candidates; part of a model's card. */
export const SUPPRESSION: ModelCard["decode"]["suppression"] = {
  iouThreshold: 0.45,
  scoreThreshold: 0.001,
  maxDetections: 100,
};

/** What class outputs are taken for. */
export function classProbabilitiesOf({ loss, prediction }: TrainingConfig): "sigmoid" | "softmax" {
  return prediction.classProbabilities ?? loss.class;
}

/** Settings of `judgeStep`. */
export interface JudgeStepOptions {
  readonly device: Device;
  readonly threads?: number | undefined;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Judges a training step's network. */
export class Validator {
  readonly #config: TrainingConfig;
  readonly #network: YoloNetwork;
  readonly #step: Step;
  readonly #pictures: ValidationPictures;
  readonly #graphs = new Map<string, Graph>();

  constructor(config: TrainingConfig, network: YoloNetwork, step: Step, pictures: ValidationPictures) {
    this.#config = config;
    this.#network = network;
    this.#step = step;
    this.#pictures = pictures;
  }

  /** The weights that are validated and shipped. */
  get weights(): WeightSource {
    return this.#step.averaged ? "average" : "current";
  }

  /** The way from cells to a distribution while training goes on; `auto` chooses at its end. */
  get way(): ImageProbabilities {
    const { how } = this.#config.prediction;
    return how === "auto" ? "best" : how;
  }

  /** Judges with one way, or with all that may be chosen. */
  async judge(
    ways: "one" | "all",
    { device, threads, onProgress, signal }: JudgeStepOptions,
  ): Promise<Judgement> {
    const { graph, spec } = this.#network, config = this.#config;
    let judging = this.#graphs.get(ways);
    if (!judging) {
      judging = judgingGraph(graph, spec, {
        ways: ways === "one" || config.prediction.how !== "auto" ? [this.way] : IMAGE_PROBABILITIES,
        classProbabilities: classProbabilitiesOf(config),
        loss: lossOf(spec, config.loss),
      });
      this.#graphs.set(ways, judging);
    }
    const weights = await this.#step.parameters({ weights: this.weights });
    for (const [name, content] of Object.entries(weights)) judging.setTensor(judging.value(name), content);
    await using session = await openSession(toModel(judging), { device, threads, name: "validation" });
    return await judge(session, this.#pictures.batches(), {
      ...{ classes: spec.classes, size: spec.size, suppression: SUPPRESSION },
      ...{ total: this.#pictures.total, label: "validate", onProgress: onProgress && patient(onProgress), signal },
    });
  }
}

/** Tells of work only once it has taken a while, so that a short validation does not push the training's bar away. */
function patient(onProgress: ProgressListener, milliseconds = 3000): ProgressListener {
  const begun = performance.now();
  return (report) => {
    if (performance.now() - begun >= milliseconds) onProgress(report);
  };
}
