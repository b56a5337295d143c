/** Pictures in memory as the input that a model's card asks for. */

import { type Picture, planesOn, shrunkSquare } from "../../data/mod.ts";
import type { ModelCard } from "../../experiment/mod.ts";
import { type Tensor, tensor } from "../../runtime/mod.ts";

/** [N, 3, size, size]: letterboxed, on the card's background, normalised. */
export async function cardImages(
  pictures: readonly Picture[],
  { size, view, background, mean, std }: ModelCard["input"],
): Promise<Tensor<"float32">> {
  const ground = new Uint8Array(3 * size * size).map((_, i) => background[i % 3]!);
  const images = new Float32Array(pictures.length * 3 * size * size);
  for (const [i, { width, height, data }] of pictures.entries()) {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const { picture } = await shrunkSquare({ width, height, data: bytes }, { size, view });
    images.set(planesOn(picture, ground, { mean, std }), i * 3 * size * size);
  }
  return tensor("float32", [pictures.length, 3, size, size], images);
}
