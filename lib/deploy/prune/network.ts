/** The network inside a shipped classifier: from one view of the pictures to its logits. */

import { CLASSIFIER_VALUES } from "../../models/mod.ts";
import { copyGraph, cutGraph, type Graph } from "../../onnx/mod.ts";
import { InputError } from "../../runtime/mod.ts";

/** The name that `withViews` gives to all views of the pictures. */
const VIEWS = "views";

/**
 * "images" [N, 3, size, size] to "logits" [N, classes]: the shipped graph without its views and without what comes after the
 * logits. Throws InputError for a graph that has no logits of one view a row, such as a detector's.
 */
export function classifierNetwork(shipped: Graph, input: string, name: string): Graph {
  const { logits } = CLASSIFIER_VALUES, start = shipped.values.has(VIEWS) ? VIEWS : input;
  if (!shipped.values.has(logits) || shipped.value(logits).rank !== 2) {
    throw new InputError(`${name}: expected a classifier with "${logits}" [N, classes] to fine-tune, found none`);
  }
  const cut = cutGraph(shipped, { inputs: [start], outputs: [logits] });
  const images = cut.inputs[0]!;
  cut.rename(images, "images");
  return copyGraph(cut, { shapes: { images: ["N", ...images.shape.slice(1)] } });
}
