/** A student's training from its settings and teacher to the folder that is given away. */

import { join } from "node:path";
import { splitPictures, trainExperiment, type TrainOptions, type TrainResult } from "../../experiment/mod.ts";
import type { StudentConfig } from "./config.ts";
import { studentTask } from "./student.ts";
import { exportStudent, type StudentCard } from "./student_folder.ts";
import type { Teacher } from "./teacher.ts";
import { askedTargets, cachedTargets } from "./teacher_targets.ts";

/** Settings of `distillExperiment`: those of `trainExperiment` with a student's settings. */
export interface DistillOptions extends Omit<TrainOptions, "config" | "task" | "recorded"> {
  /** From `readStudentConfig`. */
  readonly config: StudentConfig;
  readonly teacher: Teacher;
  /** Where cached embeddings of teachers lie. Default: `embeddings/` in the data folder. */
  readonly embeddings?: string;
}

/** What a student's training gave. */
export interface DistillResult extends TrainResult {
  /** Where the student lies, `student/` in the run's folder, and its card; undefined when training was interrupted. */
  readonly student?: { readonly folder: string; readonly card: StudentCard };
}

/**
 * Trains a student as `trainExperiment` trains a network: the same pictures, schedule, guard, checkpoints and resuming. The teacher
 * stands in the run's log, so that a resume by another one is told. At the end the run has, beside `model.onnx`, the folder
 * `student/`. Throws as `trainExperiment`; WorkError for a student above 3 MB.
 */
export async function distillExperiment(
  { config, teacher, embeddings, ...options }: DistillOptions,
): Promise<DistillResult> {
  const { data, onProgress, signal } = options;
  const { targets, weights, metric, structure, scale = teacher.logitScale } = config.distill;
  const prototypes = await teacher.prototypes(data.classes);
  const targetsOf = targets === "cached"
    ? await cachedTargets(teacher, data, { folder: embeddings, onProgress, signal })
    : askedTargets(teacher);
  const { labelSmoothing } = config.loss;
  const result = await trainExperiment({
    ...{ ...options, config },
    task: (settings, { seed }) =>
      studentTask(settings, { ...{ prototypes, scale, seed, targetsOf, weights, metric, structure, labelSmoothing } }),
    recorded: { teacher: { name: teacher.name, identity: teacher.identity } },
  });
  if (!result.model) return result;
  const folder = join(result.folder, "student"), validation = splitPictures(data, "validation");
  const test = data.rows.test.length > 0 ? splitPictures(data, "test") : undefined;
  const card = await exportStudent(result.model, { folder, teacher, prototypes, scale, validation, test });
  return { ...result, student: { folder, card } };
}
