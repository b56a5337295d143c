/** The two halves of a CLIP-like model as ONNX Runtime sessions: pixels → rows, token ids → rows. */
// deno-lint-ignore-file camelcase -- the Hub's names

import {
  describeError,
  type Device,
  InputError,
  openSession,
  type Session,
  type Tensor,
  tensor,
  WorkError,
} from "../../runtime/mod.ts";
import type { PictureSettings } from "./preprocess.ts";
import type { Tokens } from "./tokenize.ts";

/** The ONNX files of a model: one for each half, or one for both. */
export type GraphFiles =
  | { readonly layout: "two"; readonly text: string; readonly vision: string }
  | { readonly layout: "one"; readonly both: string };

/** All files of a model. */
export function graphPaths(files: GraphFiles): readonly string[] {
  return files.layout === "two" ? [files.text, files.vision] : [files.both];
}

/** Settings of `openTowers`. */
export interface TowerOptions {
  readonly device?: Device | undefined;
  readonly threads?: number | undefined;
  /** CLIP's embeddings are after the projection: its files must name them; SigLIP's are the pooled output. */
  readonly family: "clip" | "siglip";
  readonly picture: PictureSettings;
}

/** Opened halves; rows come with length 1. */
export class Towers implements AsyncDisposable {
  readonly #text: Session;
  readonly #vision: Session;
  readonly #family: "clip" | "siglip";
  readonly #side: number;
  /** What stands for the other half in a file that holds both; set by `withOther`. */
  #otherTokens: Tokens | undefined;

  constructor(text: Session, vision: Session, { family, picture }: TowerOptions) {
    [this.#text, this.#vision, this.#family, this.#side] = [text, vision, family, picture.size];
  }

  /** Whether one file holds both halves. */
  get joint(): boolean {
    return this.#text === this.#vision;
  }

  /** Whether the text half takes only one length. */
  get fixedLength(): number | undefined {
    const length = this.#text.inputs.find(({ name }) => name === "input_ids")?.shape[1];
    return typeof length === "number" ? length : undefined;
  }

  /** Short tokens that a joint file is fed beside pictures. */
  withOther(tokens: Tokens): void {
    this.#otherTokens = tokens;
  }

  /** Rows of length 1 for pixels [N, 3, size, size]. */
  embedPixels(pixels: Tensor<"float32">): Promise<Tensor<"float32">> {
    const outputs = this.#family === "clip" ? ["image_embeds"] : ["image_embeds", "pooler_output"];
    return this.#rows(this.#vision, outputs, pixels.shape[0]!, (from, count) => ({
      pixel_values: rowsOf(pixels, from, count),
      ...(this.joint && this.#otherTokens ? tokenFeeds(this.#otherTokens, 0, 1) : {}),
    }));
  }

  /** Rows of length 1 for token ids [N, L]. */
  embedTokens(tokens: Tokens): Promise<Tensor<"float32">> {
    const outputs = this.#family === "clip" ? ["text_embeds"] : ["text_embeds", "pooler_output"];
    return this.#rows(this.#text, outputs, tokens.ids.shape[0]!, (from, count) => ({
      ...tokenFeeds(tokens, from, count),
      ...(this.joint
        ? { pixel_values: tensor("float32", [1, 3, this.#side, this.#side], new Float32Array(3 * this.#side ** 2)) }
        : {}),
    }));
  }

  /** What a joint file multiplies cosines by, of each picture with each text: [pictures · texts]; undefined without it. */
  async logits(pixels: Tensor<"float32">, tokens: Tokens): Promise<ArrayLike<number> | undefined> {
    if (!this.joint || !this.#text.outputs.some(({ name }) => name === "logits_per_image")) return undefined;
    const feeds = { pixel_values: pixels, ...tokenFeeds(tokens, 0, tokens.ids.shape[0]!) };
    const { logits_per_image } = await this.#text.run(fitted(this.#text, feeds), { outputs: ["logits_per_image"] });
    return logits_per_image!.data as ArrayLike<number>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#text.dispose();
    await this.#vision.dispose();
  }

  async #rows(
    session: Session,
    wanted: readonly string[],
    total: number,
    feeds: (from: number, count: number) => Record<string, Tensor>,
  ): Promise<Tensor<"float32">> {
    const output = wanted.find((name) => session.outputs.some((port) => port.name === name));
    if (output === undefined) {
      const found = session.outputs.map(({ name }) => name).join(", ");
      throw new InputError(`${session.name}: expected an output ${wanted.join(" or ")}, found ${found}`);
    }
    const fixed = session.inputs.find(({ name }) =>
      name === (wanted[0] === "image_embeds" ? "pixel_values" : "input_ids")
    )?.shape[0];
    const step = typeof fixed === "number" ? fixed : total;
    if (total % step !== 0) {
      throw new InputError(`${session.name}: expected a multiple of ${step} inputs, its fixed batch, found ${total}`);
    }
    const parts: Float32Array[] = [];
    for (let from = 0; from < total; from += step) {
      const result = (await session.run(fitted(session, feeds(from, step)), { outputs: [output] }))[output]!;
      if (result.shape.length !== 2 || result.shape[0] !== step) {
        throw new InputError(
          `${session.name}: output "${output}": expected [${step}, D], found [${result.shape.join(", ")}]`,
        );
      }
      parts.push(Float32Array.from(result.data as ArrayLike<number>));
    }
    const width = parts.length === 0 ? 0 : parts[0]!.length / step;
    const data = new Float32Array(total * width);
    parts.forEach((part, i) => data.set(part, i * step * width));
    normalizeRows(data, width, session.name);
    return tensor("float32", [total, width], data);
  }
}

