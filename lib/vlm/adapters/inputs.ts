/** Whether embeddings, labels and texts go together. */

import { InputError, type Tensor } from "../../runtime/mod.ts";
import type { LabelledFeatures } from "../encoder.ts";
import type { AdapterInput } from "./adapter.ts";

/** What a row's length may differ from 1 by: embeddings that were kept in 16 bits pass. */
const LENGTH_TOLERANCE = 0.01;

/** N and D of checked input. */
export interface Sizes {
  readonly pictures: number;
  readonly dimension: number;
}

/** Throws InputError unless all of an adapter's input goes together and, for one that learns, each class has a picture. */
export function checkInput(place: string, input: AdapterInput, { learns = true } = {}): Sizes {
  const { train, texts, classes, validation, logitScale } = input;
  if (!(Number.isFinite(logitScale) && logitScale > 0)) {
    throw new InputError(`${place}: expected a logit scale above 0, found ${logitScale}`);
  }
  if (!Number.isInteger(classes) || classes < 2) {
    throw new InputError(`${place}: expected 2 classes or more, found ${classes}`);
  }
  if (texts.shape.length !== 2 || texts.shape[0] !== classes) {
    throw new InputError(`${place}: texts: expected [${classes}, D], found [${texts.shape.join(", ")}]`);
  }
  const dimension = texts.shape[1]!;
  checkRows(`${place}: texts`, texts, dimension);
  if (validation) checkLabelled(`${place}: validation`, validation, classes, dimension);
  if (!learns) return { pictures: 0, dimension };
  checkLabelled(`${place}: train`, train, classes, dimension);
  const seen = new Uint8Array(classes);
  for (const label of train.labels) seen[label] = 1;
  const empty = seen.indexOf(0);
  if (empty >= 0) {
    const more = seen.reduce((count, one) => count + 1 - one, 0) - 1;
    throw new InputError(
      `${place}: train: expected a picture of each of ${classes} classes, found none of class ${empty}` +
        (more > 0 ? ` and ${more} more` : ""),
    );
  }
  return { pictures: train.labels.length, dimension };
}

/** Throws InputError unless there is a picture, each row has a class and all classes are in 0 … classes − 1. */
export function checkLabelled(
  place: string,
  { features, labels }: LabelledFeatures,
  classes: number,
  dimension: number,
): void {
  checkRows(`${place} features`, features, dimension);
  const rows = features.shape[0]!;
  if (rows === 0) throw new InputError(`${place}: expected a picture, found none`);
  if (labels.length !== rows) {
    throw new InputError(`${place} labels: expected ${rows}, one a row, found ${labels.length}`);
  }
  const wrong = labels.findIndex((label) => label < 0 || label >= classes);
  if (wrong >= 0) {
    throw new InputError(`${place} labels: expected 0 … ${classes - 1}, found ${labels[wrong]} in row ${wrong}`);
  }
}

/** Throws InputError unless the tensor has rows of `dimension` numbers and of length 1. */
export function checkRows(place: string, { shape, data }: Tensor<"float32">, dimension: number): void {
  if (shape.length !== 2 || shape[1] !== dimension) {
    throw new InputError(`${place}: expected [N, ${dimension}], found [${shape.join(", ")}]`);
  }
  if (data.length !== shape[0]! * dimension) {
    throw new InputError(`${place}: expected ${shape[0]! * dimension} numbers, found ${data.length}`);
  }
  for (let row = 0, at = 0; row < shape[0]!; row++) {
    let square = 0;
    for (const end = at + dimension; at < end; at++) square += data[at]! * data[at]!;
    if (!Number.isFinite(square)) {
      throw new InputError(`${place}: expected numbers, found NaN or infinity in row ${row}`);
    }
    const length = Math.sqrt(square);
    if (Math.abs(length - 1) > LENGTH_TOLERANCE) {
      throw new InputError(`${place}: expected rows of length 1, found length ${length.toPrecision(4)} in row ${row}`);
    }
  }
}
