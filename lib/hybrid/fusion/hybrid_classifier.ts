/** A fusion with what answers when a modality is missing, and the folder in which the three lie. */

import { join } from "node:path";
import { z } from "zod";
import type { Scores } from "../../evaluate/mod.ts";
import { softmaxOf } from "../../evaluate/mod.ts";
import { fromFile, type Graph, toFile, toModel } from "../../onnx/mod.ts";
import {
  checkConfig,
  InputError,
  openSession,
  readJson,
  type Session,
  sha256File,
  type Tensor,
  writeAtomic,
} from "../../runtime/mod.ts";
import { FUSION_VALUES } from "./classifier.ts";
import type { ModelIdentity } from "./features.ts";
import { feedsOf } from "./train_fusion.ts";

/** The three classifiers by what they read. */
export const MEMBERS = ["hybrid", "visual", "embedding"] as const;

/** Which classifier answered. */
export type Member = typeof MEMBERS[number];

/** What a hybrid is made of. */
export interface HybridParts {
  /** Graphs from `trainFusion`; those of one modality alone are the kinds "visual" and "embedding". */
  readonly graphs: Readonly<Record<Member, Graph>>;
  /** Divides the logits before the softmax, from validation (`fitTemperature`). Default: 1 each. */
  readonly temperatures?: Readonly<Record<Member, number>>;
  /** The dex number of each class. */
  readonly dex: readonly number[];
  /** Whose features the graphs read. */
  readonly models: { readonly visual: ModelIdentity; readonly embedding: ModelIdentity };
}

/** An answer to N pictures. */
export interface HybridAnswer {
  /** [N, classes]. */
  readonly probabilities: Scores;
  /** Who gave it. */
  readonly by: Member;
  /** Why it was not the hybrid; undefined when it was. */
  readonly note?: string;
}

/** Features of the pictures to classify; a modality may be missing. */
export interface GivenFeatures {
  /** [N, Cᵢ] each, the finest scale first. */
  readonly visual?: readonly Tensor<"float32">[] | undefined;
  /** [N, D], rows of length 1. */
  readonly embedding?: Tensor<"float32"> | undefined;
}

/** Classifies by both modalities, or by the one that is there. */
export class HybridClassifier implements AsyncDisposable {
  readonly dex: readonly number[];
  readonly models: HybridParts["models"];
  readonly #sessions: Readonly<Record<Member, Session>>;
  readonly #temperatures: Readonly<Record<Member, number>>;

  private constructor(
    { dex, models, temperatures }: HybridParts,
    sessions: Readonly<Record<Member, Session>>,
  ) {
    this.dex = dex;
    this.models = models;
    this.#sessions = sessions;
    this.#temperatures = temperatures ?? { hybrid: 1, visual: 1, embedding: 1 };
  }

  /** Throws InputError for a graph of another number of classes, or one alone that reads the other modality. */
  static async open(parts: HybridParts, { threads }: { readonly threads?: number } = {}): Promise<HybridClassifier> {
    for (const member of MEMBERS) expectMember(parts, member);
    const sessions: Partial<Record<Member, Session>> = {};
    try {
      for (const member of MEMBERS) {
        sessions[member] = await openSession(toModel(parts.graphs[member]), { threads, name: member });
      }
    } catch (error) {
      for (const session of Object.values(sessions)) await session.dispose();
      throw error;
    }
    return new HybridClassifier(parts, sessions as Record<Member, Session>);
  }

