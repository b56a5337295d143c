/** Classes by the nearest text: no picture of them is learned from. */

import type { Scores } from "../../evaluate/mod.ts";
import type { Tensor } from "../../runtime/mod.ts";
import { cosines } from "../cosines.ts";

/**
 * The distribution over the classes of each picture: softmax(scale · f · tₖ) of embeddings f [N, D] and prototypes t [classes, D], both
 * of rows of length 1 (Radford et al. 2021, CLIP, section 3.1.2). Throws InputError for embeddings of another width.
 */
export async function zeroShot(
  features: Tensor<"float32">,
  prototypes: Tensor<"float32">,
  scale: number,
): Promise<Scores> {
  const { data, shape: [n, classes] } = await cosines(features, prototypes);
  for (let row = 0; row < n!; row++) softmax(data.subarray(row * classes!, (row + 1) * classes!), scale);
  return { values: data, classes: classes! };
}

/** exp(scale · x) over their sum, in place. */
function softmax(row: Float32Array, scale: number): void {
  let highest = -Infinity, sum = 0;
  for (const value of row) highest = Math.max(highest, value);
  for (let i = 0; i < row.length; i++) sum += row[i] = Math.exp(scale * (row[i]! - highest));
  for (let i = 0; i < row.length; i++) row[i]! /= sum;
}
