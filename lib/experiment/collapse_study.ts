/**
 * A training that collapses, in miniature: the published run lost its accuracy within one epoch, and two readings of it leave
 * different traces. Each is done to one and the same healthy training, beside an undisturbed one and one with the guard.
 */

import { join } from "node:path";
import { type DetectedImage, intersectionOverUnion } from "../evaluate/mod.ts";
import { type Device, type ProgressListener, WorkError } from "../runtime/mod.ts";
import {
  compileStep,
  fit,
  type FitEvent,
  type GuardOptions,
  type IncidentEvent,
  readResume,
  type Schedule,
  type Step,
  type StepState,
} from "../train/mod.ts";
import type { TrainingConfig } from "./config.ts";
import type { Dataset } from "./dataset.ts";
import { openTrainingPictures, type TrainingPictures } from "./feeding.ts";
import { validationFigures } from "./figures.ts";
import { monitorOf, optimizerOf, scheduleOf } from "./recipe.ts";
import { buildTask, type TaskNetwork } from "./task/task.ts";
import { Validator } from "./validation.ts";
import { datasetOf } from "./dataset_of.ts";

/** What is done to the healthy training. */
export type CollapseCase = "undisturbed" | "overridden rate" | "lost weights" | "overridden rate, guarded";

/** Settings of `studyCollapse`. */
export interface CollapseOptions {
  /** Of a detector. Its schedule runs over all epochs, those before and those after. */
  readonly config: TrainingConfig;
  readonly data: Dataset;
  readonly seed: number;
  /** Epochs of the healthy training; those after the fall are what remains of the settings' epochs. */
  readonly healthyEpochs: number;
  /** How many times the written rate the true one is. Default: 100. */
  readonly factor?: number;
  /** Default: all. */
  readonly cases?: readonly CollapseCase[];
  /** Of the guarded case. Default: `fit`'s defaults, a rollback to a tenth of the rate, at most five. */
  readonly guard?: GuardOptions;
  readonly device?: Device;
  readonly threads?: number;
  readonly workers?: number;
  readonly onProgress?: ProgressListener;
  readonly signal?: AbortSignal;
}

/** An epoch of a case. */
export interface CollapseEpoch {
  /** From 1, counted over the healthy training too. */
  readonly epoch: number;
  /** Means over the epoch's steps; of the parts with their gains. Not a number where no step was finite. */
  readonly loss: number;
  readonly parts: Readonly<Record<string, number>>;
  readonly learningRate: number;
  /** On validation. */
  readonly top1: number;
  readonly mAP50: number;
  readonly mAP50to95: number;
  /** The mean overlap (IoU) of each picture's surest box, of whatever class, with the true one. */
  readonly boxOverlap: number;
}

/** One step of a case. */
export interface CollapseStep {
  /** From 0, counted over the healthy training too. */
  readonly step: number;
  readonly loss: number;
  readonly learningRate: number;
}

/** What became of the training. */
export interface CollapseTrace {
  readonly name: CollapseCase | "healthy";
  readonly steps: readonly CollapseStep[];
  readonly epochs: readonly CollapseEpoch[];
  /** What the guard found and did; empty without one. */
  readonly incidents: readonly IncidentEvent[];
}

/** The healthy training, and what became of it in each case. */
export interface CollapseStudy {
  readonly healthy: CollapseTrace;
  readonly cases: readonly CollapseTrace[];
  readonly classes: number;
  readonly factor: number;
}

