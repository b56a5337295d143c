/** What an image and text encoder is, wherever its weights come from. */

import type { Picture } from "../data/mod.ts";
import type { Tensor } from "../runtime/mod.ts";

/** How an encoder wants to see a picture, in the order in which it is done. */
export interface Preprocessing {
  /** Side of the square input, pixels. */
  readonly size: number;
  /** "shortest": the short side becomes `size`, then the middle is cut out; "exact": both sides become `size`, whatever the shape. */
  readonly resize: "shortest" | "exact";
  readonly kernel: "nearest" | "bilinear" | "bicubic" | "lanczos";
  /**
   * "picture": all of it; "content": without the transparent margins, made square first. Transparent pixels are laid on `background`.
   */
  readonly view: "picture" | "content";
  /** Red, green, blue in 0 … 255. */
  readonly background: readonly [number, number, number];
  /** Of red, green, blue in 0 … 1: (value − mean) / std. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** Embeds pictures and texts in one space, in which a text lies near the pictures that it tells of. */
export interface Encoder extends AsyncDisposable {
  /** For people: "pokedex-clip", "Xenova/clip-vit-base-patch32". */
  readonly name: string;
  /** SHA-256 of all that decides an embedding: weights, precision, preprocessing, tokenizer. The same identity, the same embeddings. */
  readonly identity: string;
  /** Numbers of an embedding. */
  readonly dimension: number;
  readonly preprocessing: Preprocessing;
  /** What cosines are multiplied by before the softmax: 1 / temperature, as it was learned. */
  readonly logitScale: number;
  /** Rows of length 1, [N, dimension], in the order of the pictures. */
  embedImages(pictures: readonly Picture[]): Promise<Tensor<"float32">>;
  /** Rows of length 1, [N, dimension], in the order of the texts. */
  embedTexts(texts: readonly string[]): Promise<Tensor<"float32">>;
}

/** Embeddings with their classes: what adapters learn from. */
export interface LabelledFeatures {
  /** [N, D], rows of length 1. */
  readonly features: Tensor<"float32">;
  /** The class of each row, 0 … classes − 1. */
  readonly labels: Int32Array;
}
