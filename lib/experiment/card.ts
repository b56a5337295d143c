/** Model packages: `model.onnx`, `classes.txt`, and `model.json`, which tells all that is needed to use the model. */

import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { compactWeights, fromFile, toModel, type WeightStorage } from "../onnx/mod.ts";
import { ensureParent, exists, InputError, readJson, reason, sha256, writeAtomic } from "../runtime/mod.ts";
import { VIEWS, WAYS } from "./graphs.ts";
import { type Species, species as allSpecies } from "../species/mod.ts";

const hash = z.string().regex(/^[0-9a-f]{64}$/, "64 hexadecimal digits");
const share = z.number().min(0).max(1);
const interval = z.tuple([share, share]);
const byte = z.int().min(0).max(255);

/** Figures of one split. */
export const figuresSchema = z.strictObject({
  n: z.int().min(1),
  top1: share,
  top1_ci95: interval,
  top5: share,
  top5_ci95: interval,
  map50: share.optional(),
  map50_95: share.optional(),
  ece: share,
  nll: z.number().min(0),
});

/** Figures of one split. */
export type CardFigures = z.output<typeof figuresSchema>;

/** Accuracy of a part of the pictures. */
const part = z.strictObject({ n: z.int().min(1), correct: z.int().min(0), top1: share, top1_ci95: interval });
const named = z.strictObject({ dex: z.int().min(1).max(allSpecies.length), name: z.string() });

/** What `deno task evaluate` found of one split, beyond its figures. */
const details = z.strictObject({
  split: z.enum(["validation", "test"]),
  /** Prints these figures again. */
  command: z.string(),
  /** By bootstrap over whole near-duplicate groups. */
  top1_ci95_groups: interval.optional(),
  /** Without the temperature. */
  untempered: z.strictObject({ ece: share, nll: z.number().min(0) }),
  /** Of one picture in the model alone, milliseconds. */
  latency_ms: z.strictObject({ p50: z.number(), p95: z.number(), threads: z.int().min(1) }).optional(),
  perGeneration: z.array(part.extend({ generation: z.int().min(1) })),
  perSource: z.array(part.extend({ source: z.string() })),
  mostConfused: z.array(z.strictObject({ truth: named, predicted: named, count: z.int().min(1) })),
  /** On corrupted pictures, and against pictures of other things; of a sample. */
  robustness: z.strictObject({
    n: z.int().min(1),
    clean: share,
    /** Mean over all corruptions and severities, and of each corruption over its severities. */
    mean: share,
    corruptions: z.array(z.strictObject({ corruption: z.string(), mean: share })),
    /** The confidence that tells other things best: the area under its curve. */
    rejection: z.strictObject({ confidence: z.string(), others: z.int().min(1), auroc: share, auroc_ci95: interval })
      .optional(),
  }).optional(),
});

/** What `deno task evaluate` found of one split, beyond its figures. */
export type CardDetails = z.output<typeof details>;

/** How a model that runs in int8 was made. */
const quantization = z.strictObject({
  /** Chose the ranges of activations, from so many pictures of the train split. */
  method: z.enum(["minMax", "percentile", "entropy"]),
  pictures: z.int().min(1),
  activation: z.enum(["uint8", "int8"]),
  perChannel: z.boolean(),
  biasCorrection: z.boolean(),
  /** Layers that stayed in float32. */
  keepFloat: z.array(z.string()),
  /** Of the multiply-accumulate steps, in the graph that ONNX Runtime's CPU provider runs. */
  int8Share: share,
  /** How often it names what the model in float32 names, on pictures of the validation split. */
  agreement: z.strictObject({ n: z.int().min(1), share }),
});

/** How a model with fewer channels was made of another. */
const pruning = z.strictObject({
  /** The model that it was, and its file. */
  from: z.strictObject({ name: z.string(), sha256: hash }),
  /** What channels were chosen by. */
  importance: z.string(),
  /** Multiply-accumulate steps of one picture, all views of it, and learned numbers, before and after. */
  macs: z.int().min(1),
  macsLeft: z.int().min(1),
  parameters: z.int().min(1),
  parametersLeft: z.int().min(1),
  /** Of fine-tuning after it; 0: none. */
  epochs: z.int().min(0),
});

