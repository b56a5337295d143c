/** An Idefics3 model (SmolVLM) on our own sessions: a picture and a question in, log probabilities of the next tokens out. */

import { join } from "node:path";
import type { Picture } from "../../data/mod.ts";
import {
  allocate,
  describeError,
  type DType,
  elementCount,
  InputError,
  openSession,
  type Session,
  type SessionOptions,
  type Tensor,
  tensor,
  toNumbers,
} from "../../runtime/mod.ts";
import { graphFile, GRAPHS, type Precision, readSettings } from "./model_folder.ts";
import type { NextTokens } from "./name_trie.ts";

type Library = typeof import("@huggingface/transformers");

/** What of the package's tensors is read. */
interface PackageTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: ArrayLike<number> | ArrayLike<bigint>;
}

/** An opened model. */
export interface Idefics3 extends AsyncDisposable {
  /** Tokens of a text, without special ones. Throws InputError where they do not give the text back. */
  encode(text: string): number[];
  /** Tokens that end an answer. */
  readonly ends: readonly number[];
  /** Looks at a picture with a question once; what follows it can then be asked for any beginnings of an answer. */
  ask(picture: Picture, question: string): Promise<NextTokens>;
}

/** Settings of `openIdefics3`. */
export interface Idefics3Options extends Pick<SessionOptions, "device" | "threads"> {
  readonly precision: Precision;
  /** Whether large pictures are also shown in parts, which costs as many more tokens. */
  readonly split: boolean;
}

/**
 * Opens the graphs and settings of a folder as the Hub has them. The package `@huggingface/transformers` prepares pictures and texts;
 * its `generate` gives one answer and no probabilities of others, so the decoder runs here. Throws InputError that names the
 * file for what is missing, cut or of another architecture.
 */
export async function openIdefics3(
  folder: string,
  { precision, split, ...session }: Idefics3Options,
): Promise<Idefics3> {
  const config = await readSettings(folder, "config.json");
  const types = config.architectures, configPath = join(folder, "config.json");
  if (
    !Array.isArray(types) || !types.some((name) => /^(Idefics3|SmolVLM)ForConditionalGeneration$/.test(String(name)))
  ) {
    throw new InputError(
      `${configPath}: expected the architecture Idefics3ForConditionalGeneration, found ${
        JSON.stringify(types) ?? "none"
      }`,
    );
  }
  const imageToken = config["image_token_id"];
  if (!Number.isInteger(imageToken)) {
    throw new InputError(`${configPath}: image_token_id: expected a token, found ${imageToken}`);
  }
  const ends = [(await readSettings(folder, "generation_config.json"))["eos_token_id"]].flat();
  if (ends.length === 0 || !ends.every(Number.isInteger)) {
    throw new InputError(
      `${join(folder, "generation_config.json")}: eos_token_id: expected tokens, found ${JSON.stringify(ends)}`,
    );
  }
  const texts = await readProcessor(folder);
  const [vision, embed, decoder] = await openGraphs(folder, precision, session);
  const past = decoder.inputs.filter(({ name }) => name.startsWith("past_key_values."));
  const run = {
    embed: async (ids: readonly number[], shape: readonly number[]) =>
      (await embed.run({ "input_ids": tensor("int64", shape, ids) }))["inputs_embeds"]!,
    decode: async (embeds: Tensor, cache: Readonly<Record<string, Tensor>>, seen: number) => {
      const [rows, length] = embeds.shape as [number, number];
      const positions = Array.from({ length: rows * length }, (_, i) => seen + i % length);
      const feeds: Record<string, Tensor> = {
        "inputs_embeds": embeds,
        "attention_mask": tensor("int64", [rows, seen + length], new BigInt64Array(rows * (seen + length)).fill(1n)),
        ...cache,
      };
      if (decoder.inputs.some(({ name }) => name === "position_ids")) {
        feeds["position_ids"] = tensor("int64", [rows, length], positions);
      }
      return await decoder.run(feeds);
    },
  };
  return {
    ends: ends as number[],
    encode: (text) => texts.encode(text),
    async ask(picture, question) {
      const { ids, pixels } = await texts.prepare(picture, question, split);
      const { "image_features": features } = await vision.run(pixels);
      const embeds = await run.embed(ids, [1, ids.length]);
      placeFeatures(embeds, features!, ids, imageToken as number);
      const empty = Object.fromEntries(past.map(({ name, dtype, shape }) => {
        const sizes = shape.map((size, axis) => axis === 0 ? 1 : axis === 2 ? 0 : Number(size));
        return [name, tensor(dtype as DType, sizes, [])];
      }));
      const first = await run.decode(embeds, empty, 0);
      const cache = past.map(({ name }) => ({ name, kept: first[name.replace("past_key_values.", "present.")]! }));
      const [start] = lastLogProbabilities(first["logits"]!);
      return async (beginnings) => {
        const answers = new Array<Float32Array>(beginnings.length);
        // Beginnings of one length make a batch without padding; the picture's part of the cache is computed once.
        for (const [length, group] of Map.groupBy(beginnings.keys(), (i) => beginnings[i]!.length)) {
          if (length === 0) {
            for (const i of group) answers[i] = start!;
            continue;
          }
          const own = await run.embed(group.flatMap((i) => beginnings[i]!), [group.length, length]);
          const repeated = Object.fromEntries(cache.map(({ name, kept }) => [name, repeat(kept, group.length)]));
          const logs = lastLogProbabilities((await run.decode(own, repeated, ids.length))["logits"]!);
          group.forEach((i, row) => answers[i] = logs[row]!);
        }
        return answers;
      };
    },
    async [Symbol.asyncDispose]() {
      for (const each of [vision, embed, decoder]) await each.dispose();
    },
  };
}