/** Trains, disturbs, goes on. Throws as `trainExperiment` does, and WorkError when it was interrupted. */
export async function studyCollapse(given: CollapseOptions): Promise<CollapseStudy> {
  const options = { ...given, data: datasetOf(given.data, given.config.data) };
  const { config, data, seed, healthyEpochs, factor = 100, device = "cpu", threads } = options;
  const { cases = ["undisturbed", "overridden rate", "lost weights", "overridden rate, guarded"] } = options;
  const after = config.training.epochs - healthyEpochs;
  if (!(Number.isInteger(healthyEpochs) && healthyEpochs >= 1 && after >= 1)) {
    throw new WorkError(
      `collapse: expected 1 … ${config.training.epochs - 1} healthy epochs, found ${healthyEpochs}`,
    );
  }
  const task = buildTask(config, { classes: data.classes.length, seed });
  await using step = await compileStep({
    ...{ model: task.graph, loss: task.loss, optimizer: optimizerOf(config.optimizer), seed, device },
    ...(threads === undefined ? {} : { threads }),
    symbols: { N: config.training.batch },
    ...(config.training.averageDecay === undefined ? {} : { averageDecay: config.training.averageDecay }),
  });
  const pictures = await openTrainingPictures(task, options);
  const folder = await Deno.makeTempDir({ prefix: "pokedex_collapse_" });
  try {
    const { stepsPerEpoch } = pictures, before = healthyEpochs * stepsPerEpoch;
    const written = scheduleOf(config.schedule, { steps: config.training.epochs * stepsPerEpoch, stepsPerEpoch });
    const fresh = await step.state();
    const miniature = new Miniature(options, { task, step, pictures, folder });
    // With the guard, which learns here what is usual and changes nothing of a healthy training.
    const healthy = await miniature.train("healthy", { schedule: written, until: before });
    const trained = await step.state();
    const overridden: Schedule = (at) => (at < before ? 1 : factor) * written(at);
    const traces: CollapseTrace[] = [];
    for (const name of cases) {
      if (name === "overridden rate, guarded") {
        traces.push(await miniature.train(name, { schedule: overridden, goesOn: true }));
        continue;
      }
      const schedule: Schedule = name === "undisturbed"
        ? (at) => written(before + at)
        // What was lost with the weights begins anew, the warm-up of the rate too.
        : name === "lost weights"
        ? written
        : (at) => overridden(before + at);
      const from = name === "lost weights" ? fresh : trained;
      traces.push(await miniature.train(name, { schedule, from, epochs: after, firstEpoch: healthyEpochs }));
    }
    return { healthy, cases: traces, classes: data.classes.length, factor };
  } finally {
    await Deno.remove(folder, { recursive: true });
    await pictures.feeding.close();
    pictures.pictures[Symbol.dispose]();
    pictures.cache[Symbol.dispose]();
  }
}

/** One piece of training after another with one compiled step. */
class Miniature {
  readonly #options: CollapseOptions;
  readonly #step: Step;
  readonly #task: TaskNetwork;
  readonly #pictures: TrainingPictures;
  readonly #validator: Validator;
  /** Of the checkpoints of the guarded training. */
  readonly #folder: string;
  /** The last of them, once the healthy training has ended. */
  #checkpoint = "";

  constructor(options: CollapseOptions, { task, step, pictures, folder }: {
    task: TaskNetwork;
    step: Step;
    pictures: TrainingPictures;
    folder: string;
  }) {
    this.#options = options;
    this.#folder = folder;
    this.#task = task;
    this.#step = step;
    this.#pictures = pictures;
    this.#validator = new Validator(task, step, pictures.pictures);
  }

