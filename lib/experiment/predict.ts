/** Which species pictures show, by a trained model. */

import { type PictureFile, readPictureFile } from "../data/mod.ts";
import { type Rectangle, topK } from "../evaluate/mod.ts";
import { InputError, type ProgressListener } from "../runtime/mod.ts";
import { tempered } from "./figures.ts";
import { CANDIDATES, judgedBatch, OUTPUTS } from "./graphs.ts";
import { detectionsOf } from "./judge.ts";
import type { OpenedModel } from "./open_model.ts";
import { stackPlanes } from "./picture_sets.ts";

/** One species that a picture may show. */
export interface Guess {
  readonly dex: number;
  readonly name: string;
  /** Its probability, at the model's temperature. */
  readonly score: number;
}

/** What a model says of a picture. */
export interface Prediction {
  /** The file, as it was given. */
  readonly image: string;
  /** The likeliest first. */
  readonly top: readonly Guess[];
  /**
   * Where the model sees the likeliest species: its surest box, as parts of the picture's width and height, cut to the picture.
   * Undefined for a model without boxes.
   */
  readonly box?: Rectangle | undefined;
}

/** Settings of `predictPictures`. */
export interface PredictOptions {
  /** How many species of each picture. Default: 5. */
  readonly top?: number;
  /** Pictures in a batch, 1 … 16. Default: 16. */
  readonly batch?: number;
  readonly onProgress?: ProgressListener;
}

/**
 * Predicts the species of picture files, of any format that a data set may have. Each is letterboxed as in training, on the card's
 * plain background. Throws InputError that names the first file which is no picture.
 */
export async function predictPictures(
  { session, card, classes }: OpenedModel,
  files: readonly string[],
  { top = 5, batch = 16, onProgress }: PredictOptions = {},
): Promise<Prediction[]> {
  if (!Number.isInteger(batch) || batch < 1 || batch > 16) {
    throw new InputError(`predict: expected a batch of 1 … 16 pictures, found ${batch}`);
  }
  if (!Number.isInteger(top) || top < 1) throw new InputError(`predict: expected at least one guess, found ${top}`);
  const { size, view, background, mean, std, name } = card.input;
  const count = Math.min(top, classes.length);
  const predictions: Prediction[] = [];
  const step = judgedBatch({ heads: card.decode.heads, size, classes: classes.length }, batch, card.decode.views);
  for (let at = 0; at < files.length; at += step) {
    const part = files.slice(at, at + step);
    const pictures = await Promise.all(
      part.map((file) => readPictureFile(file, { size, view, background, normalisation: { mean, std } })),
    );
    const found = await session.run({ [name]: stackPlanes(pictures.map(({ planes }) => planes), size) });
    const raw = found[OUTPUTS.probabilities]!.data as Float32Array;
    const { values } = tempered({ values: raw, classes: classes.length }, card.temperature);
    const best = topK({ values, classes: classes.length }, count);
    // Every candidate counts here: the predicted species' box may be faint.
    const suppression = { ...card.decode.suppression, scoreThreshold: 0, maxDetections: Infinity };
    const boxes = found[CANDIDATES.scores] && detectionsOf(found, { classes: classes.length, size, suppression });
    for (const [i, image] of part.entries()) {
      const labels = best.subarray(i * count, (i + 1) * count);
      const surest = boxes?.[i]?.find(({ classId }) => classId === labels[0]);
      predictions.push({
        image,
        top: Array.from(labels, (label) => ({
          dex: classes[label]!.dex,
          name: classes[label]!.name,
          score: values[i * classes.length + label]!,
        })),
        ...(surest ? { box: partOfPicture(surest, pictures[i]!, size) } : {}),
      });
    }
    onProgress?.({ label: "predict", done: predictions.length, total: files.length, unit: "pictures" });
  }
  return predictions;
}

/** From pixels of the letterboxed square to parts of the picture. */
function partOfPicture({ left, top, right, bottom }: Rectangle, { shown }: PictureFile, size: number): Rectangle {
  const wide = shown.right - shown.left, high = shown.bottom - shown.top, longer = Math.max(wide, high);
  const across = (x: number) => clip(shown.left + x / size * longer - (longer - wide) / 2);
  const down = (y: number) => clip(shown.top + y / size * longer - (longer - high) / 2);
  return { left: across(left), top: down(top), right: across(right), bottom: down(bottom) };
}

function clip(share: number): number {
  return Math.min(1, Math.max(0, share));
}
