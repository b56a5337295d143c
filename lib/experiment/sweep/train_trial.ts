/** How a sweep trains: each trial a run of its own, judged on validation alone. */

import { join } from "node:path";
import { datasetPaths } from "../../data/mod.ts";
import { ranksOf } from "../../evaluate/mod.ts";
import { exists, sha256, sha256File, type YamlValue } from "../../runtime/mod.ts";
import { listRuns } from "../../track/mod.ts";
import type { Dataset } from "../dataset.ts";
import { judgeModel } from "../evaluate_model.ts";
import { OUTPUTS } from "../graphs.ts";
import { openModel } from "../open_model.ts";
import { splitPictures } from "../picture_sets.ts";
import { trainExperiment, type TrainOptions } from "../train_experiment.ts";
import { datasetOf } from "../dataset_of.ts";
import type { RunTrial } from "./run_sweep.ts";

/** Settings of `trainTrials`: those of `trainExperiment` that all trials share. */
export type TrainTrialsOptions = Pick<
  TrainOptions,
  "data" | "profile" | "device" | "threads" | "workers" | "onProgress" | "warn" | "callbacks"
>;

/**
 * Trains trials by `trainExperiment`, without the test split: no sweep sees a picture of it. A trial with `data.without` is tested on
 * the style's pictures of training and validation. A run of the trial's name is gone on
 * with, from its last checkpoint; also one that was finished, which a kill before the sweep's line leaves, and which halving
 * promotes.
 */
export function trainTrials({ data, ...options }: TrainTrialsOptions): RunTrial {
  const blind: Dataset = { ...data, rows: { ...data.rows, test: [] } };
  const { device, threads, onProgress, profile } = options;
  return async ({ config, seed, runsFolder, signal }) => {
    const before = await finishedRun(runsFolder, `${config.name}-${profile}`);
    const stopped = signal ? { signal } : {};
    const result = await trainExperiment({
      ...{ ...options, ...stopped, config, seed, runsFolder, data: blind, resume: before ?? "auto" },
    });
    if (!result.model) return undefined;
    await using model = await openModel(result.folder, { device, threads });
    const judgement = await judgeModel(model, splitPictures(datasetOf(blind, config.data), "validation"), {
      ...stopped,
      ...(onProgress ? { onProgress } : {}),
    });
    const ranks = ranksOf(judgement.distributions[OUTPUTS.probabilities]!, judgement.labels);
    return {
      run: result.run,
      validation: result.model.card.metrics.validation!,
      answers: Array.from(ranks, (rank) => rank === 0),
      pictures: sha256(judgement.facts.map(({ id }) => id).join("\n")),
    };
  };
}

/** What tells a data set, and its split, from another. */
export async function datasetIdentity(data: Dataset): Promise<YamlValue> {
  const id = (row: { readonly id: string }) => row.id;
  return {
    split: data.splitMode,
    classes: data.classes.length,
    pictures: sha256(
      JSON.stringify([data.classes.map(({ dex }) => dex), data.rows.train.map(id), data.rows.validation.map(id)]),
    ),
    manifest: await sha256File(datasetPaths(data.dataFolder).manifest),
  };
}

/** The folder of the run of a name that has a model. */
async function finishedRun(runsFolder: string, name: string): Promise<string | undefined> {
  for (const run of await listRuns(runsFolder)) {
    if (run.name === name && await exists(join(run.folder, "model.json"))) return run.folder;
  }
  return undefined;
}
