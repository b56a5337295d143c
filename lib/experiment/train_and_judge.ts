/** A training with a close look at its result: the log, the opened model, and all that it says of validation and test. */

import { join } from "node:path";
import { type Classification, judgeClassification, type Scores } from "../evaluate/mod.ts";
import { exists, WorkError, type YamlValue } from "../runtime/mod.ts";
import { configHash, listRunFolders, readRun, type Run } from "../track/mod.ts";
import { judgeModel, type ModelJudgement, type ModelReport, reportOf } from "./evaluate_model.ts";
import { tempered } from "./figures.ts";
import { OUTPUTS } from "./graphs.ts";
import { type OpenedModel, openModel } from "./open_model.ts";
import { splitPictures } from "./picture_sets.ts";
import { projectFolder } from "./settings.ts";
import { trainExperiment, type TrainOptions, type TrainResult } from "./train_experiment.ts";
import { datasetOf } from "./dataset_of.ts";

/** What a model said of a split. */
export interface JudgedSplit extends ModelJudgement {
  /** As the model gives them, and at the card's temperature. */
  readonly raw: Scores;
  readonly probabilities: Scores;
  readonly judged: Classification;
  readonly report: ModelReport;
}

/** A finished training, looked at. */
export interface StudiedModel {
  readonly result: TrainResult;
  readonly run: Run;
  readonly model: OpenedModel;
  readonly validation: JudgedSplit;
  readonly test: JudgedSplit;
}

/**
 * Trains as `trainExperiment` does, under a name that holds the hash of the settings, and goes on with an unfinished run of that
 * name: what is long survives a kill, and never meets other settings. The model stays open. Throws as `trainExperiment` does,
 * and WorkError when training was interrupted.
 */
export async function trainAndJudge(
  { config, runsFolder = join(projectFolder, "runs"), train = trainExperiment, ...options }:
    & Omit<TrainOptions, "resume" | "runsFolder">
    & {
      readonly runsFolder?: string;
      /** Another training of the same settings: one that learns from a teacher. */
      readonly train?: (options: TrainOptions) => Promise<TrainResult>;
    },
): Promise<StudiedModel> {
  const name = nameOf({ config, ...options });
  const result = await train({ ...options, config: { ...config, name }, runsFolder, resume: "auto" });
  if (!result.model) {
    throw new WorkError(`${result.folder}: expected a finished training, found one ${result.fit.reason}`);
  }
  return { ...await study(result.folder, { config, ...options }), result };
}

/**
 * The newest finished training that `trainAndJudge` did with these settings, looked at as it does; undefined where there is none.
 * Nothing is trained.
 */
export async function reviewTrained(
  { runsFolder = join(projectFolder, "runs"), ...options }:
    & Pick<TrainOptions, "config" | "data" | "profile" | "seed" | "device" | "threads" | "onProgress">
    & { readonly runsFolder?: string },
): Promise<Omit<StudiedModel, "result"> | undefined> {
  const name = `${nameOf(options)}-${options.profile}`;
  for (const id of (await listRunFolders(runsFolder)).toReversed()) { // ids begin with the time
    const folder = join(runsFolder, id);
    if (id.includes(name) && await exists(join(folder, "model.json"))) return await study(folder, options);
  }
  return undefined;
}

/** A training's name with the hash of its settings. */
function nameOf({ config, seed, data }: Pick<TrainOptions, "config" | "seed" | "data">): string {
  const settings = JSON.parse(JSON.stringify({ config, seed, split: data.splitMode })) as YamlValue;
  return `${config.name}-${configHash(settings).slice(0, 8)}`;
}

async function study(
  folder: string,
  { config, data, device, threads, onProgress }: Pick<
    TrainOptions,
    "config" | "data" | "device" | "threads" | "onProgress"
  >,
): Promise<Omit<StudiedModel, "result">> {
  const model = await openModel(folder, { device, threads });
  const own = datasetOf(data, config.data);
  const judgedSplit = async (split: "validation" | "test"): Promise<JudgedSplit> => {
    const pictures = splitPictures(own, split);
    const judgement = await judgeModel(model, pictures, onProgress ? { onProgress } : {});
    const raw = judgement.distributions[OUTPUTS.probabilities]!;
    const probabilities = tempered(raw, model.card.temperature);
    const judged = judgeClassification(probabilities, judgement.labels);
    return { ...judgement, raw, probabilities, judged, report: reportOf(model, pictures.name, judgement) };
  };
  return {
    run: await readRun(folder),
    model,
    validation: await judgedSplit("validation"),
    test: await judgedSplit("test"),
  };
}
