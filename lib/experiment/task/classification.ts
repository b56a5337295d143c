/** The task of a classifier: the species of the whole picture, one distribution, no boxes. */

import type { Batch as PictureBatch } from "../../data/mod.ts";
import { CLASSIFIER_VALUES, projectionHead } from "../../models/mod.ts";
import { add, copyGraph, Graph, mul, removeDead, softmax } from "../../onnx/mod.ts";
import { Random, type Tensor, tensor } from "../../runtime/mod.ts";
import { crossEntropy, supervisedContrastive } from "../../train/mod.ts";
import type { TrainingConfig } from "../config.ts";
import { appendLoss, forInference, OUTPUTS, wayOutput, withoutOutputs } from "../graphs.ts";
import { buildClassifierOf } from "../network.ts";
import type { TaskNetwork } from "./task.ts";

/** The loss's input: a distribution over the classes for each picture, [N, classes]; mixed pictures have several. */
const TARGETS = "targets";
/** The contrastive loss's input: the label of each picture, [N]. */
const LABELS = "labels";
/** The embedding that the contrastive loss reads, [N, outputs], and the name of its layers. */
const PROJECTION = "projection";

/**
 * A classifier of the settings, with fresh weights. With a contrastive loss it has a projection head on its features, whose
 * output "projection" is there for training only.
 */
export function classificationTask(
  config: TrainingConfig,
  { classes, seed }: { readonly classes: number; readonly seed: number },
): TaskNetwork {
  const { graph, spec: { size } } = buildClassifierOf(config.model, { classes, seed });
  const { labelSmoothing, gains, contrastive: { weight, temperature, outputs } } = config.loss;
  const isContrastive = weight > 0;
  if (isContrastive) {
    const random = Random.seeded("weights", seed);
    const features = graph.value(CLASSIFIER_VALUES.features);
    graph.output(projectionHead(features, { name: PROJECTION, random, outputs }), PROJECTION);
  }
  return logitsTask(config, {
    ...{ graph, classes, size },
    loss({ output, input }) {
      const logits = output(CLASSIFIER_VALUES.logits), targets = input(TARGETS, "float32", logits.shape);
      const whole = crossEntropy(logits, targets, { labelSmoothing });
      const own = gains.class === 1 ? whole : mul(whole, gains.class);
      if (!isContrastive) return own;
      const embedding = output(PROJECTION), labels = input(LABELS, "int64", [embedding.shape[0]!]);
      const pull = supervisedContrastive(embedding, labels, { temperature });
      return { loss: add(own, mul(pull, weight)), metrics: { class: whole, contrastive: pull } };
    },
    targets({ targets }) {
      const fed = { [TARGETS]: sharesOf(targets, classes) };
      if (!isContrastive) return fed;
      const labels = BigInt64Array.from(targets, ([target]) => BigInt(target!.classId));
      return { ...fed, [LABELS]: tensor("int64", [labels.length], labels) };
    },
  });
}

/** The soft labels of a batch as distributions, [N, classes]. */
export function sharesOf(targets: PictureBatch["targets"], classes: number): Tensor {
  const shares = new Float32Array(targets.length * classes);
  for (const [picture, list] of targets.entries()) {
    for (const { classId, weight } of list) shares[picture * classes + classId]! += weight;
  }
  return tensor("float32", [targets.length, classes], shares);
}

/** A network that gives "logits" [N, classes], and how it learns. */
export interface LogitsNetwork extends Pick<TaskNetwork, "graph" | "classes" | "size" | "loss" | "targets"> {
  /** Further outputs of the shipped graph, by their names in the network. */
  readonly outputs?: readonly string[];
}

/** The task of a network with logits: its distribution over the classes is their softmax. */
export function logitsTask(config: TrainingConfig, { outputs = [], ...network }: LogitsNetwork): TaskNetwork {
  const { graph, classes, loss } = network, { views } = config.prediction;
  return {
    ...network,
    ways: ["softmax"],
    views,
    judgedBatch: (wanted) => wanted,
    judgingGraph(_ways, { withLoss = true } = {}) {
      const judging = withoutOutputs(copyGraph(graph));
      judging.output(softmax(judging.value(CLASSIFIER_VALUES.logits), { axis: 1 }), wayOutput("softmax"));
      if (withLoss) appendLoss(judging, loss);
      removeDead(judging);
      return judging;
    },
    shippedGraph() {
      const shipped = withoutOutputs(copyGraph(graph));
      shipped.output(softmax(shipped.value(CLASSIFIER_VALUES.logits), { axis: 1 }), OUTPUTS.probabilities);
      for (const name of outputs) shipped.output(shipped.value(name));
      return forInference(shipped);
    },
    decoder() {
      const decoder = new Graph("decode");
      const logits = decoder.input(CLASSIFIER_VALUES.logits, "float32", ["N", classes]);
      decoder.output(softmax(logits, { axis: 1 }), OUTPUTS.probabilities);
      return decoder;
    },
    describe: () => ({
      outputs: { probabilities: OUTPUTS.probabilities },
      decode: {
        ...{ family: config.model.family, classProbabilities: "softmax", how: "softmax", heads: [] },
        ...(views === "none" ? {} : { views }),
      },
    }),
  };
}
