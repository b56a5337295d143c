/** Runs of the two towers over many pictures and texts. */

import { type Session, type Tensor, tensor } from "../../runtime/mod.ts";
import type { ClipTokenizer } from "../tokenizer/mod.ts";
import { PORTS } from "./towers.ts";

/** Brings each row of [N, D] to length 1, in place. */
export function unitRows(data: Float32Array, dimension: number): Float32Array {
  for (let at = 0; at < data.length; at += dimension) {
    let squares = 0;
    for (let d = 0; d < dimension; d++) squares += data[at + d]! ** 2;
    const length = Math.sqrt(squares) || 1;
    for (let d = 0; d < dimension; d++) data[at + d] = data[at + d]! / length;
  }
  return data;
}

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
  return tensor("float32", [texts.length, dimension], unitRows(all, dimension));
}

/** The embeddings of pictures [N, 3, size, size], rows of length 1. */
export async function embedPixels(session: Session, pixels: Tensor, dimension: number): Promise<Float32Array> {
  const { [PORTS.image]: found } = await session.run({ [PORTS.pixels]: pixels });
  return unitRows((found!.data as Float32Array).slice(), dimension);
}

/** Cosines of rows of length 1: a [N, D] with each of b [M, D], [N, M]. */
export function cosines(a: Float32Array, b: Float32Array, dimension: number): Float32Array {
  const rows = a.length / dimension, columns = b.length / dimension, result = new Float32Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      let sum = 0;
      for (let d = 0; d < dimension; d++) sum += a[i * dimension + d]! * b[j * dimension + d]!;
      result[i * columns + j] = sum;
    }
  }
  return result;
}
