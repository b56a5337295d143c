/** The settings of a detector's training: one YAML file, checked strictly, with the overlay of a profile. */

import { dirname, join, relative, resolve, sep } from "node:path";
import { z } from "zod";
import { augment, type Transform } from "../data/mod.ts";
import { CLASSIFIER_STRIDE, IMAGE_PROBABILITIES } from "../models/mod.ts";
import { describeError, exists, readConfig } from "../runtime/mod.ts";
import { VIEWS } from "./graphs.ts";
import { projectFolder } from "./settings.ts";

const share = z.number().min(0).max(1);
const positive = z.number().positive();
const count = z.int().min(1);
const byte = z.int().min(0).max(255);
/** The probability that something is dropped. */
const ratio = z.number().min(0).lt(1);
/** Names of parameters: `*` stands for any characters. */
const pattern = z.string().min(1);
const patterns = z.union([pattern, z.array(pattern).min(1)], { error: "a name of parameters, or a list of names" });

/** A transform of lib/data, or the name of one of its presets. */
const transformSpec = z.looseObject({ name: z.string() });
const augmentation = z.union([z.enum(["none", "light", "full"]), z.array(transformSpec)], {
  error: "none, light, full or a list of transforms {name, options}",
}).superRefine((value, context) => {
  try {
    augmentationOf(value);
  } catch (error) {
    context.addIssue({ code: "custom", message: describeError(error).replace(/^augmentation:? ?(expected )?/, "") });
  }
});

/** The coarsest stride of the detectors. */
const DETECTOR_STRIDE = 32;
/** Networks that find boxes. */
const DETECTORS = ["yolov3", "yolov3-tiny"] as const;
/** Networks that name the whole picture. */
const CLASSIFIERS = ["residual", "mobilenet", "efficientnet", "c2f"] as const;

/** The name of a classifier. */
export type ClassifierFamily = typeof CLASSIFIERS[number];

/** Whether a family's networks name the whole picture rather than find boxes. */
export function isClassifier(family: string): family is ClassifierFamily {
  return (CLASSIFIERS as readonly string[]).includes(family);
}

const model = z.strictObject({
  family: z.enum([...DETECTORS, ...CLASSIFIERS]),
  /** Multiplies channels, rounded to multiples of 8. */
  width: z.number().positive().max(64).default(1),
  /** Multiplies the numbers of residual blocks. */
  depth: z.number().positive().max(64).default(1),
  /** Side of the input, pixels. */
  size: z.int().min(32).max(2048).multipleOf(CLASSIFIER_STRIDE, { error: `a multiple of ${CLASSIFIER_STRIDE} pixels` }),
  /** Width and height in pixels of the input, small ones first; default: the published ones, scaled from 416 px. */
  anchors: z.array(z.tuple([positive, positive])).optional(),
  /** Fresh weights, a file (.weights of Darknet, a checkpoint), or the name of published weights. */
  pretrained: z.string().min(1).default("none"),
  /** Weights that stay fresh whatever the checkpoint of `pretrained` holds: names, `*` for any characters. */
  fresh: z.array(pattern).default([]),
  /** Ratio of dropout before each last layer. */
  dropout: ratio.default(0),
  /** Ratio of stochastic depth in the last residual block; those before have less, in a straight line. */
  dropPath: ratio.default(0),
});

/** Easy pictures first. */
const curriculum = z.strictObject({
  /** How the share of each species' pictures that an epoch draws from grows, easy ones first. */
  pacing: z.enum(["none", "linear", "root"]).default("none"),
  /** The share in the first epoch. */
  start: z.number().positive().max(1).default(0.3),
  /** The first epoch that has everything. */
  epochs: positive.default(10),
  /** How hard a style is (`pictureStyle`): from 0, the easiest, to 1. */
  styles: z.record(z.string(), share).default({}),
  /** Styles that are not named. */
  other: share.default(0.5),
});