/** What `model.json` holds. */
export const cardSchema = z.strictObject({
  format: z.literal("pokedex-model-1"),
  name: z.string().min(1),
  /** One sentence. */
  about: z.string(),
  file: z.strictObject({ name: z.literal("model.onnx"), bytes: z.int().min(1), sha256: hash }),
  input: z.strictObject({
    name: z.string(),
    /** [N, 3, size, size], float32. */
    layout: z.literal("NCHW"),
    size: z.int().min(1).max(4096),
    channels: z.literal("RGB"),
    /** (byte / 255 − mean) / std. */
    mean: z.tuple([z.number(), z.number(), z.number()]),
    std: z.tuple([z.number().positive(), z.number().positive(), z.number().positive()]),
    /** As large as fits, aspect kept, in the middle of the square. */
    fit: z.literal("letterbox"),
    /** What is fitted: the whole picture, or the part of it that is not transparent. */
    view: z.enum(["picture", "content"]),
    /** Red, green, blue in 0 … 255: behind transparent parts and beside what is not square. */
    background: z.tuple([byte, byte, byte]),
  }),
  /** Names of the model's outputs; "probabilities" [N, classes] sums to 1, boxes are parts of the input's side. */
  outputs: z.strictObject({
    probabilities: z.literal("probabilities"),
    boxes: z.literal("boxes").optional(),
    objectness: z.literal("objectness").optional(),
    scores: z.literal("scores").optional(),
  }),
  decode: z.strictObject({
    family: z.string(),
    /** How class outputs became probabilities, and the cells' scores one distribution. Both are done inside the model. */
    classProbabilities: z.enum(["sigmoid", "softmax"]),
    how: z.enum(WAYS),
    /** Views of each picture over which the model averages "probabilities", inside the file; without: the picture alone. */
    views: z.enum(VIEWS).optional(),
    /** The rows of "boxes": these heads one after another, in each its anchors, rows, columns. None in a classifier. */
    heads: z.array(z.strictObject({
      output: z.string(),
      stride: z.number().positive(),
      anchors: z.array(z.tuple([z.number(), z.number()])),
    })),
    /** Of a model with boxes. */
    suppression: z.strictObject({ iouThreshold: share, scoreThreshold: share, maxDetections: z.int().min(1) })
      .optional(),
  }),
  classes: z.strictObject({
    file: z.literal("classes.txt"),
    count: z.int().min(1),
    sha256: hash,
    /** The National Dex number of each class. */
    dex: z.array(z.int().min(1).max(allSpecies.length)),
  }),
  /** softmax(log probabilities / temperature) means what it says; fitted on validation. */
  temperature: z.number().positive(),
  trainedOn: z.strictObject({
    run: z.string(),
    profile: z.string(),
    seed: z.number(),
    sources: z.array(z.string()),
    split: z.string(),
    /** Behind transparent pictures of the data set. */
    background: z.union([z.literal("fixed"), z.tuple([byte, byte, byte])]),
    boxes: z.enum(["frame", "content"]),
    pictures: z.strictObject({ train: z.int(), validation: z.int(), test: z.int() }),
    /** `splitHash` of the data set: which pictures stood in which split. Cards of before it was written have none. */
    splitHash: z.string().length(64).optional(),
    pretrained: z.string(),
    epochs: z.int(),
    steps: z.int(),
    weights: z.enum(["current", "average"]),
    configHash: z.string(),
    commit: z.string().nullable(),
    date: z.string(),
  }),
  /** The test split is looked at once, after everything was chosen. */
  metrics: z.strictObject({ validation: figuresSchema.optional(), test: figuresSchema.optional() }),
  details: details.optional(),
  /** Where the model fails, in sentences that are made from the details. */
  knownFailures: z.array(z.string()).optional(),
  /** How the weights lie in the file; computing is in float32 with each but "int8-static", which `quantization` tells of. */
  weights: z.enum(["float32", "float16", "int8", "mixed", "int8-static"]).default("float32"),
  quantization: quantization.optional(),
  pruning: pruning.optional(),
  /** Whose pictures it learned from, and what one may do with the model. */
  provenance: z.strictObject({ pictures: z.string(), licence: z.string() }).optional(),
});

/** See `cardSchema`. */
export type ModelCard = z.output<typeof cardSchema>;

/** A package on the disk. */
export interface ModelPackage {
  readonly folder: string;
  readonly card: ModelCard;
  /** By the model's class. */
  readonly classes: readonly Species[];
}

/** The text of `classes.txt`: one name a line. */
export function classesText(classes: readonly Species[]): string {
  return classes.map(({ name }) => name + "\n").join("");
}

/** Writes a package; `model.json` comes last, so that a folder with one is whole. */
export async function writePackage(
  folder: string,
  { model, classes, card }: {
    readonly model: Uint8Array;
    readonly classes: readonly Species[];
    readonly card: Omit<z.input<typeof cardSchema>, "format" | "file" | "classes">;
  },
): Promise<ModelPackage> {
  const names = classesText(classes);
  const whole = cardSchema.parse({
    format: "pokedex-model-1",
    ...card,
    file: { name: "model.onnx", bytes: model.length, sha256: sha256(model) },
    classes: {
      file: "classes.txt",
      count: classes.length,
      sha256: sha256(names),
      dex: classes.map(({ dex }) => dex),
    },
  });
  const path = join(folder, "model.json");
  await ensureParent(path);
  await Deno.remove(path).catch(() => {}); // while the files change the folder is no package
  await writeAtomic(join(folder, "model.onnx"), model, { durable: true });
  await writeAtomic(join(folder, "classes.txt"), names);
  await writeCard(folder, whole);
  return { folder, card: whole, classes };
}

