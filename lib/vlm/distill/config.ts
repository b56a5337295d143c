/** The settings of a student's training: those of a classifier's, and how it learns from its teacher. */

import { z } from "zod";
import { isClassifier, mixingTransform, overlayPath, trainingConfigSchema } from "../../experiment/mod.ts";
import { exists, readConfig } from "../../runtime/mod.ts";

const weight = z.number().min(0);

const distill = z.strictObject({
  /**
   * "cached": the teacher sees each stored picture once, plain and as large as it is; the student learns to give that embedding
   * for whatever an augmentation made of it. "augmented": the teacher sees what the student sees, in each step.
   */
  targets: z.enum(["cached", "augmented"]).default("cached"),
  weights: z.strictObject({
    features: weight.default(1),
    structure: weight.default(1),
    labels: weight.default(0.5),
  }).prefault({}),
  metric: z.enum(["cosine", "mse"]).default("cosine"),
  structure: z.strictObject({
    kind: z.enum(["kl", "preserving"]).default("kl"),
    temperature: z.number().positive().default(0.1),
  }).prefault({}),
  /** Of the cosines with the prototypes; default: the teacher's own. */
  scale: z.number().positive().optional(),
});

/** All settings of a student; `configs/clip/student.yaml` says what each is for. */
export const studentConfigSchema = trainingConfigSchema.safeExtend({
  kind: z.literal("student"),
  distill: distill.prefault({}),
}).superRefine(({ model, data, loss, prediction, distill: { targets, weights } }, context) => {
  const refuse = (path: string[], message: string) => context.addIssue({ code: "custom", path, message });
  if (!isClassifier(model.family)) refuse(["model", "family"], "a classifier's family for a student");
  if (loss.contrastive.weight > 0) {
    refuse(["loss", "contrastive", "weight"], "0 for a student: distill.weights say what it learns by");
  }
  if (loss.gains.class !== 1) {
    refuse(["loss", "gains", "class"], "1 for a student: distill.weights say what it learns by");
  }
  if (prediction.views !== "none") {
    refuse(["prediction", "views"], "none for a student, whose embedding is of the picture alone");
  }
  if (Object.values(weights).every((each) => each === 0)) refuse(["distill", "weights"], "one above 0");
  const mixing = mixingTransform(data.augmentation);
  if (targets === "cached" && mixing) {
    refuse(["distill", "targets"], `augmented with ${mixing}: no cached embedding is of a mixed picture`);
  }
});

export type StudentConfig = z.output<typeof studentConfigSchema>;

/** Reads a student's settings with the overlay of a profile, as `readTrainingConfig`. Throws InputError with file, line and column. */
export async function readStudentConfig(
  path: string,
  { profile }: { readonly profile?: string | undefined } = {},
): Promise<StudentConfig> {
  const overlay = profile === undefined ? undefined : overlayPath(path, profile);
  return await readConfig(path, studentConfigSchema, overlay && await exists(overlay) ? [overlay] : []);
}
