/** Figures of a CLIP of our own, measured again from its folder. */

import { splitHash } from "../../data/mod.ts";
import type { Dataset } from "../../experiment/mod.ts";
import { judgeClassification } from "../../evaluate/mod.ts";
import { InputError, type ProgressListener } from "../../runtime/mod.ts";
import { embedSplit, ofSpecies } from "../dataset_features.ts";
import { textPrototypes } from "../zero_shot/prototypes.ts";
import { zeroShotProbabilities } from "../zero_shot/classify.ts";
import { openPokedexClip } from "./open_clip.ts";
import { type ClipCard, readClip, writeCard } from "./package.ts";
import { classTexts } from "./texts.ts";

/** Figures of a split, as the card has them. */
export type ClipCardFigures = NonNullable<ClipCard["metrics"]["test"]>;

/** Settings of `evaluateClip`. */
export interface EvaluateClipOptions {
  /** Write the figures into the card. */
  readonly write?: boolean;
  readonly threads?: number | undefined;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The accuracy on a split of the data set that it was trained on: of the trained species by their names, among these; of those held out by
 * descriptions without names, among those. Throws InputError for another data set, whose pictures it may have been trained on.
 */
export async function evaluateClip(
  folder: string,
  dataset: Dataset,
  split: "validation" | "test",
  { write = false, threads, onProgress, signal }: EvaluateClipOptions = {},
): Promise<ClipCardFigures> {
  const { card } = await readClip(folder), found = splitHash(Object.values(dataset.rows).flat());
  if (found !== card.trainedOn.splitHash) {
    throw new InputError(
      `${dataset.dataFolder}: expected the pictures in the splits that ${card.name} was trained on, ` +
        `${card.trainedOn.splitHash.slice(0, 12)}…, found ${
          found.slice(0, 12)
        }…, whose test pictures it may have learned from`,
    );
  }
  await using encoder = await openPokedexClip(folder, { threads });
  const features = await embedSplit(encoder, dataset, split, { onProgress, signal });
  const known = (numbers: readonly number[]) => {
    const own = new Set(numbers);
    return dataset.classes.filter(({ dex }) => own.has(dex));
  };
  const trained = known(card.species.trained), heldOut = known(card.species.heldOut);
  const { names, descriptions } = classTexts(trained, heldOut);
  const part = async (classes: Dataset["classes"], texts: readonly string[]) => {
    if (classes.length === 0) return undefined;
    const own = ofSpecies(features, classes), prototypes = await textPrototypes(encoder, texts.map((text) => [text]));
    const { top1, top5, n } = judgeClassification(
      await zeroShotProbabilities(own.features, prototypes, encoder.logitScale),
      own.labels,
    );
    return {
      ...{ n, species: classes.length, top1: top1.share, top1_ci95: [...top1.ci95] as [number, number] },
      ...{ top5: top5.share, top5_ci95: [...top5.ci95] as [number, number] },
    };
  };
  const [byName, byDescription] = [await part(trained, names), await part(heldOut, descriptions)];
  const figures: ClipCardFigures = {
    ...(byName ? { trained: byName } : {}),
    ...(byDescription ? { heldOut: byDescription } : {}),
  };
  if (write) {
    await writeCard(folder, { ...card, metrics: { ...card.metrics, [split]: figures } });
  }
  return figures;
}