/** Replaces the card of a package. */
export async function writeCard(folder: string, card: ModelCard): Promise<void> {
  await writeAtomic(join(folder, "model.json"), JSON.stringify(cardSchema.parse(card), null, 2) + "\n");
}

/** Settings of `copyPackage`. */
export interface CopyPackageOptions {
  /** How the weights lie in the new file; default: as in the old one. */
  readonly weights?: ModelCard["weights"] | undefined;
  readonly provenance?: ModelCard["provenance"];
  /** In place of the file's model the same one quantized: its weights are "int8-static" then. */
  readonly quantized?: {
    readonly model: Uint8Array;
    readonly quantization: NonNullable<ModelCard["quantization"]>;
  };
}

/**
 * Copies a package, under the name of its new folder. With other weights the figures of the card are left out: `deno task evaluate
 * --card` measures them anew. Throws InputError where weights that were rounded should become others.
 */
export async function copyPackage(
  from: string,
  to: string,
  { weights: wanted, provenance, quantized }: CopyPackageOptions = {},
): Promise<ModelPackage> {
  const { card, classes } = await readPackage(from);
  const path = join(from, card.file.name);
  const { format: _, file: __, classes: ___, metrics, details, knownFailures, ...rest } = card;
  const weights = quantized ? "int8-static" : wanted ?? card.weights;
  const isSame = !quantized && weights === card.weights;
  if (quantized && card.weights === "int8-static") {
    throw new InputError(`${path}: expected a model to quantize, found one that is quantized already`);
  }
  if (!isSame && !quantized && (card.weights !== "float32" || weights === "int8-static")) {
    throw new InputError(`${path}: expected float32 weights to be kept as ${weights}, found ${card.weights}`);
  }
  const graph = isSame || quantized ? undefined : await fromFile(path);
  if (graph) compactWeights(graph, weights as WeightStorage);
  return await writePackage(to, {
    model: quantized?.model ?? (graph ? toModel(graph) : await Deno.readFile(path)),
    classes,
    card: {
      ...rest,
      ...{ name: basename(to), weights },
      ...(quantized ? { quantization: quantized.quantization } : {}),
      ...(provenance ? { provenance } : {}),
      ...(isSame
        ? { metrics, ...(details ? { details } : {}), ...(knownFailures ? { knownFailures } : {}) }
        : { metrics: {} }),
    },
  });
}

/**
 * Reads a package: a folder, or a `.onnx` file that has its `model.json` beside it. Throws InputError, in one line, where a file
 * is missing, cut, not the one that the card names, or the classes are others.
 */
export async function readPackage(path: string): Promise<ModelPackage> {
  const folder = path.endsWith(".onnx") ? dirname(path) : path;
  const cardPath = join(folder, "model.json");
  if (path.endsWith(".onnx") && !(await exists(path))) {
    throw new InputError(`${path}: expected a model, found nothing there`);
  }
  if (!(await exists(cardPath))) {
    throw new InputError(
      `${cardPath}: expected the card of a model, found nothing there; "deno task train" writes one`,
    );
  }
  const parsed = cardSchema.safeParse(await readJson(cardPath));
  if (!parsed.success) {
    const { path: place, message } = parsed.error.issues[0]!;
    throw new InputError(`${cardPath}: ${place.join(".") || "the card"}: ${message}`);
  }
  const card = parsed.data;
  await expectFile(join(folder, path.endsWith(".onnx") ? basename(path) : card.file.name), card.file);
  return { folder, card, classes: await readClasses(folder, card) };
}

async function expectFile(path: string, { bytes, sha256: expected }: ModelCard["file"]): Promise<void> {
  let content: Uint8Array;
  try {
    content = await Deno.readFile(path);
  } catch (error) {
    throw new InputError(`${path}: expected a model, found ${reason(error)}`, { cause: error });
  }
  if (content.length !== bytes) {
    const cut = content.length < bytes ? ": the file is cut off" : "";
    throw new InputError(`${path}: expected ${bytes} bytes as model.json says, found ${content.length}${cut}`);
  }
  const found = sha256(content);
  if (found === expected) return;
  throw new InputError(
    `${path}: expected the model that model.json names (sha256 ${expected.slice(0, 12)}…), found another ` +
      `(${found.slice(0, 12)}…)`,
  );
}

async function readClasses(folder: string, { classes: { file, count, dex, sha256: expected } }: ModelCard) {
  const path = join(folder, file);
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    throw new InputError(`${path}: expected the names of the classes, found ${reason(error)}`, { cause: error });
  }
  const lines = text.split("\n").filter((line) => line !== "").length;
  if (lines !== count || dex.length !== count) {
    throw new InputError(`${path}: expected ${count} classes, one a line, found ${lines}`);
  }
  if (sha256(text) !== expected) {
    throw new InputError(`${path}: expected the classes that model.json names, found others`);
  }
  return dex.map((number) => allSpecies[number - 1]!);
}