const data = z.strictObject({
  /** A picture's box: the whole frame, as its label says, or what is not transparent. */
  boxes: z.enum(["frame", "content"]).default("frame"),
  /** What fills the network's input: the whole picture, or the part of it that is not transparent, so that margins do not matter. */
  view: z.enum(["picture", "content"]).default("picture"),
  /** Behind what is still transparent: a scene that belongs to the picture, or red, green, blue. */
  background: z.union([z.literal("fixed"), z.tuple([byte, byte, byte])], { error: "fixed or [red, green, blue]" })
    .default("fixed"),
  augmentation: augmentation.default("none"),
  /** A style of pictures (`pictureStyle`) that is left out of training and validation; the test is of its pictures alone. */
  without: z.string().min(1).optional(),
  /** Of the training pictures only so many, by whole groups of near-duplicates: for a learning curve. */
  share: z.number().positive().max(1).default(1),
  /**
   * groupBalanced: a group of near-duplicates counts once, and every species as often. positivePairs: of each species in a
   * batch two pictures, as unlike each other as there are.
   */
  sampler: z.enum(["shuffled", "classBalanced", "groupBalanced", "positivePairs"]).default("shuffled"),
  curriculum: curriculum.prefault({}),
  /** Of each batch this share is drawn from the species that the validation before last took for each other. */
  hard: z.strictObject({ share: share.default(0) }).prefault({}),
});

const loss = z.strictObject({
  box: z.enum(["squares", "darknet", "iou", "giou", "diou", "ciou"]).default("darknet"),
  class: z.enum(["sigmoid", "softmax"]).default("sigmoid"),
  gains: z.strictObject({
    box: z.number().min(0).default(1),
    objectness: z.number().min(0).default(1),
    noObject: z.number().min(0).default(1),
    /** Of a classifier: of the cross-entropy. 0 trains the body alone, by the contrastive loss. */
    class: z.number().min(0).default(1),
  }).prefault({}),
  /** Of a classifier: pictures of one species together, others apart (the supervised contrastive loss), on a head of its own. */
  contrastive: z.strictObject({
    /** 0: without. */
    weight: z.number().min(0).default(0),
    temperature: positive.default(0.1),
    /** Size of the embedding. */
    outputs: count.default(128),
  }).prefault({}),
  labelSmoothing: share.default(0),
  /** λ of Network Slimming: λ · Σ |γ| over the scales of all batch normalisations, which makes channels that can be pruned. Default: without. */
  sparsity: positive.optional(),
  ignoreThreshold: share.default(0.7),
  anchorThreshold: z.number().positive().max(1).optional(),
  neighbours: z.boolean().default(false),
  maxBoxes: count.default(20),
  normalisation: z.enum(["positives", "pictures"]).default("positives"),
});

const optimizer = z.strictObject({
  name: z.enum(["sgd", "adam", "adamw", "lion", "lamb"]),
  /** Of sgd only. */
  momentum: z.number().min(0).lt(1).default(0.9),
  nesterov: z.boolean().default(false),
  /** Of matrices and kernels, not of biases and normalisations. */
  weightDecay: z.number().min(0).default(0),
  /** Other rates of decay, for the parameters that a pattern names; the first that matches counts. */
  decayGroups: z.array(z.strictObject({ pattern: patterns, rate: z.number().min(0) })).default([]),
  /** Factors of the learning rate, for the parameters that a pattern names; the first that matches counts. */
  multipliers: z.array(z.strictObject({ pattern: patterns, factor: z.number().min(0) })).default([]),
  /** Largest common length of all gradients. */
  clipNorm: positive.optional(),
});

const schedule = z.strictObject({
  kind: z.enum(["cosine", "oneCycle", "constant", "linear", "step"]),
  /** The highest rate. */
  learningRate: positive,
  /** Epochs in which the rate rises to it. */
  warmUpEpochs: z.number().min(0).default(0),
  /** The last rate, as a share of the highest: of cosine and linear. */
  floor: share.default(0),
  /** Of step: the epochs at which the rate is multiplied by `factor`. */
  milestones: z.array(z.number().positive()).default([]),
  factor: z.number().positive().max(1).default(0.1),
});

const spike = <Response extends string>(responses: readonly [Response, ...Response[]]) =>
  z.union([
    z.literal(false),
    z.strictObject({
      response: z.enum(responses).exactOptional(),
      deviations: positive.exactOptional(),
      window: count.exactOptional(),
      warmUp: count.exactOptional(),
    }),
  ]);
const response = z.enum(["log", "rollback", "stop"]);