/** Texts and pictures as the package prepares them. */
async function readProcessor(folder: string) {
  const settings = await readSettings(folder, "tokenizer_config.json");
  const [json, images, processing] = await Promise.all([
    readSettings(folder, "tokenizer.json"),
    readSettings(folder, "preprocessor_config.json"),
    readSettings(folder, "processor_config.json"),
  ]);
  const library: Library = await import("@huggingface/transformers");
  const { Idefics3ImageProcessor, Idefics3Processor, PreTrainedTokenizer, RawImage } = library;
  const build = <Made>(file: string, make: () => Made): Made => {
    try {
      return make();
    } catch (error) {
      throw new InputError(
        `${join(folder, file)}: expected settings of Idefics3, found: ${describeError(error, 160)}`,
        { cause: error },
      );
    }
  };
  const path = join(folder, "tokenizer.json");
  const tokenizer = build("tokenizer.json", () => new PreTrainedTokenizer(json, settings));
  const processor = build("preprocessor_config.json", () =>
    new Idefics3Processor(
      processing,
      { "image_processor": new Idefics3ImageProcessor(images), tokenizer },
      (settings["chat_template"] ?? null) as string,
    ));
  return {
    encode(text: string): number[] {
      const ids = tokenizer.encode(text, { "add_special_tokens": false });
      const back = ids.length === 0 ? "" : tokenizer.decode(ids, { "clean_up_tokenization_spaces": false });
      if (back !== text) throw new InputError(`${path}: expected tokens for "${text}", found those of "${back}"`);
      return ids;
    },
    async prepare({ width, height, data }: Picture, question: string, split: boolean) {
      const image = new RawImage(data, width, height, 4).rgb();
      const messages = [{ role: "user", content: [{ type: "image" }, { type: "text", text: question }] }];
      // deno-lint-ignore no-explicit-any -- the package's types know texts as contents only
      const prompt = processor.apply_chat_template(messages as any, { "add_generation_prompt": true }) as string;
      const made = await processor(prompt, [image], { "do_image_splitting": split }) as Record<string, PackageTensor>;
      const whole = ({ type, dims, data }: PackageTensor) => tensor(type as DType, dims, data as ArrayLike<number>);
      return {
        ids: Array.from(made["input_ids"]!.data as ArrayLike<bigint>, Number),
        pixels: {
          "pixel_values": whole(made["pixel_values"]!),
          "pixel_attention_mask": whole(made["pixel_attention_mask"]!),
        },
      };
    },
  };
}

async function openGraphs(
  folder: string,
  precision: Precision,
  options: Pick<SessionOptions, "device" | "threads">,
): Promise<[vision: Session, embed: Session, decoder: Session]> {
  const opened: Session[] = [];
  try {
    for (const graph of GRAPHS) {
      const path = join(folder, graphFile(graph, precision));
      opened.push(await openSession(path, { ...options, name: path }));
    }
  } catch (error) {
    for (const session of opened) await session.dispose();
    throw error;
  }
  return opened as [Session, Session, Session];
}

/** Puts the picture's features [.., D] in place of the embeddings of its tokens, one after another. */
function placeFeatures(embeds: Tensor, features: Tensor, ids: readonly number[], imageToken: number): void {
  const size = features.shape.at(-1)!, rows = elementCount(features.shape) / size;
  const places = ids.flatMap((id, i) => id === imageToken ? [i] : []);
  if (places.length !== rows || embeds.shape[2] !== size) {
    throw new InputError(
      `picture: expected ${places.length} features of ${
        embeds.shape[2]
      } numbers for its tokens, found ${rows} of ${size}`,
    );
  }
  const [into, from] = [embeds.data as Float32Array, features.data as Float32Array];
  places.forEach((place, i) => into.set(from.subarray(i * size, (i + 1) * size), place * size));
}

/** log softmax of the last logits of each row, [B, L, V]. */
function lastLogProbabilities(logits: Tensor): Float32Array[] {
  const [rows, length, size] = logits.shape as [number, number, number];
  return Array.from({ length: rows }, (_, row) => {
    const start = (row * length + length - 1) * size;
    const part = { ...logits, shape: [size], data: (logits.data as Float32Array).subarray(start, start + size) };
    const values = toNumbers(part), most = values.reduce((a, b) => Math.max(a, b), -Infinity);
    const sum = Math.log(values.reduce((all, x) => all + Math.exp(x - most), 0));
    return Float32Array.from(values, (x) => x - most - sum);
  });
}

/** The only row of a tensor, `times` times. */
function repeat({ dtype, shape, data }: Tensor, times: number): Tensor {
  const source = data as Float32Array, all = allocate(dtype, source.length * times) as Float32Array;
  for (let i = 0; i < times; i++) all.set(source, i * source.length);
  return tensor(dtype, [times, ...shape.slice(1)], all);
}
