/** Runs of the two towers over many pictures and texts. */

import { type Session, type Tensor, tensor } from "../../runtime/mod.ts";
import { normalizeRows } from "../cosines.ts";
import type { ClipTokenizer } from "../tokenizer/mod.ts";
import { PORTS } from "./towers.ts";

/** Texts at a time. */
const TEXTS = 64;

/** The embeddings of texts, rows of length 1. */
export async function embedTexts(
  session: Session,
  tokenizer: ClipTokenizer,
  texts: readonly string[],
  dimension: number,
): Promise<Tensor<"float32">> {
  const all = new Float32Array(texts.length * dimension);
  for (let at = 0; at < texts.length; at += TEXTS) {
    const { ids, mask } = tokenizer.encode(texts.slice(at, at + TEXTS));
    const { [PORTS.text]: found } = await session.run({ [PORTS.ids]: ids, [PORTS.mask]: mask });
    all.set(found!.data as Float32Array, at * dimension);
  }
  return normalizeRows(tensor("float32", [texts.length, dimension], all));
}

/** The embeddings of pictures [N, 3, size, size], rows of length 1. */
export async function embedPixels(session: Session, pixels: Tensor): Promise<Tensor<"float32">> {
  const { [PORTS.image]: found } = await session.run({ [PORTS.pixels]: pixels });
  return unitRows(found!);
}

/** A copy of embeddings with rows of length 1. */
export function unitRows({ shape, data }: Tensor): Tensor<"float32"> {
  return normalizeRows(tensor("float32", shape, (data as Float32Array).slice()));
}
