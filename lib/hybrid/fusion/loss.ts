/** The loss of a fusion: of the species, and of the further tasks of the settings. */

import { add, matMul, mul, type Value } from "../../onnx/mod.ts";
import { tensor } from "../../runtime/mod.ts";
import { type Species, types } from "../../species/mod.ts";
import {
  binaryCrossEntropyWithLogits,
  crossEntropy,
  type LossContext,
  type LossResult,
  uncertaintyWeighted,
} from "../../train/mod.ts";
import { factsOf, FUSION_VALUES, GENERATIONS } from "./classifier.ts";
import type { FusionConfig } from "./config.ts";

/** The loss's input: a distribution over the classes for each picture, [N, classes]. */
export const TARGETS = "targets";

/**
 * Writes the loss of a `fusionGraph`: the species' cross-entropy; of the types, of which a species has one or two, the binary
 * cross-entropy summed over the 18; the generation's cross-entropy. What is right of types and generation follows from the species.
 * Together by learned uncertainty (`uncertaintyWeighted`), or as their sum. Every part is a metric.
 */
export function fusionLoss(
  { tasks, loss: { labelSmoothing } }: Pick<FusionConfig, "tasks" | "loss">,
  classes: readonly Species[],
): (context: LossContext) => LossResult {
  const facts = factsOf(classes);
  return ({ graph, output, input }) => {
    const logits = output(FUSION_VALUES.logits), targets = input(TARGETS, "float32", logits.shape);
    const told = (table: Float32Array, width: number) =>
      matMul(targets, graph.constant(tensor("float32", [classes.length, width], table)));
    const parts: Record<string, Value> = { species: crossEntropy(logits, targets, { labelSmoothing }) };
    if (tasks.types) {
      const found = output(FUSION_VALUES.types), wanted = told(facts.types, types.length);
      parts.types = mul(binaryCrossEntropyWithLogits(found, wanted), types.length);
    }
    if (tasks.generation) {
      parts.generation = crossEntropy(output(FUSION_VALUES.generation), told(facts.generation, GENERATIONS));
    }
    const losses = Object.values(parts);
    if (losses.length === 1) return losses[0]!;
    const loss = tasks.weighting === "uncertainty"
      ? uncertaintyWeighted(losses, output(FUSION_VALUES.logVariances))
      : losses.reduce((sum, each) => add(sum, each));
    return { loss, metrics: parts };
  };
}