  /**
   * The healthy training up to step `until`; what goes on from it with the guard; or, `from` a state, some epochs without one, whose
   * pictures are those of the epochs from `firstEpoch` on.
   */
  async train(
    name: CollapseTrace["name"],
    { schedule, until, goesOn = false, from, epochs, firstEpoch = 0 }: {
      schedule: Schedule;
      until?: number;
      goesOn?: boolean;
      from?: StepState;
      epochs?: number;
      firstEpoch?: number;
    },
  ): Promise<CollapseTrace> {
    const { config: { training }, signal, onProgress, guard = { rateFactor: 0.1, mostRollbacks: 5 } } = this.#options;
    const { feeding, stepsPerEpoch } = this.#pictures, { classes } = this.#task, step = this.#step;
    if (from) await step.load({ step: 0, tensors: from.tensors });
    const events: FitEvent[] = [], overlaps = new Map<number, number>();
    const resume = goesOn ? await readResume(this.#checkpoint, { tensors: step.tensors }) : undefined;
    const { reason, checkpoint } = await fit({
      ...{ step, stepsPerEpoch, schedule, resume, epochs: epochs ?? training.epochs },
      batches: (epoch, fromStep) => feeding.source(firstEpoch + epoch, fromStep),
      validation: {
        monitor: monitorOf(training),
        run: async ({ epoch, signal }) => {
          const judgement = await this.#judge(signal);
          overlaps.set(epoch, meanOverlap(judgement.detected));
          return validationFigures(judgement, this.#validator.way, { classes });
        },
      },
      log: { append: (event) => void events.push(event) },
      maxNonFinite: Number.MAX_SAFE_INTEGER, // a training that is lost is watched to its end
      ...(until === undefined ? {} : { budget: { steps: until } }),
      ...(from ? {} : { guard, checkpoints: { folder: this.#folder, everyEpochs: 1, keep: 2 } }),
      ...(signal ? { signal } : {}),
      ...(onProgress ? { onProgress: (report) => onProgress({ ...report, label: name }) } : {}),
    });
    if (reason === "interrupted") throw new WorkError(`collapse: ${name}: interrupted`);
    if (checkpoint !== undefined) this.#checkpoint = join(this.#folder, checkpoint);
    return traceOf(name, events, overlaps, { firstEpoch, stepsPerEpoch });
  }

  #judge(signal: AbortSignal) {
    const { device = "cpu", threads } = this.#options;
    return this.#validator.judge("one", { device, threads, signal });
  }
}

/** Of each picture's surest box, with the true one. */
function meanOverlap(detected: readonly DetectedImage[]): number {
  const overlaps = detected.map(({ truth, detections }) => {
    const surest = detections.reduce<typeof detections[number] | undefined>(
      (best, each) => !best || each.score > best.score ? each : best,
      undefined,
    );
    return surest && truth[0] ? intersectionOverUnion(surest, truth[0]) : 0;
  });
  return overlaps.reduce((sum, overlap) => sum + overlap, 0) / Math.max(1, overlaps.length);
}

function traceOf(
  name: CollapseTrace["name"],
  events: readonly FitEvent[],
  overlaps: ReadonlyMap<number, number>,
  { firstEpoch, stepsPerEpoch }: { firstEpoch: number; stepsPerEpoch: number },
): CollapseTrace {
  // After a rollback steps and epochs come a second time: what came last counts.
  const last = <Event extends FitEvent>(list: readonly Event[], key: (event: Event) => number) =>
    [...new Map(list.map((event) => [key(event), event])).values()].sort((a, b) => key(a) - key(b));
  const all = last(events.filter((event) => event.kind === "step"), ({ step }) => step);
  const validations = last(events.filter((event) => event.kind === "validation"), ({ epoch }) => epoch);
  const finite = all.filter(({ finite }) => finite);
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const epochs = validations.map(({ epoch, figures }): CollapseEpoch => {
    const own = finite.filter((step) => step.epoch === epoch);
    const parts = Object.keys(own[0]?.metrics ?? {});
    return {
      epoch: firstEpoch + epoch + 1,
      loss: mean(own.map(({ loss }) => loss)),
      parts: Object.fromEntries(parts.map((part) => [part, mean(own.map(({ metrics }) => metrics[part]!))])),
      learningRate: mean(all.filter((step) => step.epoch === epoch).map(({ learningRate }) => learningRate)),
      top1: figures["top1"]!,
      mAP50: figures["mAP50"] ?? NaN,
      mAP50to95: figures["mAP50_95"] ?? NaN,
      boxOverlap: overlaps.get(epoch)!,
    };
  });
  return {
    name,
    epochs,
    steps: all.map(({ step, loss, learningRate }) => ({ step: firstEpoch * stepsPerEpoch + step, loss, learningRate })),
    incidents: events.filter((event) => event.kind === "incident"),
  };
}