/** What of the collapse guard is not as `fit` has it by default; false: a detector, or the guard, is off. */
const guard = z.union([
  z.literal(false),
  z.strictObject({
    nonFinite: z.enum(["skip", "rollback", "stop"]).exactOptional(),
    lossSpike: spike(["log", "skip", "rollback", "stop"]).exactOptional(),
    gradientSpike: spike(["log", "skip", "rollback", "stop"]).exactOptional(),
    lasting: z.union([
      z.literal(false),
      z.strictObject({ steps: count.exactOptional(), response: response.exactOptional() }),
    ]).exactOptional(),
    validationFall: z.union([
      z.literal(false),
      z.strictObject({
        response: response.exactOptional(),
        share: share.exactOptional(),
        deviations: positive.exactOptional(),
        /** Figures of a training that has learnt next to nothing jump about. */
        least: z.number().min(0).default(0.02),
        warmUp: count.exactOptional(),
      }),
    ]).prefault({}),
    averageDistance: spike(["log", "rollback", "stop"]).exactOptional(),
    rateFactor: z.number().positive().max(1).default(0.5),
    mostRollbacks: z.int().min(0).default(3),
  }),
]);

const training = z.strictObject({
  epochs: count,
  /** Pictures in a step. */
  batch: count,
  /** Pictures in a step, taken in parts of `batch`. */
  nominalBatch: count.optional(),
  /** Of the moving average of the weights that is validated and shipped. */
  averageDecay: z.number().gt(0).lt(1).optional(),
  /** Epochs from one validation to the next. */
  validateEvery: count.default(1),
  /** The validation figure that decides the best weights; a loss counts downwards. */
  monitor: z.enum(["top1", "top5", "mAP50", "mAP50_95", "nll", "loss"]).default("mAP50"),
  /** Stop after so many validations without a better one. */
  patience: count.optional(),
  /** Stop after so many minutes of this call, or after so many steps in all. */
  minutes: positive.optional(),
  steps: count.optional(),
  checkpoint: z.strictObject({
    everyEpochs: count.default(10),
    everySteps: count.optional(),
    everyMinutes: positive.optional(),
    /** How many of the newest stay beside the best. */
    keep: count.default(3),
  }).prefault({}),
  guard: guard.prefault({}),
  backup: z.strictObject({
    /** The folder that gets a copy of the run's folder; relative to the working folder. */
    to: z.string().min(1).optional(),
    everyMinutes: positive.default(30),
  }).prefault({}),
  /** Further folders of runs that a resume looks into. */
  resumeFrom: z.array(z.string().min(1)).default([]),
  /** Names of values between which the forward pass is computed a second time, to need less memory. */
  recompute: z.array(z.string()).default([]),
});

const prediction = z.strictObject({
  /** What the class outputs are taken for; as the loss unless said otherwise. */
  classProbabilities: z.enum(["sigmoid", "softmax"]).optional(),
  /** How the cells' scores become one distribution over the classes; auto: what is best on validation. */
  how: z.enum([...IMAGE_PROBABILITIES, "auto"]).default("auto"),
  /** What the shipped model averages over: the picture alone, with its mirror image, or with five crops. */
  views: z.enum(VIEWS).default("none"),
});

const all = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9 ._-]*$/, "a name of letters, digits, spaces, . _ and -"),
  model,
  data: data.prefault({}),
  loss: loss.prefault({}),
  optimizer,
  schedule,
  training,
  prediction: prediction.prefault({}),
});

/** Parts of the settings that trainings of other kinds have too. */
export const trainingParts = {
  name: all.shape.name,
  augmentation,
  byte,
  count,
  optimizer,
  positive,
  ratio,
  schedule,
  share,
  training,
};

/** All settings of a training; `configs/yolov3/improved.yaml` says what each is for. */
export const trainingConfigSchema = all.superRefine((config, context) => {
  for (const { path, message } of contradictions(config)) context.addIssue({ code: "custom", path, message });
});

/** A setting that does not go with the others, and what was expected in its place. */
interface Contradiction {
  readonly path: string[];
  readonly message: string;
}

