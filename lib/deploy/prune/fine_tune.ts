/** Fine-tuning of a pruned classifier: a training of lib/experiment, with the unpruned network as its teacher. */

import { stopGradient } from "../../autodiff/mod.ts";
import {
  logitsTask,
  type ModelPackage,
  sharesOf,
  type TaskBuilder,
  type TrainingConfig,
  trainingConfigSchema,
} from "../../experiment/mod.ts";
import { CLASSIFIER_VALUES } from "../../models/mod.ts";
import { copyGraph, type Graph, inline, softmax } from "../../onnx/mod.ts";
import { crossEntropy, distillation } from "../../train/mod.ts";

/** Settings of fine-tuning. */
export interface FineTuneSettings {
  /** Default: 3. */
  readonly epochs?: number;
  /** Stop after so many steps; default: all epochs. */
  readonly steps?: number;
  /** The highest rate, a tenth of what networks start with: the weights are trained already. It falls to 0. Default: 0.01. */
  readonly learningRate?: number;
  /** Pictures in a step. Default: 64. */
  readonly batch?: number;
  /** Default: those of a classifier's last epochs, `PRUNED_AUGMENTATION`. */
  readonly augmentation?: TrainingConfig["data"]["augmentation"];
  /** α: what the unpruned network's answer counts, the labels 1 − α; 0: without it, which takes less time. Default: 0.5. */
  readonly teacherWeight?: number;
  /** T of `distillation`. Default: 2. */
  readonly temperature?: number;
}

/** Moves, sizes and colours; nothing that a network of half the size would have to learn anew. */
export const PRUNED_AUGMENTATION: TrainingConfig["data"]["augmentation"] = [
  { name: "flip" },
  { name: "rotation", options: { degrees: 15 } },
  { name: "scale", options: { lowest: 0.8, highest: 1.2 } },
  { name: "translation", options: { share: 0.08 } },
  { name: "background" },
  { name: "brightness", options: { strength: 0.2 } },
  { name: "contrast", options: { strength: 0.2 } },
  { name: "saturation" },
  { name: "hue" },
];

/** The settings of the training, made from what a model's card says of pictures. Throws ZodError for what they cannot be. */
export function fineTuneConfig(
  { decode, input, trainedOn }: ModelPackage["card"],
  name: string,
  { epochs = 3, steps, learningRate = 0.01, batch = 64, augmentation = PRUNED_AUGMENTATION }: FineTuneSettings,
): TrainingConfig {
  return trainingConfigSchema.parse({
    name,
    model: { family: decode.family, size: input.size },
    data: { view: input.view, background: trainedOn.background, boxes: trainedOn.boxes, augmentation },
    optimizer: { name: "sgd", momentum: 0.9, nesterov: true, weightDecay: 1e-4, clipNorm: 5 },
    schedule: { kind: "cosine", learningRate, warmUpEpochs: Math.min(0.25, epochs / 4) },
    training: {
      ...{ epochs, batch, monitor: "top1", averageDecay: 0.99 },
      ...(steps === undefined ? {} : { steps }),
      checkpoint: { everyEpochs: 1, everyMinutes: 3, keep: 2 },
    },
    prediction: { views: decode.views ?? "none" },
  });
}

/**
 * The task of a network "images" → "logits" that learns from the labels and from what another says of the same, augmented pictures
 * (Hinton et al. 2015; on the same view as Beyer et al. 2022, "Knowledge distillation: a good teacher is patient and consistent").
 */
export function prunedTask(
  network: Graph,
  teacher: Graph,
  { teacherWeight: weight = 0.5, temperature = 2 }: Pick<FineTuneSettings, "teacherWeight" | "temperature"> = {},
): TaskBuilder {
  const fixed = copyGraph(teacher), { logits: name } = CLASSIFIER_VALUES;
  for (const value of fixed.parameters) fixed.setTrainable(value, false);
  return (config, { classes }) =>
    logitsTask(config, {
      ...{ graph: copyGraph(network), classes, size: config.model.size },
      loss({ graph, output, value, input }) {
        const logits = output(name), targets = input("targets", "float32", logits.shape);
        if (weight === 0) return crossEntropy(logits, targets);
        const feeds = new Map([[fixed.inputs[0]!, value("images")]]);
        const told = inline(graph, fixed, feeds, { prefix: "teacher/" }).get(fixed.outputs[0]!)!;
        const { loss, ...metrics } = distillation(logits, targets, softmax(stopGradient(told)), {
          weight,
          temperature,
        });
        return { loss, metrics };
      },
      targets: ({ targets }) => ({ targets: sharesOf(targets, classes) }),
    });
}
