/** Pictures from which a compiler learns the ranges of activations: some of training, as the camera would give them. */

import { type Dataset, type ModelCard, splitPictures } from "../../experiment/mod.ts";
import { InputError, Random } from "../../runtime/mod.ts";

/** A picture of the set. */
export interface CalibrationPicture {
  /** The manifest's id. */
  readonly id: string;
  readonly dex: number;
  /** By the model's classes. */
  readonly label: number;
  /** [3, size, size]: planes of red, green and blue. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Settings of `calibrationPictures`. */
export interface CalibrationOptions {
  /** Default: 64. */
  readonly count?: number;
  /** Chooses the pictures. Default: 0. */
  readonly seed?: number;
}

/**
 * Chooses pictures of the train split, drawn as the model's card says and without augmentation: the same for the same seed. Throws
 * InputError where there are fewer than asked for, and for a picture of one colour all over, e.g. black.
 */
export async function calibrationPictures(
  dataset: Dataset,
  card: Pick<ModelCard, "input" | "trainedOn" | "classes">,
  { count = 64, seed = 0 }: CalibrationOptions = {},
): Promise<CalibrationPicture[]> {
  const { dex } = card.classes, known = new Set(dex);
  const rows = dataset.rows.train.filter((row) => known.has(row.dex));
  if (rows.length < count) {
    throw new InputError(
      `${dataset.dataFolder}: expected ${count} training pictures of the model's species to calibrate with, found ${
        rows.length || "none"
      }`,
    );
  }
  const chosen = Random.seeded("calibration", seed).shuffle(rows).slice(0, count);
  const part: Dataset = { ...dataset, rows: { ...dataset.rows, train: chosen } };
  using opened = await splitPictures(part, "train").open({ card, dex, batch: 16 });
  const pictures: CalibrationPicture[] = [];
  for await (const { images: { data, shape }, labels, facts } of opened.batches()) {
    const length = shape[1]! * shape[2]! * shape[3]!;
    for (const [i, { id, dex }] of facts.entries()) {
      const planes = (data as Float32Array).subarray(i * length, (i + 1) * length);
      pictures.push({ id, dex, label: labels[i]!, bytes: Uint8Array.from(planes, (value) => Math.round(255 * value)) });
    }
  }
  expectPictures(dataset.dataFolder, pictures);
  return pictures;
}

/** Throws InputError for no pictures, and for one of a single colour: ranges learned from it would be those of nothing. */
export function expectPictures(place: string, pictures: readonly Pick<CalibrationPicture, "id" | "bytes">[]): void {
  if (pictures.length === 0) throw new InputError(`${place}: expected pictures to calibrate with, found none`);
  for (const { id, bytes } of pictures) {
    const size = bytes.length / 3;
    const isPlain = [0, 1, 2].every((c) =>
      bytes.subarray(c * size, (c + 1) * size).every((b) => b === bytes[c * size])
    );
    if (!isPlain) continue;
    const colour = [0, 1, 2].map((c) => bytes[c * size]);
    throw new InputError(
      `${place}: ${id}: expected a picture with something on it, found one that is ${
        colour.every((value) => value === 0) ? "black" : colour.join(", ")
      } all over`,
    );
  }
}
