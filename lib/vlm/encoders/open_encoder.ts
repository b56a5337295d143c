/** Opens a CLIP-like model of the Hub's layout as an `Encoder`. */

import type { Picture } from "../../data/mod.ts";
import { type Device, InputError, type Tensor, tensor } from "../../runtime/mod.ts";
import type { Encoder, Preprocessing } from "../encoder.ts";
import { type CheckedModel, checkModel } from "./check_model.ts";
import { describeModel, type ModelDescription } from "./describe_model.ts";
import { defaultCacheFolder, findModel, type FindOptions, type FoundModel } from "./find_model.ts";
import { defaultModel, knownModels, type Precision, precisions } from "./known_models.ts";
import { preparePictures, type ViewOptions } from "./preprocess.ts";
import { openTowers, type TowerOptions, type Towers } from "./towers.ts";
import type { Verdict } from "./verify.ts";

/** Settings of `openEncoder`. */
export interface OpenEncoderOptions extends Omit<FindOptions, "precision">, ViewOptions {
  /** Default: "cpu". */
  readonly device?: Device | undefined;
  /** CPU threads inside an operator. */
  readonly threads?: number | undefined;
  /** Default: that of `knownModels`, else "fp32". */
  readonly dtype?: Precision | undefined;
  /** Pictures or texts that run through the model at a time. Default: 32. */
  readonly batch?: number | undefined;
}

/** An encoder that was read from files. */
export interface OpenedEncoder extends Encoder {
  readonly folder: string;
  readonly origin: FoundModel["origin"];
  readonly dtype: Precision;
  readonly revision: string | undefined;
  readonly verdict: Verdict;
  /** What whoever trusts the numbers should know, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * Opens an image and text encoder: CLIP, SigLIP, SigLIP 2, MobileCLIP and what is shaped like them. `nameOrPath` is a folder in the
 * Hub's layout or "OWNER/NAME"; default: the folder `$POKEDEX_CLIP`, else Xenova/clip-vit-base-patch32. `findModel` tells where a
 * name is looked for.
 *
 * Before first use the files are probed: a precision beside fp32 is compared with it where both are there (`leastCosine`), else
 * only checked for sanity; the tokenizer must fit the text model. Throws InputError in one line for what does not fit or is
 * broken, WorkError when the model cannot be had.
 */
export async function openEncoder(
  nameOrPath: string = Deno.env.get("POKEDEX_CLIP") || defaultModel,
  options: OpenEncoderOptions = {},
): Promise<OpenedEncoder> {
  const { dtype: precision = knownModels[nameOrPath]?.precision ?? "fp32", batch = 32 } = options;
  if (!precisions.includes(precision)) {
    throw new InputError(`openEncoder: expected dtype of ${precisions.join(", ")}, found ${precision}`);
  }
  if (!Number.isInteger(batch) || batch < 1) throw new InputError(`openEncoder: expected batch from 1, found ${batch}`);
  const found = await findModel(nameOrPath, { ...options, precision });
  options.signal?.throwIfAborted();
  const model = await describeModel(found, options);
  const settings: TowerOptions = { ...model, device: options.device, threads: options.threads };
  const towers = await openTowers(found.graphs, settings);
  try {
    const { cacheFolder = defaultCacheFolder } = options;
    const checked = await checkModel({ found, precision, model, towers, settings, cacheFolder });
    return new FileEncoder(found, precision, model, towers, checked, batch);
  } catch (error) {
    await towers[Symbol.asyncDispose]();
    throw error;
  }
}

class FileEncoder implements OpenedEncoder {
  readonly name: string;
  readonly folder: string;
  readonly origin: FoundModel["origin"];
  readonly revision: string | undefined;
  readonly dtype: Precision;
  readonly identity: string;
  readonly dimension: number;
  readonly preprocessing: Preprocessing;
  readonly logitScale: number;
  readonly verdict: Verdict;
  readonly notes: readonly string[];
  readonly #model: ModelDescription;
  readonly #towers: Towers;
  readonly #padding: CheckedModel["padding"];
  readonly #batch: number;

  constructor(
    found: FoundModel,
    dtype: Precision,
    model: ModelDescription,
    towers: Towers,
    checked: CheckedModel,
    batch: number,
  ) {
    ({ name: this.name, folder: this.folder, origin: this.origin } = found);
    [this.revision, this.dtype, this.preprocessing] = [found.revision, dtype, model.picture];
    ({ identity: this.identity, dimension: this.dimension, logitScale: this.logitScale } = checked);
    ({ verdict: this.verdict, notes: this.notes } = checked);
    [this.#model, this.#towers, this.#padding, this.#batch] = [model, towers, checked.padding, batch];
  }

  embedImages(pictures: readonly Picture[]): Promise<Tensor<"float32">> {
    return this.#inBatches(
      pictures,
      (part) => this.#towers.embedPixels(preparePictures(part, this.#model.picture)),
    );
  }

  embedTexts(texts: readonly string[]): Promise<Tensor<"float32">> {
    return this.#inBatches(
      texts,
      (part) => this.#towers.embedTokens(this.#model.tokenizer.encode(part, this.#padding)),
    );
  }

  async #inBatches<T>(
    items: readonly T[],
    embed: (part: readonly T[]) => Promise<Tensor<"float32">>,
  ): Promise<Tensor<"float32">> {
    const rows = new Float32Array(items.length * this.dimension);
    for (let from = 0; from < items.length; from += this.#batch) {
      rows.set((await embed(items.slice(from, from + this.#batch))).data, from * this.dimension);
    }
    return tensor("float32", [items.length, this.dimension], rows);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#towers[Symbol.asyncDispose]();
  }
}
