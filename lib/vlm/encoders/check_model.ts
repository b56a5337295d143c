/** The checks between a model's opened files and an encoder that may be used. */

import { basename, dirname, join } from "node:path";
import { InputError, sha256, sha256File, tensor, WorkError } from "../../runtime/mod.ts";
import type { ModelDescription } from "./describe_model.ts";
import { type FoundModel, graphsIn } from "./find_model.ts";
import type { Precision } from "./known_models.ts";
import { preparePictures } from "./preprocess.ts";
import { type GraphFiles, graphPaths, openTowers, type TowerOptions, type Towers } from "./towers.ts";
import {
  judgeProbes,
  keepVerdict,
  keptVerdict,
  probePictures,
  type ProbeRows,
  probeTexts,
  products,
  type Verdict,
} from "./verify.ts";

/** CLIP's scale is clipped here in training (Radford et al. 2021, section 2.5), and most models end there. */
const usualLogitScale = 100;

/** A table of embeddings may be longer than the vocabulary by this share: tables are padded to round numbers. */
const spareShare = 0.02;

/** A model that is opened but not yet checked. */
export interface UncheckedModel {
  readonly found: FoundModel;
  readonly precision: Precision;
  readonly model: ModelDescription;
  readonly towers: Towers;
  /** How the towers were opened: fp32's are opened likewise beside them. */
  readonly settings: TowerOptions;
  /** Where verdicts are kept. */
  readonly cacheFolder: string;
}

/** What the checks found out. */
export interface CheckedModel {
  /** SHA-256 of weights, precision, preprocessing, tokenizer and padding. */
  readonly identity: string;
  readonly padding: "longest" | "context";
  readonly dimension: number;
  readonly logitScale: number;
  readonly verdict: Verdict;
  /** What whoever trusts the numbers should know, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * Runs the probes of a model, or takes the verdict that was kept, and finds out what its files do not say. Throws InputError for a
 * tokenizer that does not fit the text model, for weights that are broken, for halves whose embeddings differ in size.
 */
export function checkModel(opened: UncheckedModel): Promise<CheckedModel> {
  return new Checks(opened).run();
}

class Checks {
  readonly found: FoundModel;
  readonly precision: Precision;
  readonly model: ModelDescription;
  readonly towers: Towers;
  readonly settings: TowerOptions;
  readonly cacheFolder: string;

  constructor(opened: UncheckedModel) {
    ({ found: this.found, precision: this.precision, model: this.model } = opened);
    ({ towers: this.towers, settings: this.settings, cacheFolder: this.cacheFolder } = opened);
  }

  async run(): Promise<CheckedModel> {
    const { found, model, towers, precision } = this;
    const notes: string[] = [];
    this.#checkVocabulary();
    this.#complete(towers);
    await this.#checkLargestId();
    const padding = await this.#padding();
    const weights = await digests(found.graphs);
    const key = sha256(JSON.stringify([weights, precision, model.picture, model.tokenizerSha256, padding]));
    const verdict = await this.#verdict(key, padding);
    if (verdict.fault !== undefined) {
      throw new InputError(
        `${
          graphPaths(found.graphs).join(", ")
        }: expected ${precision} weights that embed as the model does, found ${verdict.fault}; use another dtype`,
      );
    }
    if (verdict.method === "sane") {
      notes.push(`${precision} could not be compared with fp32, which is not there: only known to tell inputs apart.`);
    }
    const logitScale = model.logitScale ?? await this.#measuredScale(padding);
    if (logitScale === undefined) {
      notes.push(
        `The files do not hold the scale of the cosines: ${usualLogitScale} is taken, where CLIP's training ends.`,
      );
    }
    const dimension = await this.#dimension(padding);
    return { identity: key, padding, dimension, logitScale: logitScale ?? usualLogitScale, verdict, notes };
  }

  /** What a file of both halves is fed as text beside pictures. */
  #complete(towers: Towers): void {
    towers.withOther(this.model.tokenizer.encode(["a"], this.#fixed() ? "context" : "longest"));
  }

  #fixed(): boolean {
    return this.towers.fixedLength !== undefined;
  }

  #checkVocabulary(): void {
    const { found, model: { tokenizer: { largestId, contextLength }, vocabulary } } = this;
    const words = largestId + 1;
    if (words > vocabulary || words < vocabulary * (1 - spareShare) - 1) {
      throw new InputError(
        `${
          join(found.folder, "tokenizer.json")
        }: expected the text model's ${vocabulary} tokens (vocab_size), found ${words}`,
      );
    }
    const { fixedLength } = this.towers;
    if (fixedLength !== undefined && fixedLength !== contextLength) {
      throw new InputError(
        `${found.folder}: expected a text model of ${contextLength} tokens (max_position_embeddings), found ${fixedLength}`,
      );
    }
  }