/** Opens a model's files. Throws InputError that names a file which is not a whole model. */
export async function openTowers(files: GraphFiles, options: TowerOptions): Promise<Towers> {
  const open = async (path: string): Promise<Session> => {
    try {
      return await openSession(path, { device: options.device, threads: options.threads });
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      const { size } = await Deno.stat(path);
      throw new InputError(
        `${path}: expected a whole ONNX model, found ${size} bytes that cannot be loaded; remove the file and fetch it anew (${
          describeError(error.cause ?? error, 120)
        })`,
        { cause: error },
      );
    }
  };
  if (files.layout === "one") {
    const both = await open(files.both);
    return new Towers(both, both, options);
  }
  const text = await open(files.text);
  try {
    return new Towers(text, await open(files.vision), options);
  } catch (error) {
    await text.dispose();
    throw error;
  }
}

/** Only what the session asks for, in the types that it asks for. */
function fitted(session: Session, feeds: Readonly<Record<string, Tensor>>): Record<string, Tensor> {
  const result: Record<string, Tensor> = {};
  for (const { name, dtype } of session.inputs) {
    const fed = feeds[name];
    if (!fed) {
      throw new InputError(
        `${session.name}: expected inputs input_ids, attention_mask and pixel_values, found "${name}"`,
      );
    }
    result[name] = fed.dtype === dtype
      ? fed
      : dtype === "float16"
      ? tensor("float16", fed.shape, Float16Array.from(fed.data as Float32Array))
      : dtype === "int32"
      ? tensor("int32", fed.shape, Int32Array.from(fed.data as BigInt64Array, Number))
      : fed;
  }
  return result;
}

function tokenFeeds({ ids, mask }: Tokens, from: number, count: number): Record<string, Tensor> {
  return { input_ids: rowsOf(ids, from, count), attention_mask: rowsOf(mask, from, count) };
}

function rowsOf<T extends "float32" | "int64">(
  { dtype, shape, data }: Tensor<T>,
  from: number,
  count: number,
): Tensor<T> {
  const width = data.length / Math.max(1, shape[0]!);
  const part = (data as Float32Array).subarray(from * width, (from + count) * width);
  return { dtype, shape: [count, ...shape.slice(1)], data: part as unknown as typeof data };
}

/** Gives each row of [N, width] the length 1, in place. Throws WorkError for a row that is not finite or has no length. */
function normalizeRows(data: Float32Array, width: number, place: string): void {
  for (let start = 0; start < data.length; start += width) {
    let sum = 0;
    for (let d = start; d < start + width; d++) sum += data[d]! ** 2;
    const length = Math.sqrt(sum);
    if (!(length > 0 && length < Infinity)) {
      throw new WorkError(`${place}: expected an embedding of finite length above 0, found ${length}`);
    }
    for (let d = start; d < start + width; d++) data[d]! /= length;
  }
}
