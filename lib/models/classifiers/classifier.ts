/** What the classifiers share: their options, and the head that turns a map of features into one score a class. */

import { type Dim, flatten, globalAveragePool, Graph, type Value } from "../../onnx/mod.ts";
import { expectMultipliers, type NetworkOptions } from "../darknet_layers.ts";
import { ModelError } from "../errors.ts";
import { linear } from "../layers.ts";
import { dropout } from "../stochastic.ts";

/** A network that names the whole picture: "images" [N, 3, size, size], red, green, blue in 0 … 1, to "logits" [N, classes]. */
export interface ClassifierSpec {
  readonly classes: number;
  /** Side of the input in pixels. */
  readonly size: number;
}

/** A classifier with the meaning of its output. */
export interface ClassifierNetwork {
  readonly graph: Graph;
  readonly spec: ClassifierSpec;
}

/** Settings of the classifiers. */
export interface ClassifierOptions extends NetworkOptions {
  readonly classes: number;
  /** Side of the input in pixels, a multiple of 16. */
  readonly size: number;
}

/** Names of values in a classifier's graph: its only output, and the pooled features [N, D] that the last layer reads. */
export const CLASSIFIER_VALUES = { logits: "logits", features: "features" } as const;

/** The coarsest stride of the classifiers: sides of the input are multiples of it. */
export const CLASSIFIER_STRIDE = 16;

/**
 * Builds a classifier around a body that turns images into a map of features: mean over all places, then one linear layer.
 * Throws ModelError for a size, a number of classes or a multiplier that it cannot have.
 */
export function buildClassifier(
  name: string,
  { classes, size, batch, random, width = 1, depth = 1, dropout: ratio = 0 }: ClassifierOptions,
  body: (images: Value) => Value,
): ClassifierNetwork {
  if (!Number.isInteger(size) || size < 32 || size % CLASSIFIER_STRIDE !== 0) {
    throw new ModelError(`${name}: expected a size from 32 pixels, a multiple of ${CLASSIFIER_STRIDE}, found ${size}`);
  }
  if (!Number.isInteger(classes) || classes < 2) {
    throw new ModelError(`${name}: expected classes from 2, found ${classes}`);
  }
  expectMultipliers({ width, depth });
  const graph = new Graph(name);
  const pictures: Dim = batch ?? "N";
  const images = graph.input("images", "float32", [pictures, 3, size, size]);
  const features = flatten(globalAveragePool(body(images)), { name: CLASSIFIER_VALUES.features });
  const kept = dropout(features, { name: "classifier.drop", ratio });
  graph.output(linear(kept, { name: "classifier", outputs: classes, random }), CLASSIFIER_VALUES.logits);
  return { graph, spec: { classes, size } };
}
