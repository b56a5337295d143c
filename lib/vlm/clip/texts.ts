/** The texts of a training: what the tokenizer learns from, and the captions and names of each batch. */

import type { Batch as PictureBatch, ManifestRow } from "../../data/mod.ts";
import type { Dataset } from "../../experiment/mod.ts";
import { Random } from "../../runtime/mod.ts";
import type { Species } from "../../species/mod.ts";
import type { Batch } from "../../train/mod.ts";
import { attributeCaption, nameCaption, pictureCaption, PROMPT_TEMPLATES } from "../captions/mod.ts";
import { ClipTokenizer, learnTokenizer } from "../tokenizer/mod.ts";
import type { ClipConfig } from "./config.ts";
import { clipLabels, type ClipSizes, clipSizes, clipTexts } from "./network.ts";

/** Texts, and the label of each one's species among those that are trained. */
export interface LabelledTexts {
  readonly texts: string[];
  readonly labels: number[];
}

/** Makes the texts of a training. All follow from data, settings, seed, epoch and step. */
export class TrainingTexts {
  readonly tokenizer: ClipTokenizer;
  readonly sizes: ClipSizes;
  readonly #config: ClipConfig;
  readonly #seed: number;
  readonly #rows: ReadonlyMap<string, ManifestRow>;
  readonly #ofSpecies: readonly (readonly ManifestRow[])[];
  readonly #names: readonly string[];
  readonly #known: ReadonlySet<number>;

  /** `data` has the trained species only. Throws InputError for fewer of them than a batch has pictures. */
  constructor(data: Dataset, config: ClipConfig, seed: number) {
    this.#config = config;
    this.#seed = seed;
    this.#rows = new Map(data.rows.train.map((row) => [row.id, row]));
    const ofDex = Map.groupBy(data.rows.train, ({ dex }) => dex);
    this.#ofSpecies = data.classes.map(({ dex }) => ofDex.get(dex) ?? []);
    this.#names = data.classes.map((species) => nameCaption(species));
    this.#known = new Set(data.classes.map(({ dex }) => dex));
    const { vocabulary, context } = config.model.text;
    this.tokenizer = new ClipTokenizer(learnTokenizer(this.#sample(data), { vocabulary }), { context });
    const nameLength = Math.max(...this.#names.map((name) => this.tokenizer.tokens(name).length));
    this.sizes = clipSizes(config, { species: data.classes.length, nameLength });
  }

  /** The captions of a batch of training pictures, captions of other species behind them; and the species that they are of. */
  captionsOf({ ids, labels, epoch, step }: Pick<PictureBatch, "ids" | "labels" | "epoch" | "step">): LabelledTexts {
    const random = Random.seeded("captions", this.#seed, epoch, step);
    const own = ids.map((id) => this.#caption(this.#rows.get(id)!, random));
    const others = this.#others(labels, this.sizes.negatives, random);
    const further = others.map((label) => this.#caption(random.pick(this.#ofSpecies[label]!), random));
    return { texts: [...own, ...further], labels: [...labels, ...others] };
  }

  /** The names of a batch, other names behind them. */
  namesOf({ labels, epoch, step }: Pick<PictureBatch, "labels" | "epoch" | "step">): LabelledTexts {
    const { batch, names } = this.sizes, random = Random.seeded("names", this.#seed, epoch, step);
    const all = [...labels, ...this.#others(labels, names - batch, random)];
    return { texts: all.map((label) => this.#names[label]!), labels: all };
  }

  /** What a step is fed besides the pictures. */
  targets(batch: PictureBatch): Batch {
    const { names, nameLength, species } = this.sizes;
    const captions = this.captionsOf(batch), named = names > 0 ? this.namesOf(batch) : undefined;
    const labels = { images: batch.labels, texts: captions.labels, names: named?.labels ?? [] };
    return {
      ...clipTexts(
        this.tokenizer.encode(captions.texts),
        named && this.tokenizer.encode(named.texts, { length: nameLength }),
      ),
      ...(species > 0 ? clipLabels(this.#config.loss.species, labels) : {}),
    };
  }

  /** Labels of species with training pictures that are not in a batch, each once. */
  #others(labels: ArrayLike<number>, count: number, random: Random): number[] {
    const taken = new Set(Array.from(labels));
    const left = this.#ofSpecies.flatMap((rows, label) => rows.length > 0 && !taken.has(label) ? [label] : []);
    const chosen = random.shuffle(left).slice(0, count);
    // Fewer species with pictures than asked for: some come again, for the size of a batch is fixed.
    while (chosen.length < count) chosen.push(left.length > 0 ? random.pick(left) : labels[0]!);
    return chosen;
  }

  #caption(row: ManifestRow, random: Random): string {
    const mayName = (dex: number) => this.#known.has(dex);
    return pictureCaption(row, { random, nameShare: this.#config.captions.names, mayName });
  }

  *#sample(data: Dataset): Generator<string> {
    for (const row of data.rows.train) {
      const random = Random.seeded("tokenizer", row.id);
      for (let n = 0; n < this.#config.captions.sample; n++) yield this.#caption(row, random);
    }
    for (const species of data.classes) {
      for (const template of PROMPT_TEMPLATES) yield nameCaption(species, { template });
    }
  }
}

/** Texts that classes are recognised by: of each trained species its name, of each held-out one a description without it. */
export function classTexts(
  trained: readonly Species[],
  heldOut: readonly Species[],
): { names: string[]; descriptions: string[] } {
  const known = new Set(trained.map(({ dex }) => dex));
  const mayName = (dex: number) => known.has(dex);
  return {
    names: trained.map((species) => nameCaption(species)),
    descriptions: heldOut.map((species) => attributeCaption(species, { mayName })),
  };
}