  /**
   * The probabilities of the pictures. Without features of one modality the classifier of the other answers, and the note says so. Throws
   * InputError when both are missing, or for features that are not the models'.
   */
  async classify({ visual, embedding }: GivenFeatures): Promise<HybridAnswer> {
    const given = { visual: visual !== undefined && visual.length > 0, embedding: embedding !== undefined };
    if (!given.visual && !given.embedding) {
      throw new InputError("hybrid: expected visual features, an embedding, or both, found neither");
    }
    const by = !given.embedding ? "visual" : !given.visual ? "embedding" : "hybrid";
    const session = this.#sessions[by], inputs = session.inputs.map(({ name }) => name);
    const some = embedding ?? visual![0]!, rows = Array.from({ length: some.shape[0]! }, (_, row) => row);
    const odd = [...visual ?? [], ...embedding ? [embedding] : []].find(({ shape }) => shape[0] !== rows.length);
    if (odd) throw new InputError(`hybrid: expected features of ${rows.length} pictures, found [${odd.shape}]`);
    const feeds = feedsOf({ visual: visual ?? [], embedding: embedding ?? some }, rows, inputs);
    const { [FUSION_VALUES.logits]: logits } = await session.run(feeds, { outputs: [FUSION_VALUES.logits] });
    const values = logits!.data as Float32Array, temperature = this.#temperatures[by];
    const probabilities = softmaxOf({ values, classes: this.dex.length }, { temperature });
    if (by === "hybrid") return { probabilities, by };
    const [missing, alone] = by === "visual"
      ? [`no embedding of ${this.models.embedding.name}`, this.models.visual.name]
      : [`no features of ${this.models.visual.name}`, this.models.embedding.name];
    return { probabilities, by, note: `${missing}: ${alone} alone answered` };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of Object.values(this.#sessions)) await session.dispose();
  }
}

function expectMember({ graphs, dex }: HybridParts, member: Member): void {
  const { inputs, outputs } = graphs[member];
  const classes = outputs.find(({ name }) => name === FUSION_VALUES.logits)?.shape[1];
  if (classes !== dex.length) {
    throw new InputError(`hybrid: ${member}: expected logits of ${dex.length} classes, found ${classes ?? "none"}`);
  }
  if (member === "hybrid") return;
  const other = inputs.find(({ name }) => (name === FUSION_VALUES.embedding) !== (member === "embedding"));
  if (other) {
    throw new InputError(
      `hybrid: ${member}: expected a classifier of that modality alone, found the input "${other.name}"; ` +
        `train it with fusion.kind ${member} and without prototypes of the other`,
    );
  }
}

const identity = z.strictObject({ name: z.string(), identity: z.string() });
const head = z.strictObject({
  format: z.literal("pokedex-hybrid-1"),
  dex: z.array(z.int().min(1)),
  models: z.strictObject({ visual: identity, embedding: identity }),
  temperatures: z.record(z.enum(MEMBERS), z.number().positive()),
  files: z.record(z.enum(MEMBERS), z.string()),
});
const HEAD = "hybrid.json";
const fileOf = (folder: string, member: Member) => join(folder, `${member}.onnx`);

/** Writes a hybrid into a folder: `hybrid.onnx`, `visual.onnx`, `embedding.onnx`, and last `hybrid.json` with their hashes. */
export async function writeHybrid(folder: string, parts: HybridParts): Promise<void> {
  for (const member of MEMBERS) expectMember(parts, member);
  await Deno.mkdir(folder, { recursive: true });
  const files: Partial<Record<Member, string>> = {};
  for (const member of MEMBERS) {
    await toFile(parts.graphs[member], fileOf(folder, member));
    files[member] = await sha256File(fileOf(folder, member));
  }
  const { dex, models, temperatures = { hybrid: 1, visual: 1, embedding: 1 } } = parts;
  const content = { format: "pokedex-hybrid-1", dex, models, temperatures, files };
  await writeAtomic(join(folder, HEAD), JSON.stringify(content, null, 1) + "\n");
}

/** Reads what `writeHybrid` wrote. Throws InputError for a folder that is none, or in which a file is another than was written. */
export async function readHybrid(folder: string): Promise<HybridParts> {
  const path = join(folder, HEAD);
  const { dex, models, temperatures, files } = checkConfig(await readJson(path), head, path);
  const graphs: Partial<Record<Member, Graph>> = {};
  for (const member of MEMBERS) {
    const file = fileOf(folder, member);
    graphs[member] = await fromFile(file);
    const found = await sha256File(file);
    if (found === files[member]) continue;
    throw new InputError(`${file}: expected the file of ${files[member].slice(0, 12)}, found ${found.slice(0, 12)}`);
  }
  return { dex, models, temperatures, graphs: graphs as Record<Member, Graph> };
}
