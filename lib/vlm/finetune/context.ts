/** Learned context (Zhou et al. 2022, "Learning to Prompt for Vision-Language Models", CoOp): vectors in place of prompt words. */

import {
  concat,
  expand,
  gather,
  Graph,
  inline,
  readSafetensors,
  shape,
  slice,
  toModel,
  unsqueeze,
  type Value,
  writeSafetensors,
} from "../../onnx/mod.ts";
import { InputError, openSession, type Random, type Tensor, tensor } from "../../runtime/mod.ts";
import { unitRows } from "../../train/mod.ts";
import { findTokenEmbedding } from "./token_embedding.ts";
import { expectTower, joinTower, promptRows, type PromptTokens, textFeeds, type Tower } from "./tower.ts";

/** Vectors that stand before the class's name in every prompt, learned for one text tower. */
export interface LearnedContext {
  /** [M, W], shared by all classes, or [C, M, W], one for each. */
  readonly vectors: Tensor<"float32">;
  /** The place of the first: 1 after a begin token. */
  readonly start: number;
  /** `Tower.identity` of the text tower. */
  readonly tower: string;
}

/** Settings of `contextTokens`. */
export interface ContextTokensOptions {
  /** Places for context: M. */
  readonly length: number;
  /** Begin and end of a text, and what fills up the rest. CLIP's: 49406, 49407 and 0 (openai) or 49407 (Hugging Face). */
  readonly begin: number;
  readonly end: number;
  readonly fill: number;
  /** Tokens of a text: T, 77 for CLIP. */
  readonly total: number;
  /** A token that holds a place until the context takes it, e.g. that of "X". */
  readonly holder: number;
}

/**
 * Prompts "begin, M holders, name, end" for the tokens of class names, filled up to `total`: the class's name stands at the end
 * (Zhou et al. 2022, eq. 2). Throws InputError for a name that leaves no place.
 */
export function contextTokens(
  names: readonly (readonly number[])[],
  { length, begin, end, fill, total, holder }: ContextTokensOptions,
): PromptTokens {
  const ids: number[] = [], mask: number[] = [];
  for (const [i, name] of names.entries()) {
    const row = [begin, ...new Array<number>(length).fill(holder), ...name, end];
    if (row.length > total) {
      throw new InputError(
        `contextTokens: class ${i}: expected at most ${total - length - 2} tokens beside ${length} of context, found ` +
          `${name.length}`,
      );
    }
    ids.push(...row, ...new Array<number>(total - row.length).fill(fill));
    mask.push(...row.map(() => 1), ...new Array<number>(total - row.length).fill(0));
  }
  const shape = [names.length, total];
  return { inputIds: tensor("int64", shape, ids), attentionMask: tensor("int64", shape, mask) };
}

/** Starting vectors: normal with deviation 0.02, as CoOp draws them. */
export function initialContext(
  tower: Tower,
  { length, classes, random }: {
    readonly length: number;
    /** For a context of each class its own. */
    readonly classes?: number | undefined;
    readonly random: Random;
  },
): Tensor<"float32"> {
  if (!(Number.isInteger(length) && length >= 1)) {
    throw new InputError(`context: expected a length from 1, found ${length}`);
  }
  const { width } = findTokenEmbedding(tower);
  const shape = classes === undefined ? [length, width] : [classes, length, width];
  const count = shape.reduce((a, b) => a * b, 1);
  return tensor("float32", shape, Array.from({ length: count }, () => random.normal(0, 0.02)));
}

/** Names of what `joinContext` adds to a graph. */
export const CONTEXT = { parameter: "context", rows: "context_rows" } as const;

/**
 * Copies a text tower into a graph with the context in place of the token vectors from `start` on. With vectors for each class
 * there is one more input, `context_rows` int64 [rows]: whose vectors each text takes. Throws InputError when the places do
 * not fit the texts or the vectors the tower.
 */
export function joinContext(
  target: Graph,
  tower: Tower,
  { vectors, start, rows, length }: {
    readonly vectors: Tensor<"float32">;
    readonly start: number;
    readonly rows: number | string;
    /** Tokens of a text: T. */
    readonly length: number;
  },
): { readonly embeds: Value } {
  const { embedded, width } = findTokenEmbedding(tower);
  const [places, found] = vectors.shape.slice(-2) as [number, number];
  if (found !== width || vectors.shape.length < 2 || vectors.shape.length > 3) {
    throw new InputError(
      `${tower.place}: expected context of [M, ${width}] or [C, M, ${width}], found [${vectors.shape.join(", ")}]`,
    );
  }
  if (!(Number.isInteger(start) && start >= 0 && start + places < length)) {
    throw new InputError(
      `${tower.place}: expected ${places} places of context from ${start} within texts of ${length} tokens, found none left`,
    );
  }
  const feeds = new Map<Value, Value>();
  for (const value of [tower.input, ...(tower.mask ? [tower.mask] : [])]) {
    feeds.set(value, target.input(value.name, value.dtype, [rows, length]));
  }
  const front = inline(target, tower.graph, feeds, { prefix: "text/", outputs: [embedded] });
  const own = front.get(embedded)!;
  const context = target.parameter(CONTEXT.parameter, vectors);
  const count = typeof rows === "number" ? target.ints([rows]) : slice(shape(own), [0], [1]);
  const inserted = vectors.shape.length === 3
    ? gather(context, target.input(CONTEXT.rows, "int64", [rows]))
    : expand(unsqueeze(context, [0]), concat([count, target.ints([places, width])], 0));
  const parts = [
    ...(start > 0 ? [slice(own, [0], [start], { axes: [1] })] : []),
    inserted,
    slice(own, [start + places], [length], { axes: [1] }),
  ];
  const fed = new Map([...front, [embedded, concat(parts, 1)] as const]);
  return joinTower(target, tower, { rows, sizes: [length], fed });
}

