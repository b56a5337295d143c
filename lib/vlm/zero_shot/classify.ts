/** Classes by the nearest text: no picture of them is learned from. */

import { type Scores, softmaxOf } from "../../evaluate/mod.ts";
import type { Tensor } from "../../runtime/mod.ts";
import { cosines } from "../cosines.ts";

/**
 * The distribution over the classes of each picture: softmax(scale · f · tₖ) of embeddings f [N, D] and prototypes t [classes, D], both
 * of rows of length 1 (Radford et al. 2021, CLIP, section 3.1.2). Throws InputError for embeddings of another width.
 */
export async function zeroShotProbabilities(
  features: Tensor<"float32">,
  prototypes: Tensor<"float32">,
  scale: number,
): Promise<Scores> {
  const { data, shape: [, classes] } = await cosines(features, prototypes);
  return softmaxOf({ values: data, classes: classes! }, { temperature: 1 / scale });
}
