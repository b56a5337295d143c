/** A student's training from its settings and teacher to the folder that is given away. */

import { join } from "node:path";
import { splitPictures, trainExperiment, type TrainOptions, type TrainResult } from "../../experiment/mod.ts";
import { ranksOf } from "../../evaluate/mod.ts";
import type { ProgressListener, Tensor } from "../../runtime/mod.ts";
import { cosines } from "../cosines.ts";
import type { StudentConfig } from "./config.ts";
import { studentTask } from "./student.ts";
import { exportStudent, type PrototypeFigures, prototypeFigures, type StudentCard } from "./student_folder.ts";
import { storedPicture, type Teacher } from "./teacher.ts";
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
  const card = await exportStudent(result.model, {
    ...{ folder, teacher, prototypes, scale, validation, test },
    teacherFigures: test && await judgeTeacher(teacher, data, { prototypes, onProgress, signal }),
  });
  return { ...result, student: { folder, card } };
}

/** Pictures that a teacher is shown at a time. */
const BATCH = 64;

/** How well the teacher itself names the test pictures, by the same prototypes. */
async function judgeTeacher(
  teacher: Teacher,
  { dataFolder, rows: { test }, classes }: TrainOptions["data"],
  { prototypes, onProgress, signal }: {
    readonly prototypes: Tensor<"float32">;
    readonly onProgress: ProgressListener | undefined;
    readonly signal: AbortSignal | undefined;
  },
): Promise<PrototypeFigures> {
  const ranks: number[] = [], labelOf = new Map(classes.map(({ dex }, label) => [dex, label]));
  for (let at = 0; at < test.length; at += BATCH) {
    signal?.throwIfAborted();
    const some = test.slice(at, at + BATCH);
    const embeddings = await teacher.embedImages(await Promise.all(some.map((row) => storedPicture(dataFolder, row))));
    const { data: values } = await cosines(embeddings, prototypes);
    ranks.push(...ranksOf({ values, classes: classes.length }, some.map(({ dex }) => labelOf.get(dex)!)));
    onProgress?.({ label: "teacher", done: at + some.length, total: test.length, unit: "pictures" });
  }
  return prototypeFigures(ranks);
}
