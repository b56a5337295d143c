/** A CLIP as a folder in the layout that models have on the Hub, with `card.json` for what only this library asks. */

import { join } from "node:path";
import { z } from "zod";
import {
  compactWeights,
  foldBatchNormalization,
  fromModel,
  type Graph,
  toModel,
  type WeightStorage,
} from "../../onnx/mod.ts";
import { ensureParent, exists, InputError, readJson, sha256, writeAtomic } from "../../runtime/mod.ts";
import { tokenizerConfig, type TokenizerJson } from "../tokenizer/mod.ts";

/** Files of the folder. */
export const FILES = {
  card: "card.json",
  vision: "onnx/vision_model.onnx",
  text: "onnx/text_model.onnx",
  tokenizer: "tokenizer.json",
  tokenizerConfig: "tokenizer_config.json",
  config: "config.json",
  preprocessor: "preprocessor_config.json",
} as const;

/** Where in a run's folder the model lies. */
export const MODEL_FOLDER = "model";

/** How weights are kept in the files. */
export const CLIP_WEIGHTS = ["float32", "float16", "int8", "mixed"] as const;
export type ClipWeights = typeof CLIP_WEIGHTS[number];

const byte = z.int().min(0).max(255);
const part = z.strictObject({
  n: z.int().min(1),
  /** Texts that were chosen among. */
  species: z.int().min(1),
  top1: z.number(),
  top1_ci95: z.tuple([z.number(), z.number()]),
  top5: z.number(),
  top5_ci95: z.tuple([z.number(), z.number()]),
});
const figures = z.strictObject({
  /** Species that were trained, by name captions. */
  trained: part.optional(),
  /** Species that were held out, by attribute captions. */
  heldOut: part.optional(),
});

/** What is known of a model. */
export const clipCardSchema = z.strictObject({
  format: z.literal(1),
  kind: z.literal("clip"),
  name: z.string().min(1),
  about: z.string(),
  weights: z.enum(CLIP_WEIGHTS),
  dimension: z.int().min(1),
  /** What cosines are multiplied by: 1 / temperature. */
  logitScale: z.number().positive(),
  input: z.strictObject({
    size: z.int().min(1),
    view: z.enum(["picture", "content"]),
    background: z.tuple([byte, byte, byte]),
    mean: z.tuple([z.number(), z.number(), z.number()]),
    std: z.tuple([z.number(), z.number(), z.number()]),
  }),
  text: z.strictObject({ context: z.int().min(4), vocabulary: z.int().min(1) }),
  /** Dex numbers of the species that training saw, and of those that it never did. */
  species: z.strictObject({ trained: z.array(z.int()), heldOut: z.array(z.int()) }),
  trainedOn: z.strictObject({
    run: z.string(),
    profile: z.string(),
    seed: z.int(),
    sources: z.array(z.string()),
    split: z.string(),
    /** `splitHash` of the data set: which pictures stood in which split. */
    splitHash: z.string().length(64),
    pictures: z.strictObject({ train: z.int(), validation: z.int(), test: z.int() }),
    epochs: z.int(),
    steps: z.int(),
    averaged: z.boolean(),
    configHash: z.string(),
    commit: z.string().nullable(),
    date: z.string(),
  }),
  /** All settings of the training, as they were resolved. */
  recipe: z.record(z.string(), z.unknown()),
  metrics: z.strictObject({ validation: figures.optional(), test: figures.optional() }),
  /** SHA-256 and length of the files that decide an embedding. */
  files: z.record(z.string(), z.strictObject({ bytes: z.int(), sha256: z.string() })),
});

/** What is known of a model. */
export type ClipCard = z.output<typeof clipCardSchema>;

/** What a folder is written from. */
export interface ClipContent {
  readonly vision: Graph;
  readonly text: Graph;
  readonly tokenizer: TokenizerJson;
  readonly card: Omit<ClipCard, "format" | "kind" | "weights" | "files">;
}

/** A folder that was read. */
export interface ClipFolder {
  readonly folder: string;
  readonly card: ClipCard;
  readonly tokenizer: TokenizerJson;
}

/** Writes a folder; the card last, so that a folder with one is whole. Returns the card. */
export async function writeClip(folder: string, content: ClipContent): Promise<ClipCard> {
  foldBatchNormalization(content.vision);
  return await writeFiles(folder, {
    ...content,
    vision: toModel(content.vision),
    text: toModel(content.text),
    weights: "float32",
  });
}

/**
 * Copies a folder, its float32 weights kept in fewer bytes where asked for. Figures were measured with float32: of compacted weights
 * the card leaves them out. Throws InputError where the weights are not float32 any more.
 */
