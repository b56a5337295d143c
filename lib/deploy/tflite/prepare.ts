/** A classifier as the Edge TPU takes it: one view of one picture, its linear layer as a convolution, the softmax left to the runner. */

import { conv, flatten, globalAveragePool, type Graph, removeDead, tensor } from "../../onnx/mod.ts";
import { prepareForQuantization } from "../quantize/prepare.ts";
import { bodyOf, linearHead, linearWeights, viewsOf } from "../targets/classifier_body.ts";

/** Names of the prepared graph's input and output. */
export const EDGETPU_VALUES = { images: "images", logits: "logits" } as const;

/** A classifier for the chip, float32. */
export interface PreparedForEdgeTpu {
  /** "images" [1, 3, rows, columns], what the source's first convolution takes, to "logits" [1, classes]. */
  readonly graph: Graph;
  readonly classes: number;
  /** Views that the source averaged over, of which the prepared graph sees one. 1: it had none. */
  readonly views: number;
}

/**
 * Prepares a classifier of `lib/models` (convolutions, the mean over all places, one linear layer, softmax), trained or shipped, with
 * weights in any storage. The linear layer becomes a convolution 1x1 of the mean: the Edge TPU's compiler is older than scales by output
 * of fully connected layers, and convolutions always had them. The source is left as it is. Throws InputError for another kind of
 * network.
 */
export async function prepareForEdgeTpu(source: Graph): Promise<PreparedForEdgeTpu> {
  const graph = await prepareForQuantization(source), { linear, pool } = linearHead(graph);
  const { body, images } = bodyOf(graph, pool.input(0), EDGETPU_VALUES.images);
  const map = body.outputs[0]!, { weight, bias, classes, features } = linearWeights(linear);
  body.removeOutput(map);
  const kernel = body.constant(tensor("float32", [classes, features, 1, 1], weight), { name: "classifier.weight" });
  const shift = body.constant(tensor("float32", [classes], bias), { name: "classifier.bias" });
  const answers = conv(globalAveragePool(map), kernel, { name: "classifier", bias: shift });
  body.output(flatten(answers), EDGETPU_VALUES.logits);
  removeDead(body, { parameters: true });
  return { graph: body, classes, views: viewsOf(graph, images) };
}