  /** Feeds the largest id: a table of embeddings that is shorter is found before a text meets its end. */
  async #checkLargestId(): Promise<void> {
    const { found, model: { tokenizer }, towers } = this;
    const tokens = tokenizer.encode(["a"], this.#fixed() ? "context" : "longest");
    const ids = tokens.ids.data.slice();
    ids[Math.min(1, ids.length - 1)] = BigInt(tokenizer.largestId);
    try {
      await towers.embedTokens({ ...tokens, ids: tensor("int64", tokens.ids.shape, ids) });
    } catch (cause) {
      if (!(cause instanceof WorkError) || !/out of (data )?bounds|out of range|indices element/i.test(cause.message)) {
        throw cause;
      }
      throw new InputError(
        `${
          join(found.folder, "tokenizer.json")
        }: expected ids that the text model has an embedding for, found ${tokenizer.largestId} without`,
        { cause },
      );
    }
  }

  /**
   * How far texts are padded. SigLIP was trained on whole contexts. CLIP's result does not depend on padding, so that short texts
   * may stay short; in a model where it does (MobileCLIP's text half looks both ways), they were padded to the context too.
   */
  async #padding(): Promise<"longest" | "context"> {
    const { model: { family, tokenizer }, towers } = this;
    if (family === "siglip" || this.#fixed()) return "context";
    const [short, whole] = [tokenizer.encode(["a photo"], "longest"), tokenizer.encode(["a photo"], "context")];
    const [[cosine]] = products(await towers.embedTokens(short), await towers.embedTokens(whole)) as [[number]];
    return cosine > 0.9999 ? "longest" : "context";
  }

  async #probe(towers: Towers, padding: "longest" | "context"): Promise<ProbeRows> {
    const { tokenizer, picture } = this.model;
    const pictures = await towers.embedPixels(preparePictures(probePictures(), picture));
    return { pictures, texts: await towers.embedTokens(tokenizer.encode(probeTexts, padding)) };
  }

  /** The kept verdict, or a new one, which is kept. */
  async #verdict(key: string, padding: "longest" | "context"): Promise<Verdict> {
    const { found: { folder }, precision, cacheFolder } = this;
    const graphs = precision === "fp32" ? "none" : await graphsIn(folder, "fp32");
    const verdictKey = sha256(JSON.stringify([key, typeof graphs === "string" ? "alone" : await digests(graphs)]));
    const kept = await keptVerdict(cacheFolder, verdictKey);
    if (kept) return kept;
    const rows = await this.#probe(this.towers, padding);
    let reference: ProbeRows | undefined;
    if (typeof graphs !== "string") {
      await using towers = await openTowers(graphs, this.settings);
      this.#complete(towers);
      reference = await this.#probe(towers, padding);
    }
    const verdict = judgeProbes(rows, reference, precision === "fp32");
    await keepVerdict(cacheFolder, verdictKey, verdict);
    return verdict;
  }

  /** Of a file with both halves: the slope of its logits over the cosines (SigLIP also adds a bias). */
  async #measuredScale(padding: "longest" | "context"): Promise<number | undefined> {
    const { tokenizer, picture } = this.model;
    if (!this.towers.joint) return undefined;
    const pixels = preparePictures(probePictures(), picture), tokens = tokenizer.encode(probeTexts, padding);
    const logits = await this.towers.logits(pixels, tokens);
    if (!logits) return undefined;
    const { pictures, texts } = await this.#probe(this.towers, padding);
    const cosines = products(pictures, texts).flat();
    const mean = (values: ArrayLike<number>) =>
      Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
    const [x, y] = [mean(cosines), mean(logits)];
    const slope = cosines.reduce((sum, each, i) => sum + (each - x) * (logits[i]! - y), 0) /
      cosines.reduce((sum, each) => sum + (each - x) ** 2, 0);
    return slope > 0 && slope < Infinity ? slope : undefined;
  }

  /** Numbers of an embedding; throws when pictures and texts do not have the same. */
  async #dimension(padding: "longest" | "context"): Promise<number> {
    const { tokenizer, picture } = this.model;
    const pixels = await this.towers.embedPixels(preparePictures(probePictures().slice(0, 1), picture));
    const texts = await this.towers.embedTokens(tokenizer.encode(probeTexts.slice(0, 1), padding));
    if (pixels.shape[1] !== texts.shape[1]) {
      throw new InputError(
        `${this.found.name}: expected embeddings of one size, found ${pixels.shape[1]} for pictures and ${
          texts.shape[1]
        } for texts`,
      );
    }
    return pixels.shape[1]!;
  }
}

/** File names → SHA-256 of the weights, those beside their file too. */
async function digests(graphs: GraphFiles): Promise<string[]> {
  const result: string[] = [];
  for (const path of graphPaths(graphs)) {
    result.push(await sha256File(path));
    const names = (await Array.fromAsync(Deno.readDir(dirname(path)))).map(({ name }) => name).sort();
    for (const name of names) {
      if (name.startsWith(`${basename(path)}_data`) && !/\.(part|incomplete|etag)$/.test(name)) {
        result.push(await sha256File(join(dirname(path), name)));
      }
    }
  }
  return result;
}
