/** A student of a teacher and its rival, the same network trained alone: each trained once for its settings, and kept in runs/. */

import type { Scores } from "../../evaluate/mod.ts";
import { splitHash } from "../../data/mod.ts";
import {
  type Dataset,
  reviewTrained,
  type StudiedModel,
  trainAndJudge,
  type TrainingConfig,
  trainingConfigSchema,
  type TrainOptions,
} from "../../experiment/mod.ts";
import { checkConfig, sha256, tensor } from "../../runtime/mod.ts";
import type { HybridFeatures } from "../fusion/features.ts";
import type { DistilledConfig } from "./config.ts";
import { distillProbabilities } from "./distill_probabilities.ts";
import { joinTeacherAnswers, readTeacher, type TeacherFile, writeTeacher } from "./teacher_file.ts";

/** Of a network that learns from labels alone: what configs/classifier/short.yaml gives it. */
const SMOOTHING = 0.1;

/** Settings of both. */
export interface StudentOptions
  extends Pick<TrainOptions, "data" | "profile" | "seed" | "threads" | "onProgress" | "signal"> {
  readonly config: DistilledConfig;
  /** Default: `runs/` of the project. */
  readonly runsFolder?: string;
}

/** A network that was trained or found. */
export type Student = Omit<StudiedModel, "result">;

/** The settings of the same network, pictures and schedule without a teacher; the labels are smoothed, as is usual. */
export function aloneConfig({ kind: _kind, distillation: _, ...config }: DistilledConfig): TrainingConfig {
  const { labelSmoothing } = config.loss;
  return checkConfig(
    { ...config, name: `${config.name}-alone`, loss: { ...config.loss, labelSmoothing: labelSmoothing || SMOOTHING } },
    trainingConfigSchema,
    `${config.name} alone`,
  );
}

/** The network trained alone: the finished run with these settings, else a new one. Throws as `trainAndJudge`. */
export async function trainedAlone({ config, ...options }: StudentOptions): Promise<Student> {
  const own = { ...options, config: named(aloneConfig(config), "alone", options.data) };
  return await reviewTrained(own) ?? await trainAndJudge(own);
}

/** The student of a teacher: the finished run with these settings and this teacher, else a new one. Throws as `distillProbabilities`. */
export async function trainedStudent(
  { config, teacher, ...options }: StudentOptions & { readonly teacher: TeacherFile },
): Promise<Student> {
  const own = {
    ...options,
    config: named(config, "student", options.data, teacher.identity),
  };
  return await reviewTrained(own) ?? await trainAndJudge({
    ...own,
    train: ({ config: { name }, ...rest }) =>
      distillProbabilities({ ...rest, config: { ...own.config, name }, teacher }),
  });
}

/**
 * With a name that tells other pictures and another teacher apart. It is short: a run's id has 40 characters for it, the hash of the
 * settings and the profile (`reviewTrained` finds it by all of these).
 */
function named<Config extends TrainingConfig>(config: Config, name: string, { rows }: Dataset, teacher = ""): Config {
  const hash = sha256(JSON.stringify([config.name, splitHash(Object.values(rows).flat()), teacher]));
  return { ...config, name: `${name}-${hash.slice(0, 8)}` };
}

/** Writes what a teacher says of several splits, and reads it again: a student knows its teacher by the file. */
export async function teacherFile(
  path: string,
  teacher: string,
  told: readonly { readonly features: Pick<HybridFeatures, "pictures" | "dex">; readonly scores: Scores }[],
): Promise<TeacherFile> {
  await writeTeacher(
    path,
    joinTeacherAnswers(told.map(({ features: { pictures, dex }, scores: { values, classes } }) => ({
      ...{ teacher, pictures, dex },
      probabilities: tensor("float32", [pictures.length, classes], values),
    }))),
  );
  return await readTeacher(path);
}
