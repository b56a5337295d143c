/** Which learning rate suits a training's settings: the range test on its own network, batches and step. */

import type { ProgressListener } from "../runtime/mod.ts";
import {
  type Batch,
  type BatchSource,
  findLearningRate,
  type FindLearningRateOptions,
  groupBatches,
  type LearningRateCurve,
} from "../train/mod.ts";
import type { TrainingConfig } from "./config.ts";
import type { Dataset } from "./dataset.ts";
import { openTrainingPictures } from "./feeding.ts";
import { loadPretrained } from "./network.ts";
import { buildTask } from "./task/task.ts";
import { compileTrainingStep, type TrainingStepOptions } from "./training_step.ts";
import { datasetOf } from "./dataset_of.ts";

/** Settings of `findRate`: those of a training, and of the range test. */
export interface FindRateOptions
  extends TrainingStepOptions, Omit<FindLearningRateOptions, "step" | "batches" | "onStep"> {
  /** From `readTrainingConfig`; its schedule does not count. */
  readonly config: TrainingConfig;
  /** From `openDataset`. */
  readonly data: Dataset;
  /** Workers that draw batches; default: one for two cores, at most 4. */
  readonly workers?: number;
  readonly onProgress?: ProgressListener;
  /** Told, a line each, of what is odd but goes on. */
  readonly warn?: (message: string) => void;
}

/**
 * Trains a few steps with a rate that rises from step to step, as `findLearningRate` says, and writes nothing. Its steps are the
 * first of the training of these settings. Throws as `trainExperiment` does.
 */
export async function findRate(given: FindRateOptions): Promise<LearningRateCurve> {
  const options = { ...given, data: datasetOf(given.data, given.config.data) };
  const { config, data, seed, signal, onProgress, warn = () => {}, steps = 200 } = options;
  const task = buildTask(config, { classes: data.classes.length, seed });
  await loadPretrained(task, config.model, { say: warn, signal });
  const { step: compiled, accumulate } = await compileTrainingStep(task, options);
  await using step = compiled;
  const { cache, pictures, feeding } = await openTrainingPictures(task, options);
  try {
    const source = accumulate === 1 ? feeding.source : groupBatches(feeding.source, accumulate);
    return await findLearningRate({
      ...options,
      ...{ step, steps, batches: endless(source) },
      onStep: ({ step: done }) => onProgress?.({ label: "find rate", done: done + 1, total: steps, unit: "steps" }),
    });
  } finally {
    await feeding.close();
    pictures[Symbol.dispose]();
    cache[Symbol.dispose]();
  }
}

/** Epoch after epoch, until one gives nothing. */
async function* endless(source: BatchSource): AsyncGenerator<Batch | readonly Batch[]> {
  let isEmpty = false;
  for (let epoch = 0; !isEmpty; epoch++) {
    isEmpty = true;
    for await (const { batch } of source(epoch, 0)) {
      isEmpty = false;
      yield batch;
    }
  }
}