function* contradictions(config: z.output<typeof all>): Generator<Contradiction> {
  const { model: { family, anchors, size, dropPath }, loss, schedule, training } = config;
  if (isClassifier(family)) {
    if (["mAP50", "mAP50_95"].includes(training.monitor)) {
      yield {
        path: ["training", "monitor"],
        message: `top1, top5, nll or loss for the family ${family}, which finds no boxes`,
      };
    }
    if (loss.gains.class === 0 && loss.contrastive.weight === 0) {
      yield {
        path: ["loss", "gains", "class"],
        message: "a gain above 0 where loss.contrastive.weight is 0: nothing would be learned",
      };
    }
  } else {
    if (size % DETECTOR_STRIDE !== 0) {
      yield { path: ["model", "size"], message: `a multiple of ${DETECTOR_STRIDE} pixels` };
    }
    if (loss.contrastive.weight > 0) {
      yield { path: ["loss", "contrastive", "weight"], message: `0 for the family ${family}, which has many places` };
    }
  }
  const expected = isClassifier(family) ? 0 : family === "yolov3" ? 9 : 6;
  if (anchors && anchors.length !== expected) {
    yield { path: ["model", "anchors"], message: `${expected} anchors for ${family}` };
  }
  if (dropPath > 0 && WITHOUT_BRANCHES.includes(family)) {
    yield { path: ["model", "dropPath"], message: `0 for the family ${family}, which has no residual blocks` };
  }
  if (schedule.warmUpEpochs >= training.epochs) {
    yield { path: ["schedule", "warmUpEpochs"], message: `fewer than the ${training.epochs} epochs of training` };
  }
  yield* samplerContradictions(config);
}

function* samplerContradictions({ data, loss, training }: z.output<typeof all>): Generator<Contradiction> {
  const { sampler, hard, curriculum: { pacing, styles } } = data;
  if (pacing !== "none" && Object.keys(styles).length === 0) {
    yield { path: ["data", "curriculum", "styles"], message: "styles with their difficulties for a curriculum" };
  }
  if (sampler === "positivePairs") {
    if (hard.share > 0) {
      yield { path: ["data", "hard", "share"], message: "0 with the sampler positivePairs, whose pairs it would part" };
    }
    if (training.batch % 2 !== 0) {
      yield { path: ["training", "batch"], message: "an even number with the sampler positivePairs" };
    }
  }
  if (loss.contrastive.weight === 0) return;
  if (sampler !== "positivePairs") {
    yield { path: ["data", "sampler"], message: "positivePairs for loss.contrastive" };
  }
  const mixing = mixingTransform(data.augmentation);
  if (mixing) {
    yield {
      path: ["data", "augmentation"],
      message: `no ${mixing} with loss.contrastive, which takes a picture for one species`,
    };
  }
}

/** Families without residual blocks. */
const WITHOUT_BRANCHES: readonly string[] = ["yolov3-tiny"];
/** Transforms that put several species into one picture. */
const MIXING = ["mixup", "mosaic", "scene"] as const;

/** The name of a transform in an augmentation, or within one of it, that puts several species into one picture; or undefined. */
export function mixingTransform(setting: TrainingConfig["data"]["augmentation"]): string | undefined {
  const transform = augmentationOf(setting);
  return MIXING.find((name) => namesTransform(transform, name));
}

/** Whether a transform, or one within it, has this name. */
function namesTransform({ name, options }: Transform, wanted: string): boolean {
  return name === wanted || JSON.stringify(options).includes(`"name":"${wanted}"`);
}

export type TrainingConfig = z.output<typeof trainingConfigSchema>;

/**
 * Reads a training's settings. For a file below a folder `configs`, the file of the same place below
 * `configs/profiles/PROFILE` is laid over it, where there is one. Throws InputError that names file, line and column.
 */
export async function readTrainingConfig(
  path: string,
  { profile }: { readonly profile?: string | undefined } = {},
): Promise<TrainingConfig> {
  const overlay = profile === undefined ? undefined : overlayPath(path, profile);
  return await readConfig(path, trainingConfigSchema, overlay && await exists(overlay) ? [overlay] : []);
}

/** `…/configs/A/B.yaml` → `…/configs/profiles/PROFILE/A/B.yaml`; undefined for a file that lies below no such folder. */
export function overlayPath(path: string, profile: string): string | undefined {
  const full = resolve(path);
  const parts = dirname(full).split(sep);
  const own = join(projectFolder, "configs");
  const at = full.startsWith(own + sep) ? own : parts.slice(0, parts.lastIndexOf("configs") + 1).join(sep);
  return at === "" ? undefined : join(at, "profiles", profile, relative(at, full));
}

/** The transform of `data.augmentation`. Throws InputError for one that lib/data does not know. */
export function augmentationOf(setting: TrainingConfig["data"]["augmentation"]): Transform {
  if (setting === "none") return augment.unchanged();
  if (setting === "light") return augment.lightAugmentation();
  if (setting === "full") return augment.fullAugmentation();
  return augment.chain(...setting.map(augment.reviveTransform));
}