export async function copyClip(
  from: string,
  to: string,
  { weights }: { readonly weights?: ClipWeights | undefined } = {},
): Promise<ClipCard> {
  const { card, tokenizer } = await readClip(from), storage = weights ?? card.weights;
  if (storage !== card.weights && card.weights !== "float32") {
    throw new InputError(`${from}: expected float32 weights to keep as ${storage}, found ${card.weights}`);
  }
  const file = async (name: string) => {
    const bytes = await Deno.readFile(join(from, name));
    if (storage === card.weights) return bytes;
    const graph = await fromModel(bytes);
    compactWeights(graph, storage as WeightStorage);
    return toModel(graph);
  };
  const { weights: _, files: __, format: ___, kind: ____, ...rest } = card;
  return await writeFiles(to, {
    ...{ tokenizer, weights: storage, vision: await file(FILES.vision), text: await file(FILES.text) },
    card: storage === card.weights ? rest : { ...rest, metrics: {} },
  });
}

/** Reads what a folder has beside its models. Throws InputError that names the file. */
export async function readClip(folder: string): Promise<ClipFolder> {
  const path = join(folder, FILES.card);
  if (!(await exists(path))) throw new InputError(`${path}: expected the card of a CLIP, found none`);
  const parsed = clipCardSchema.safeParse(await readJson(path));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new InputError(`${path}: ${issue!.path.join(".") || "card"}: ${issue!.message}`);
  }
  for (const [name, { sha256: expected }] of Object.entries(parsed.data.files)) {
    const file = join(folder, name);
    const found = await exists(file) ? sha256(await Deno.readFile(file)) : "no file";
    if (found !== expected) throw new InputError(`${file}: expected the file of ${path}, ${expected}, found ${found}`);
  }
  return { folder, card: parsed.data, tokenizer: await readJson(join(folder, FILES.tokenizer)) as TokenizerJson };
}

async function writeFiles(
  folder: string,
  { vision, text, tokenizer, card, weights }: Omit<ClipContent, "vision" | "text"> & {
    readonly vision: Uint8Array;
    readonly text: Uint8Array;
    readonly weights: ClipWeights;
  },
): Promise<ClipCard> {
  const json = (value: unknown, indent = 2) => new TextEncoder().encode(JSON.stringify(value, null, indent) + "\n");
  const { size, mean, std } = card.input,
    { text: { width = 0, layers = 0, heads = 0 } = {} } = card.recipe.model as {
      text?: { width?: number; layers?: number; heads?: number };
    };
  const contents: Record<string, Uint8Array> = {
    [FILES.vision]: vision,
    [FILES.text]: text,
    [FILES.tokenizer]: json(tokenizer, 1),
    [FILES.tokenizerConfig]: json(tokenizerConfig(card.text.context)),
    [FILES.config]: json({
      model_type: "clip",
      architectures: ["CLIPModel"],
      projection_dim: card.dimension,
      logit_scale_init_value: Math.log(card.logitScale),
      text_config: {
        model_type: "clip_text_model",
        ...{ vocab_size: card.text.vocabulary, max_position_embeddings: card.text.context, hidden_act: "quick_gelu" },
        ...{ hidden_size: width, intermediate_size: 4 * width, num_hidden_layers: layers, num_attention_heads: heads },
      },
      vision_config: { model_type: "residual", image_size: size, num_channels: 3 },
    }),
    [FILES.preprocessor]: json({
      image_processor_type: "CLIPImageProcessor",
      ...{ do_resize: true, size: { height: size, width: size }, resample: 3, do_center_crop: false },
      ...{ do_rescale: true, rescale_factor: 1 / 255, do_normalize: false, image_mean: mean, image_std: std },
      do_convert_rgb: true,
    }),
  };
  const files: ClipCard["files"] = {};
  for (const [name, bytes] of Object.entries(contents)) {
    const path = join(folder, name);
    await ensureParent(path);
    await writeAtomic(path, bytes);
    if (name === FILES.vision || name === FILES.text || name === FILES.tokenizer) {
      files[name] = { bytes: bytes.length, sha256: sha256(bytes) };
    }
  }
  const whole: ClipCard = { format: 1, kind: "clip", weights, ...card, files };
  await writeCard(folder, whole);
  return whole;
}

/** Writes a folder's card. */
export async function writeCard(folder: string, card: ClipCard): Promise<void> {
  await writeAtomic(join(folder, FILES.card), JSON.stringify(card, null, 2) + "\n");
}

/**
 * Writes the model of a finished training, RUN/model/, or a copy of a model's folder. Throws InputError where there is none, and as
 * `copyClip`.
 */
export async function exportClip(
  run: string,
  folder: string,
  options: { readonly weights?: ClipWeights | undefined } = {},
): Promise<ClipCard> {
  const place = await findClip(run);
  if (!place) throw new InputError(`${run}: expected a CLIP's folder or finished run, found none`);
  return await copyClip(place, folder, options);
}

/** The model's folder in a path that is one or is a run's; undefined where there is none. */
export async function findClip(path: string): Promise<string | undefined> {
  for (const folder of [path, join(path, MODEL_FOLDER)]) if (await exists(join(folder, FILES.card))) return folder;
  return undefined;
}
