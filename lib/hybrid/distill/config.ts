/** The settings of a distillation: those of a classifier's training, and how it learns from its teacher's probabilities. */

import { z } from "zod";
import { isClassifier, mixingTransform, overlayPath, trainingConfigSchema } from "../../experiment/mod.ts";
import { exists, readConfig } from "../../runtime/mod.ts";

const distillation = z.strictObject({
  /** Names or folders of the models whose mean answers teach, or a file of answers; see `askTeachers`. Default: as `--teacher` says. */
  teachers: z.array(z.string().min(1)).min(1).optional(),
  /** T; see `distillation` of lib/train. */
  temperature: z.number().positive().default(4),
  /** α: what the teacher counts, the labels 1 − α. */
  weight: z.number().min(0).max(1).default(0.9),
  /** What the hints count (`hintLoss` a number of the teacher's features); 0: none. */
  hints: z.number().min(0).default(0),
});

/** All settings of a distilled student; `configs/hybrid/distilled.yaml` says what each is for. */
export const distilledConfigSchema = trainingConfigSchema.safeExtend({
  kind: z.literal("distilled"),
  distillation: distillation.prefault({}),
}).superRefine(({ model, data, loss }, context) => {
  const refuse = (path: string[], message: string) => context.addIssue({ code: "custom", path, message });
  if (!isClassifier(model.family)) refuse(["model", "family"], "a classifier's family for a student");
  if (loss.contrastive.weight > 0) {
    refuse(["loss", "contrastive", "weight"], "0 for a student, which learns by distillation");
  }
  if (loss.gains.class !== 1) {
    refuse(["loss", "gains", "class"], "1 for a student: distillation.weight says what labels count");
  }
  if (loss.sparsity !== undefined) refuse(["loss", "sparsity"], "no sparsity for a student");
  const mixing = mixingTransform(data.augmentation);
  if (mixing) refuse(["data", "augmentation"], `no ${mixing}: no cached probabilities are of a mixed picture`);
});

export type DistilledConfig = z.output<typeof distilledConfigSchema>;

/** Reads a distillation's settings with the overlay of a profile, as `readTrainingConfig`. Throws InputError with file, line and column. */
export async function readDistilledConfig(
  path: string,
  { profile }: { readonly profile?: string | undefined } = {},
): Promise<DistilledConfig> {
  const overlay = profile === undefined ? undefined : overlayPath(path, profile);
  return await readConfig(path, distilledConfigSchema, overlay && await exists(overlay) ? [overlay] : []);
}
