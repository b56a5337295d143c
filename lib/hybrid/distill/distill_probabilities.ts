/** A student of pictures alone that learns from a teacher's probabilities: a training of lib/experiment with another loss. */

import {
  buildClassifierOf,
  logitsTask,
  sharesOf,
  type TaskNetwork,
  trainExperiment,
  type TrainingConfig,
  type TrainOptions,
  type TrainResult,
} from "../../experiment/mod.ts";
import { CLASSIFIER_VALUES, linear } from "../../models/mod.ts";
import { add, mul } from "../../onnx/mod.ts";
import { InputError, Random, tensor } from "../../runtime/mod.ts";
import { distillation, hintLoss } from "../../train/mod.ts";
import type { DistilledConfig } from "./config.ts";
import type { TeacherAnswers, TeacherFile } from "./teacher_file.ts";

/** The loss's inputs: labels as distributions, the teacher's probabilities, both [N, classes], and its features [N, D]. */
const INPUTS = { targets: "targets", teacher: "teacher", features: "teacher_features" } as const;
/** The student's features as the hints compare them, there for training only. */
const REGRESSOR = "hint";

/** Settings of `distillProbabilities`: those of `trainExperiment` with a distillation's settings. */
export interface DistillProbabilitiesOptions extends Omit<TrainOptions, "config" | "task" | "recorded"> {
  /** From `readDistilledConfig`. */
  readonly config: DistilledConfig;
  /** From `readTeacher`: answers to all pictures of train and validation. */
  readonly teacher: TeacherFile;
}

/**
 * Trains a student as `trainExperiment` trains a network: the same pictures, schedule, guard, checkpoints and resuming. The teacher's
 * answers are of the plain picture, the student sees it augmented (as Hinton et al. 2015 train on one set of soft targets). The
 * shipped model.onnx is an ordinary classifier of pictures. The teacher stands in the log by its hash. Throws InputError for a picture
 * that the teacher was not asked about, for species that it does not know, and for hints without features; else as `trainExperiment`.
 */
export async function distillProbabilities(
  { config, teacher, ...options }: DistillProbabilitiesOptions,
): Promise<TrainResult> {
  const { train, validation } = options.data.rows;
  const lookUp = teacherLookUp(teacher, options.data.classes.map(({ dex }) => dex));
  for (const { id } of [...train, ...validation]) lookUp.expect(id);
  return await trainExperiment({
    ...{ ...options, config },
    task: (settings, { classes, seed }) =>
      distilledTask(settings, { lookUp, classes, seed, distillation: config.distillation }),
    recorded: { teacher: { name: teacher.teacher, identity: teacher.identity } },
  });
}

/** A teacher's rows by picture, with columns in the order of a student's classes. */
export interface TeacherLookUp {
  /** Numbers of the teacher's features; undefined without. */
  readonly width: number | undefined;
  /** Throws InputError unless the teacher was asked about the picture. */
  expect(picture: string): void;
  /** [pictures, classes], each row of sum 1; without the classes that the student does not have. */
  probabilities(pictures: readonly string[]): Float32Array;
  /** [pictures, D]. */
  features(pictures: readonly string[]): Float32Array;
}

/** Throws InputError for a species that the teacher does not know. */
export function teacherLookUp(
  { teacher, probabilities, features, pictures, dex }: TeacherAnswers,
  wanted: readonly number[],
): TeacherLookUp {
  const columnOf = new Map(dex.map((number, column) => [number, column]));
  const columns = wanted.map((number) => {
    const column = columnOf.get(number);
    if (column !== undefined) return column;
    throw new InputError(`teacher ${teacher}: expected to know species ${number}, found ${dex.length} others`);
  });
  const rowOf = new Map(pictures.map((picture, row) => [picture, row]));
  const find = (picture: string) => {
    const row = rowOf.get(picture);
    if (row !== undefined) return row;
    throw new InputError(`teacher ${teacher}: expected an answer to picture ${picture}, found none`);
  };
  return {
    width: features?.shape[1],
    expect: (picture) => void find(picture),
    probabilities(asked) {
      const result = new Float32Array(asked.length * wanted.length);
      for (const [to, picture] of asked.entries()) {
        const from = find(picture) * dex.length;
        const own = columns.map((column) => probabilities.data[from + column]!);
        const sum = own.reduce((total, value) => total + value, 0);
        // A teacher that sees none of the student's species says nothing of them: all are as likely.
        own.forEach((value, c) => result[to * wanted.length + c] = sum > 0 ? value / sum : 1 / wanted.length);
      }
      return result;
    },
    features(asked) {
      if (!features) throw new InputError(`teacher ${teacher}: expected features for hints, found none`);
      const width = features.shape[1]!, result = new Float32Array(asked.length * width);
      for (const [to, picture] of asked.entries()) {
        const row = find(picture);
        result.set(features.data.subarray(row * width, (row + 1) * width), to * width);
      }
      return result;
    },
  };
}

/** A classifier of the settings with the loss of a student. Throws InputError for hints without a teacher's features. */
export function distilledTask(
  config: TrainingConfig,
  { lookUp, classes, seed, distillation: { temperature, weight, hints } }: {
    readonly lookUp: TeacherLookUp;
    readonly classes: number;
    readonly seed: number;
    readonly distillation: DistilledConfig["distillation"];
  },
): TaskNetwork {
  const { graph, spec: { size } } = buildClassifierOf(config.model, { classes, seed }), { width } = lookUp;
  const { labelSmoothing } = config.loss;
  if (hints > 0) {
    if (width === undefined) throw new InputError("distillation.hints: expected a teacher with features, found none");
    const random = Random.seeded("hint", seed), features = graph.value(CLASSIFIER_VALUES.features);
    graph.output(linear(features, { name: REGRESSOR, outputs: width, random }), REGRESSOR);
  }
  return logitsTask(config, {
    ...{ graph, classes, size },
    loss({ output, input }) {
      const logits = output(CLASSIFIER_VALUES.logits);
      const [targets, teacher] = [INPUTS.targets, INPUTS.teacher].map((name) => input(name, "float32", logits.shape));
      const { loss, ...metrics } = distillation(logits, targets!, teacher!, { temperature, weight, labelSmoothing });
      if (hints === 0) return { loss, metrics };
      const own = output(REGRESSOR), hint = hintLoss(own, input(INPUTS.features, "float32", own.shape));
      return { loss: add(loss, mul(hint, hints / width!)), metrics: { ...metrics, hint } };
    },
    targets({ targets, ids }) {
      const n = ids.length;
      return {
        [INPUTS.targets]: sharesOf(targets, classes),
        [INPUTS.teacher]: tensor("float32", [n, classes], lookUp.probabilities(ids)),
        ...(hints > 0 ? { [INPUTS.features]: tensor("float32", [n, width!], lookUp.features(ids)) } : {}),
      };
    },
  });
}
