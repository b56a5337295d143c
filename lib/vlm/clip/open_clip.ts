/** A CLIP of our own as an encoder: from its folder to embeddings of pictures and texts. */

import { basename, join, resolve } from "node:path";
import { type Picture, plainBackground, planesOn, shrunkSquare } from "../../data/mod.ts";
import { type Device, openSession, sha256, type Tensor, tensor } from "../../runtime/mod.ts";
import type { Encoder } from "../encoder.ts";
import { ClipTokenizer } from "../tokenizer/mod.ts";
import { embedPixels, embedTexts } from "./embed.ts";
import { type ClipCard, FILES, readClip } from "./package.ts";

/** Settings of `openPokedexClip`. */
export interface OpenPokedexClipOptions {
  readonly device?: Device | undefined;
  /** CPU threads; default: ONNX Runtime's own. */
  readonly threads?: number | undefined;
  /** Pictures at a time. Default: 32. */
  readonly batch?: number;
}

/** An open CLIP of our own. */
export interface PokedexClip extends Encoder {
  readonly card: ClipCard;
  readonly folder: string;
}

/**
 * Opens a folder that a training or an export wrote. Pictures are shrunk, cut to their content and laid on the card's background as
 * the training's loader does. Throws InputError that names the file for what is missing or not what the card says.
 */
export async function openPokedexClip(
  folder: string,
  { device, threads, batch = 32 }: OpenPokedexClipOptions = {},
): Promise<PokedexClip> {
  const { card, tokenizer: json } = await readClip(folder);
  const { dimension, input: { size, view, background, mean, std } } = card;
  const tokenizer = new ClipTokenizer(json, { context: card.text.context });
  const vision = await openSession(join(folder, FILES.vision), { device, threads, name: FILES.vision });
  const text = await openSession(join(folder, FILES.text), { device, threads, name: FILES.text });
  const ground = plainBackground(background, size, size), plane = 3 * size * size;
  const planesOf = async ({ data, width, height }: Picture) => {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const { picture } = await shrunkSquare({ data: bytes, width, height }, { size, view });
    return planesOn(picture, ground, { mean, std });
  };
  return {
    ...{ card, folder, dimension },
    name: basename(resolve(folder)),
    identity: sha256(JSON.stringify([card.files, card.input, card.text, card.weights])),
    preprocessing: { size, resize: "exact", kernel: "lanczos", view, background, mean, std },
    logitScale: card.logitScale,
    async embedImages(pictures): Promise<Tensor<"float32">> {
      const all = new Float32Array(pictures.length * dimension);
      const planes = (at: number) => Promise.all(pictures.slice(at, at + batch).map(planesOf));
      let ahead = planes(0);
      for (let at = 0; at < pictures.length; at += batch) {
        const own = await ahead;
        ahead = planes(at + batch); // the next are prepared while these are embedded
        const pixels = new Float32Array(own.length * plane);
        own.forEach((each, i) => pixels.set(each, i * plane));
        const shape = [own.length, 3, size, size];
        const { data } = await embedPixels(vision, tensor("float32", shape, pixels));
        all.set(data, at * dimension);
      }
      return tensor("float32", [pictures.length, dimension], all);
    },
    embedTexts: (texts) => embedTexts(text, tokenizer, texts, dimension),
    async [Symbol.asyncDispose]() {
      await vision.dispose();
      await text.dispose();
    },
  };
}
