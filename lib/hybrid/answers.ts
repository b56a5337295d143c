/** What several models say of the same pictures, joined only where it is the same pictures and classes. */

import type { Scores } from "../evaluate/mod.ts";
import { InputError } from "../runtime/mod.ts";

/** A model's answers to the pictures of a split. */
export interface Answers {
  /** For people. */
  readonly model: string;
  /** Probabilities, [pictures, classes]. */
  readonly probabilities: Scores;
  /** The class of each picture. */
  readonly labels: ArrayLike<number>;
  /** The picture of each row: SHA-256 of the raw file, or whatever names it in all models. */
  readonly pictures: readonly string[];
  /** The dex number of each class. */
  readonly dex: readonly number[];
}

/**
 * The answers with rows in the order of `pictures` and columns in that of `dex`. A class that the model does not know has probability 0.
 * Throws InputError where a picture is not among its answers, is there twice, or has another label.
 */
export function aligned(
  answers: Answers,
  { pictures, dex, labels }: Omit<Answers, "model" | "probabilities">,
): Answers {
  const { model, probabilities: { values, classes } } = answers;
  expectWhole(answers);
  const rowOf = new Map(answers.pictures.map((picture, row) => [picture, row]));
  if (rowOf.size !== answers.pictures.length) {
    throw new InputError(`${model}: expected one answer a picture, found a picture with several`);
  }
  const columnOf = new Map(answers.dex.map((number, column) => [number, column]));
  const columns = dex.map((number) => columnOf.get(number));
  const aligned = new Float32Array(pictures.length * dex.length);
  for (const [to, picture] of pictures.entries()) {
    const row = rowOf.get(picture);
    if (row === undefined) {
      throw new InputError(`${model}: expected an answer to picture ${picture}, found none; it was asked about others`);
    }
    const own = answers.dex[answers.labels[row]!], expected = dex[labels[to]!];
    if (own !== expected) {
      throw new InputError(`${model}: expected picture ${picture} to show species ${expected}, found ${own}`);
    }
    for (const [c, column] of columns.entries()) {
      if (column !== undefined) aligned[to * dex.length + c] = values[row * classes + column]!;
    }
  }
  return { model, probabilities: { values: aligned, classes: dex.length }, labels, pictures, dex };
}

/** Throws InputError unless there is a row for every picture and a column for every class. */
function expectWhole({ model, probabilities: { values, classes }, labels, pictures, dex }: Answers): void {
  const n = pictures.length;
  if (classes === dex.length && values.length === n * classes && labels.length === n) return;
  throw new InputError(
    `${model}: expected probabilities [${n}, ${dex.length}] and ${n} labels, found [${values.length / classes}, ` +
      `${classes}] and ${labels.length}`,
  );
}
