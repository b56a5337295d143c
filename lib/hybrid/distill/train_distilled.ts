/** A student's training from its settings and the names of its teachers. */

import { join } from "node:path";
import type { TrainResult } from "../../experiment/mod.ts";
import { InputError } from "../../runtime/mod.ts";
import { askTeachers, type HybridModels, teacherTop1 } from "./ask_teachers.ts";
import { distillProbabilities, type DistillProbabilitiesOptions } from "./distill_probabilities.ts";

/** Settings of `trainDistilled`: those of `distillProbabilities` with names in the teacher's place. */
export interface TrainDistilledOptions extends Omit<DistillProbabilitiesOptions, "teacher">, HybridModels {
  /** Names or folders of models, or a file of answers (`askTeachers`). Default: the settings' `distillation.teachers`. */
  readonly teachers?: readonly string[] | undefined;
  /** Where answers are kept. Default: `teachers/` in the data folder. */
  readonly answers?: string | undefined;
  /** Where names of models are looked for. Default: `models/` of the project. */
  readonly models?: string | undefined;
}

/** What a distillation gave. */
export interface DistilledResult extends TrainResult {
  readonly teacher: {
    readonly name: string;
    readonly identity: string;
    /** Top-1 of its answers to the validation pictures. */
    readonly validationTop1: number;
  };
}

/**
 * Asks the teachers about the pictures of train and validation, where they were not asked before, and trains the student on what they
 * say. Stopped at any moment it goes on: answers are kept, the training resumes. Throws InputError without a teacher and as
 * `askTeachers` and `distillProbabilities`; the signal's reason when it is stopped before training.
 */
export async function trainDistilled(
  { teachers, answers, model, encoder, models, ...options }: TrainDistilledOptions,
): Promise<DistilledResult> {
  const { config, data, device, threads, onProgress, signal, warn, runsFolder } = options;
  const { teachers: usual = [], hints } = config.distillation, names = teachers ?? usual;
  if (names.length === 0) {
    throw new InputError(`${config.name}: expected a teacher in distillation.teachers or --teacher, found none`);
  }
  const teacher = await askTeachers(names, data, {
    ...{ folder: answers ?? join(data.dataFolder, "teachers"), model, encoder, device, threads },
    ...{ runs: runsFolder, features: hints > 0, onProgress, signal, warn },
    ...(models === undefined ? {} : { models }),
  });
  const result = await distillProbabilities({ ...options, teacher });
  return {
    ...result,
    teacher: {
      ...{ name: teacher.teacher, identity: teacher.identity },
      validationTop1: teacherTop1(teacher, data.rows.validation),
    },
  };
}
