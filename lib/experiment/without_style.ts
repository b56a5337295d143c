/** A data set without one style of pictures in training, as training and judging take it. */

import { holdOutStyle, type StyleHoldout, type StyleHoldoutOptions } from "../data/mod.ts";
import { InputError } from "../runtime/mod.ts";
import type { Dataset } from "./dataset.ts";

/** A data set with one style only in test, and what became of the rest. */
export interface DatasetHoldout extends Omit<StyleHoldout, "rows"> {
  readonly dataset: Dataset;
}

/**
 * The data set with a style left out of train and validation, and only that style in test; see `holdOutStyle`. The classes stay: a
 * model has those of species that it can no longer learn, and they are not tested. Throws InputError where no picture has the style,
 * none of it can be tested, or nothing is left to train or validate on.
 */
export function withoutStyle(dataset: Dataset, style: string, options: StyleHoldoutOptions = {}): DatasetHoldout {
  const { train, validation, test } = dataset.rows;
  const { rows, ...found } = holdOutStyle([...train, ...validation, ...test], style, options);
  for (const split of ["train", "validation"] as const) {
    if (found.pictures[split] > 0) continue;
    throw new InputError(
      `${dataset.dataFolder}: expected pictures without the style ${style} in split ${split}, found none`,
    );
  }
  const of = (split: keyof Dataset["rows"]) => rows.filter((row) => row.split === split);
  return {
    ...found,
    dataset: { ...dataset, rows: { train: of("train"), validation: of("validation"), test: of("test") } },
  };
}
