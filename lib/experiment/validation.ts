/** Judges the network of a training on the validation split, with the weights as they are. */

import { type Graph, toModel } from "../onnx/mod.ts";
import { type Device, openSession, type ProgressListener } from "../runtime/mod.ts";
import type { Step, WeightSource } from "../train/mod.ts";
import type { ValidationPictures } from "./feeding.ts";
import { averageViews, type Way, wayOutput } from "./graphs.ts";
import { judge, type Judgement } from "./judge.ts";
import type { TaskNetwork } from "./task/task.ts";

/** Settings of `judgeStep`. */
export interface JudgeStepOptions {
  readonly device: Device;
  readonly threads?: number | undefined;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Judges a training step's network. */
export class Validator {
  readonly #task: TaskNetwork;
  readonly #step: Step;
  readonly #pictures: ValidationPictures;
  readonly #graphs = new Map<string, Graph>();

  constructor(task: TaskNetwork, step: Step, pictures: ValidationPictures) {
    this.#task = task;
    this.#step = step;
    this.#pictures = pictures;
  }

  /** The weights that are validated and shipped. */
  get weights(): WeightSource {
    return this.#step.averaged ? "average" : "current";
  }

  /** The way from outputs to a distribution while training goes on; its end chooses among all. */
  get way(): Way {
    return this.#task.ways[0];
  }

  /** Judges with one way and of each picture alone, or with all ways that may be chosen, as the shipped model sees pictures. */
  async judge(
    ways: "one" | "all",
    { device, threads, onProgress, signal }: JudgeStepOptions,
  ): Promise<Judgement> {
    const task = this.#task;
    let judging = this.#graphs.get(ways);
    if (!judging) {
      judging = ways === "one" || task.views === "none"
        ? task.judgingGraph(ways === "one" ? [this.way] : task.ways)
        : averageViews(task.judgingGraph(task.ways, { withLoss: false }), task.views, task.ways.map(wayOutput));
      this.#graphs.set(ways, judging);
    }
    const weights = await this.#step.parameters({ weights: this.weights });
    for (const [name, content] of Object.entries(weights)) judging.setTensor(judging.value(name), content);
    await using session = await openSession(toModel(judging), { device, threads, name: "validation" });
    return await judge(session, this.#pictures.batches(), {
      ...{ classes: task.classes, size: task.size, suppression: task.describe(this.way).decode.suppression },
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
