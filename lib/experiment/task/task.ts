/** What a network is trained for: to find boxes, or to name the whole picture. All else of an experiment is the same for both. */

import type { Batch as PictureBatch } from "../../data/mod.ts";
import type { Graph } from "../../onnx/mod.ts";
import type { Batch, LossContext, LossResult } from "../../train/mod.ts";
import type { ModelCard } from "../card.ts";
import { isClassifier, type TrainingConfig } from "../config.ts";
import type { Views, Way } from "../graphs.ts";
import { classificationTask } from "./classification.ts";
import { detectionTask } from "./detection.ts";
import { withSparsity } from "./sparsity.ts";

/** A network with its task. */
export interface TaskNetwork {
  /** "images" [N, 3, size, size] to the raw outputs that the loss reads. */
  readonly graph: Graph;
  readonly classes: number;
  /** Side of the input, pixels. */
  readonly size: number;
  /** The ways from outputs to a distribution over the classes from which validation chooses; the first is used while training goes on. */
  readonly ways: readonly [Way, ...Way[]];
  /** Views of a picture over which the shipped model averages its distribution. */
  readonly views: Views;
  /** The loss of the raw outputs; declares what `targets` gives as inputs. */
  loss(context: LossContext): LossResult;
  /** What the loss is fed besides the images. */
  targets(batch: PictureBatch): Batch | Promise<Batch>;
  /** How many pictures may be judged at a time so that memory stays small; at most `wanted`. */
  judgedBatch(wanted: number): number;
  /**
   * The graph that tells how good the network is while it trains, of the picture alone: a distribution for each way
   * (`wayOutput`), and unless told otherwise the loss and its parts.
   */
  judgingGraph(ways: readonly Way[], options?: { readonly withLoss?: boolean }): Graph;
  /** The graph that is shipped, before it averages over views. */
  shippedGraph(way: Way): Graph;
  /** From the raw outputs to the shipped graph's outputs. */
  decoder(way: Way): Graph;
  /** What a model's card says of the outputs. */
  describe(way: Way): Pick<ModelCard, "outputs" | "decode">;
}

/** Makes the network of a training and its task, with fresh weights that follow from the seed. */
export type TaskBuilder = (
  config: TrainingConfig,
  options: { readonly classes: number; readonly seed: number },
) => TaskNetwork;

/** The network of a training's settings with fresh weights, and its task. Throws ModelError for what it cannot be. */
export function buildTask(
  config: TrainingConfig,
  options: { readonly classes: number; readonly seed: number },
): TaskNetwork {
  const task = isClassifier(config.model.family) ? classificationTask(config, options) : detectionTask(config, options);
  const { sparsity } = config.loss;
  return sparsity === undefined ? task : withSparsity(task, sparsity);
}