/** The tokens of texts and, where each class has a context of its own, which one they take. */
export function contextFeeds(
  tower: Tower,
  prompts: PromptTokens,
  vectors: Tensor<"float32">,
  rows: readonly number[],
): Record<string, Tensor> {
  return {
    ...textFeeds(tower, promptRows(prompts, rows)),
    ...(vectors.shape.length === 3 ? { [CONTEXT.rows]: tensor("int64", [rows.length], rows) } : {}),
  };
}

/** How texts are run through a tower. */
export interface PrototypeOptions {
  /** Texts at a time. Default: 64. */
  readonly batch?: number;
  /** CPU threads; default: one a physical core. */
  readonly threads?: number;
}

/**
 * The classes' text prototypes with a learned context: rows of length 1, [C, D]. `prompts` have placeholders where the context
 * goes. Throws InputError for a context of another tower or a number of classes that does not fit.
 */
export function contextPrototypes(
  tower: Tower,
  context: LearnedContext,
  prompts: PromptTokens,
  options: PrototypeOptions = {},
): Promise<Tensor<"float32">> {
  expectTower(tower, context.tower, "context");
  const [classes, length] = prompts.inputIds.shape as [number, number];
  expectClasses(context.vectors, classes);
  const graph = new Graph("prototypes");
  const { embeds } = joinContext(graph, tower, { ...context, rows: "C", length });
  return embedRows(embeds, classes, (rows) => contextFeeds(tower, prompts, context.vectors, rows), options);
}

/** The prompts' embeddings by the tower as it is: rows of length 1, [C, D]. */
export function promptPrototypes(
  tower: Tower,
  prompts: PromptTokens,
  options: PrototypeOptions = {},
): Promise<Tensor<"float32">> {
  const [classes, length] = prompts.inputIds.shape as [number, number];
  const { embeds } = joinTower(new Graph("prototypes"), tower, { rows: "C", sizes: [length] });
  return embedRows(embeds, classes, (rows) => textFeeds(tower, promptRows(prompts, rows)), options);
}

async function embedRows(
  embeds: Value,
  count: number,
  feeds: (rows: readonly number[]) => Record<string, Tensor>,
  { batch = 64, threads }: PrototypeOptions,
): Promise<Tensor<"float32">> {
  const { graph } = embeds;
  graph.output(unitRows(embeds), "prototypes");
  await using session = await openSession(toModel(graph), { name: graph.name, ...(threads ? { threads } : {}) });
  const found: Float32Array[] = [];
  let dimension = 0;
  for (let from = 0; from < count; from += batch) {
    const rows = Array.from({ length: Math.min(batch, count - from) }, (_, i) => from + i);
    const { prototypes } = await session.run(feeds(rows));
    dimension = prototypes!.shape[1]!;
    found.push(prototypes!.data as Float32Array);
  }
  const data = new Float32Array(count * dimension);
  found.forEach((part, i) => data.set(part, i * batch * dimension));
  return tensor("float32", [count, dimension], data);
}

/** Throws InputError when there is a context for each of another number of classes. */
export function expectClasses({ shape }: Tensor<"float32">, classes: number): void {
  if (shape.length !== 3 || shape[0] === classes) return;
  throw new InputError(`context: expected one for each of ${classes} classes, found [${shape.join(", ")}]`);
}

const FORMAT = "learned-context/1";

/** Writes a context as safetensors. */
export async function saveContext(path: string, { vectors, start, tower }: LearnedContext): Promise<void> {
  await writeSafetensors(path, [["context", vectors]], { format: FORMAT, start: String(start), tower });
}

/** Reads a context. Throws InputError when the file is another kind, or was learned with another tower than that given. */
export async function loadContext(path: string, tower?: Tower): Promise<LearnedContext> {
  const { tensors, metadata } = await readSafetensors(path);
  const vectors = tensors.get("context");
  const start = Number(metadata.start);
  if (metadata.format !== FORMAT || vectors?.dtype !== "float32" || !metadata.tower || !(start >= 0)) {
    throw new InputError(
      `${path}: expected a learned context (${FORMAT}), found ${metadata.format ?? "other tensors"}`,
    );
  }
  if (tower) expectTower(tower, metadata.tower, "context");
  return { vectors: vectors as Tensor<"float32">, start, tower: metadata.tower };
}
