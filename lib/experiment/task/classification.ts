/** The task of a classifier: the species of the whole picture, one distribution, no boxes. */

import { CLASSIFIER_VALUES } from "../../models/mod.ts";
import { copyGraph, foldBatchNormalization, Graph, removeDead, softmax } from "../../onnx/mod.ts";
import { tensor } from "../../runtime/mod.ts";
import { type Batch, crossEntropy, type LossContext } from "../../train/mod.ts";
import type { TrainingConfig } from "../config.ts";
import { appendLoss, OUTPUTS, wayOutput, withoutOutputs } from "../graphs.ts";
import { buildClassifierOf } from "../network.ts";
import type { TaskNetwork } from "./task.ts";

/** The loss's input: a distribution over the classes for each picture, [N, classes]; mixed pictures have several. */
const TARGETS = "targets";

/** A classifier of the settings, with fresh weights. */
export function classificationTask(
  config: TrainingConfig,
  { classes, seed }: { readonly classes: number; readonly seed: number },
): TaskNetwork {
  const { graph, spec: { size } } = buildClassifierOf(config.model, { classes, seed });
  const { labelSmoothing } = config.loss;
  const loss = ({ output, input }: LossContext) => {
    const logits = output(CLASSIFIER_VALUES.logits);
    return crossEntropy(logits, input(TARGETS, "float32", logits.shape), { labelSmoothing });
  };
  return {
    graph,
    classes,
    size,
    ways: ["softmax"],
    loss,
    targets: ({ targets }): Batch => {
      const shares = new Float32Array(targets.length * classes);
      for (const [picture, list] of targets.entries()) {
        for (const { classId, weight } of list) shares[picture * classes + classId]! += weight;
      }
      return { [TARGETS]: tensor("float32", [targets.length, classes], shares) };
    },
    judgedBatch: (wanted) => wanted,
    judgingGraph() {
      const judging = withoutOutputs(copyGraph(graph));
      judging.output(softmax(judging.value(CLASSIFIER_VALUES.logits), { axis: 1 }), wayOutput("softmax"));
      appendLoss(judging, loss);
      removeDead(judging);
      return judging;
    },
    shippedGraph() {
      const shipped = withoutOutputs(copyGraph(graph));
      shipped.output(softmax(shipped.value(CLASSIFIER_VALUES.logits), { axis: 1 }), OUTPUTS.probabilities);
      foldBatchNormalization(shipped);
      removeDead(shipped);
      return shipped;
    },
    decoder() {
      const decoder = new Graph("decode");
      const logits = decoder.input(CLASSIFIER_VALUES.logits, "float32", ["N", classes]);
      decoder.output(softmax(logits, { axis: 1 }), OUTPUTS.probabilities);
      return decoder;
    },
    describe: () => ({
      outputs: { probabilities: OUTPUTS.probabilities },
      decode: { family: config.model.family, classProbabilities: "softmax", how: "softmax", heads: [] },
    }),
  };
}
