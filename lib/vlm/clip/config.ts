/** The settings of a CLIP's training: one YAML file, checked strictly, with the overlay of a profile. */

import { z } from "zod";
import { overlayPath, trainingParts } from "../../experiment/mod.ts";
import { CLASSIFIER_STRIDE } from "../../models/mod.ts";
import { exists, readConfig } from "../../runtime/mod.ts";
import { species } from "../../species/mod.ts";

const { augmentation, byte, count, optimizer, positive, ratio, schedule, share } = trainingParts;

const model = z.strictObject({
  /** Multiplies the channels of the image tower. */
  width: z.number().positive().max(64).default(0.75),
  /** Multiplies its residual blocks. */
  depth: z.number().positive().max(64).default(1),
  /** Side of the input, pixels. */
  size: z.int().min(32).max(512).multipleOf(CLASSIFIER_STRIDE, { error: `a multiple of ${CLASSIFIER_STRIDE} pixels` }),
  /** Ratio of stochastic depth in the last residual block; those before have less, in a straight line. */
  dropPath: ratio.default(0),
  /** Numbers of an embedding. */
  dimension: count.default(256),
  text: z.strictObject({
    width: count.default(128),
    layers: count.default(3),
    heads: count.default(4),
    /** The most tokens of a text, start and end among them. */
    context: z.int().min(4).default(32),
    /** The most different tokens. */
    vocabulary: z.int().min(514).default(3072),
  }).prefault({}),
});

const data = z.strictObject({
  /** Behind what is still transparent: red, green, blue. */
  background: z.tuple([byte, byte, byte]).default([114, 114, 114]),
  augmentation: augmentation.default("none"),
});

const heldOut = z.strictObject({
  /** The share of all species of which training sees neither pictures nor captions. */
  share: share.default(0.25),
  /** Chooses them, whatever the training's own seed is. */
  seed: z.int().min(0).default(1025),
  /** These dex numbers in place of a share. */
  species: z.array(z.int().min(1).max(species.length)).optional(),
});

const loss = z.strictObject({
  /** Captions of species that are in no picture of the batch, as further rivals of its own: image to text only. */
  negatives: z.int().min(0).default(16),
  names: z.strictObject({
    /** Of the cross entropy of pictures among the names of the batch and further ones; 0: without. */
    weight: z.number().min(0).default(0.5),
    /** Further names. */
    negatives: z.int().min(0).default(32),
  }).prefault({}),
  /**
   * A prototype of each trained species in the same space, learned, and not in what ships: pictures and texts are classified by them
   * (Movshovitz-Attias et al. 2017, proxies; Yang et al. 2022, UniCL, labels beside captions). 0 and 0: without.
   */
  species: z.strictObject({
    /** Of the pictures' cross entropy among all trained species. */
    pictures: z.number().min(0).default(1),
    /** Of the captions' and names'. */
    texts: z.number().min(0).default(0.5),
    labelSmoothing: ratio.default(0.1),
  }).prefault({}),
  /** What cosines are multiplied by at first: 1 / temperature (Radford et al. 2021, section 2.5). */
  scale: positive.max(100).default(1 / 0.07),
});

const training = trainingParts.training.omit({ nominalBatch: true, recompute: true, resumeFrom: true, backup: true })
  .extend({
    /** The validation figure that decides the best weights. */
    monitor: z.enum(["top1", "top5", "heldOutTop1", "heldOutTop5"]).default("top1"),
  });

/** All settings; `configs/clip/small.yaml` says what each is for. */
export const clipConfigSchema = z.strictObject({
  kind: z.literal("clip"),
  name: trainingParts.name,
  model,
  data: data.prefault({}),
  heldOut: heldOut.prefault({}),
  captions: z.strictObject({
    /** The share of captions with the species' name. */
    names: share.default(0.5),
    /** Captions of each picture from which the tokenizer learns. */
    sample: count.default(3),
  }).prefault({}),
  loss: loss.prefault({}),
  optimizer,
  schedule,
  training,
}).superRefine(({ model: { text }, schedule, training }, context) => {
  const issue = (path: string[], message: string) => context.addIssue({ code: "custom", path, message });
  if (text.width % text.heads !== 0) issue(["model", "text", "heads"], `heads that divide the width, ${text.width}`);
  if (training.batch < 2) issue(["training", "batch"], "at least 2 pictures, which are each other's negatives");
  if (schedule.warmUpEpochs >= training.epochs) {
    issue(["schedule", "warmUpEpochs"], `fewer than the ${training.epochs} epochs of training`);
  }
});

/** Settings of a CLIP's training. */
export type ClipConfig = z.output<typeof clipConfigSchema>;

/** Reads the settings, a profile's overlay over them. Throws InputError that names file, line and column. */
export async function readClipConfig(
  path: string,
  { profile }: { readonly profile?: string | undefined } = {},
): Promise<ClipConfig> {
  const overlay = profile === undefined ? undefined : overlayPath(path, profile);
  return await readConfig(path, clipConfigSchema, overlay && await exists(overlay) ? [overlay] : []);
}
