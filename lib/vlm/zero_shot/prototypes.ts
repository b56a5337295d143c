/** Texts as classes. */

import { InputError, type Tensor, tensor } from "../../runtime/mod.ts";
import { normalizeRows } from "../cosines.ts";
import type { Encoder } from "../encoder.ts";

/** Texts embedded at a time. */
const BATCH = 256;

/**
 * One embedding a class, [classes, D]: the mean of the embeddings of its texts, brought to length 1 (Radford et al. 2021, CLIP, section
 * 3.1.4, "prompt ensembling"). Throws InputError for a class without a text.
 */
export async function textPrototypes(
  encoder: Pick<Encoder, "dimension" | "embedTexts">,
  texts: readonly (readonly string[])[],
): Promise<Tensor<"float32">> {
  const without = texts.findIndex((own) => own.length === 0);
  if (without >= 0) throw new InputError(`text prototypes: expected a text for class ${without}, found none`);
  const { dimension } = encoder;
  const sums = tensor("float32", [texts.length, dimension], new Float32Array(texts.length * dimension));
  const all = texts.flatMap((own, classId) => own.map((text) => ({ text, classId })));
  for (let at = 0; at < all.length; at += BATCH) {
    const some = all.slice(at, at + BATCH);
    const { data } = await encoder.embedTexts(some.map(({ text }) => text));
    for (const [row, { classId }] of some.entries()) {
      for (let i = 0; i < dimension; i++) sums.data[classId * dimension + i]! += data[row * dimension + i]!;
    }
  }
  return normalizeRows(sums);
}
