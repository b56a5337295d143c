/** The student: a small picture network that ends in an embedding, with the teacher's prototypes as its classifier. */

import {
  buildClassifierOf,
  logitsTask,
  sharesOf,
  type TaskNetwork,
  type TrainingConfig,
} from "../../experiment/mod.ts";
import { CLASSIFIER_VALUES, dropout, projectionHead } from "../../models/mod.ts";
import { type Graph, removeDead, type Tensor } from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { unitRows } from "../../train/mod.ts";
import { distillationLoss, type DistillationOptions, prototypeLogits } from "./losses.ts";
import type { TeacherTargets } from "./teacher_targets.ts";

/** Names in a student's graph: its embedding [N, D] of length 1, and what the loss is fed besides the pictures. */
export const STUDENT_VALUES = { embedding: "image_embeds", teacher: "teacher", targets: "targets" } as const;

/** Settings of `buildStudent`. */
export interface StudentOptions {
  /** [C, D], rows of length 1; constants of the network. */
  readonly prototypes: Tensor<"float32">;
  /** Of the cosines with the prototypes. */
  readonly scale: number;
  readonly seed: number;
}

/**
 * A classifier's body, a projection (`projectionHead`) from its features to the teacher's dimension, and the length brought to 1:
 * "images" [N, 3, size, size] to "image_embeds" [N, D] and "logits" [N, C], the scaled cosines with the prototypes. As the
 * projection ships with it, the student lives in the teacher's space whatever its width, and any text that the teacher
 * embeds is a class of the student.
 */
export function buildStudent(
  model: TrainingConfig["model"],
  { prototypes, scale, seed }: StudentOptions,
): { readonly graph: Graph; readonly size: number } {
  const [classes, dimension] = prototypes.shape as [number, number];
  const { graph, spec: { size } } = buildClassifierOf(model, { classes: Math.max(2, classes), seed });
  const features = graph.value(CLASSIFIER_VALUES.features);
  const name = "projection", random = Random.seeded("weights", seed);
  const kept = dropout(features, { name: `${name}.drop`, ratio: model.dropout });
  const embedding = unitRows(projectionHead(kept, { name, random, outputs: dimension }));
  graph.removeOutput(graph.value(CLASSIFIER_VALUES.logits));
  graph.output(embedding, STUDENT_VALUES.embedding);
  removeDead(graph, { parameters: true });
  const rows = graph.constant(prototypes, { name: "prototypes" });
  graph.output(prototypeLogits(graph.value(STUDENT_VALUES.embedding), rows, scale), CLASSIFIER_VALUES.logits);
  return { graph, size };
}

/** The task of a training: the student of the settings, and what it learns by. */
export function studentTask(
  config: TrainingConfig,
  { targetsOf, ...options }: StudentOptions & DistillationOptions & { readonly targetsOf: TeacherTargets },
): TaskNetwork {
  const { graph, size } = buildStudent(config.model, options);
  const { embedding, teacher, targets } = STUDENT_VALUES, [classes] = options.prototypes.shape as [number];
  return logitsTask(config, {
    ...{ graph, classes, size, outputs: [embedding] },
    loss({ output, input }) {
      const student = output(embedding), logits = output(CLASSIFIER_VALUES.logits);
      return distillationLoss({
        ...{ student, logits },
        teacher: input(teacher, "float32", student.shape),
        targets: input(targets, "float32", logits.shape),
      }, options);
    },
    targets: async (batch) => ({
      [teacher]: await targetsOf(batch),
      [targets]: sharesOf(batch.targets, classes),
    }),
  });
}
