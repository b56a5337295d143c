/** A data set without one style of pictures in training, to judge how far a model generalises to pictures of a kind it never saw. */

import { InputError } from "../runtime/mod.ts";
import type { ManifestRow } from "./manifest.ts";
import { pictureStyle } from "./picture_style.ts";
import { countSplits, type SplitCounts } from "./splits.ts";

/** Settings of `holdOutStyle`. */
export interface StyleHoldoutOptions {
  /**
   * Which of the style's pictures are the test: `all` of them (the most pictures), or `test`, those that the data set tests on
   * as it is: a model that was trained with the style can be judged on the same ones. Default: `all`.
   */
  readonly tested?: "all" | "test";
}

/** Rows with one style only in test. */
export interface StyleHoldout {
  readonly style: string;
  /** Fewer than were given; in the same order, with their new splits. */
  readonly rows: readonly ManifestRow[];
  /** By split. */
  readonly pictures: SplitCounts;
  /** Rows that are gone, by why. */
  readonly leftOut: {
    /** Of other styles in train and validation, near-duplicates of a picture of the style. */
    readonly nearDuplicates: number;
    /** Of other styles in test. */
    readonly otherStyles: number;
    /** Of the style, but not tested on. */
    readonly untested: number;
    /** Of the style, of species of which no training picture is left: they could not be learnt. */
    readonly unlearnable: number;
  };
}

/**
 * Leaves a style (`pictureStyle`) out of train and validation, and everything else out of test.
 *
 * A near-duplicate group that holds the style leaves train and validation as a whole: its other pictures show the same drawing, so
 * that a model which learnt them by heart would pass for one that generalises. Other pictures of train and validation stay where
 * they are, and what was tested of other styles is not trained on: so the training differs from that of the whole data set by the
 * style alone. Throws InputError where no picture has the style, or none of it can be tested.
 */
export function holdOutStyle(
  rows: readonly ManifestRow[],
  style: string,
  { tested = "all" }: StyleHoldoutOptions = {},
): StyleHoldout {
  const isHeldOut = new Map(rows.map((row) => [row, pictureStyle(row) === style]));
  const groups = new Set(rows.filter((row) => isHeldOut.get(row)).map(({ group }) => group));
  if (groups.size === 0) {
    const counts = [...Map.groupBy(rows, pictureStyle)].sort(([, a], [, b]) => b.length - a.length);
    const known = counts.slice(0, 8).map(([name]) => name).join(", ") + (counts.length > 8 ? ", …" : "");
    throw new InputError(`style: expected ${known || "a style of some picture"}, found "${style}"`);
  }
  const learnt = rows.filter(({ split, group }) => split !== "test" && !groups.has(group));
  const species = new Set(learnt.filter(({ split }) => split === "train").map(({ dex }) => dex));
  const leftOut = { nearDuplicates: 0, otherStyles: 0, untested: 0, unlearnable: 0 };
  const kept = rows.flatMap((row): ManifestRow[] => {
    if (!isHeldOut.get(row)) {
      if (row.split === "test") leftOut.otherStyles++;
      else if (groups.has(row.group)) leftOut.nearDuplicates++;
      else return [row];
    } else if (tested === "test" && row.split !== "test") leftOut.untested++;
    else if (!species.has(row.dex)) leftOut.unlearnable++;
    else return [{ ...row, split: "test" }];
    return [];
  });
  const pictures = countSplits(kept);
  if (pictures.test === 0) {
    throw new InputError(
      `style ${style}: expected pictures of species that other styles teach, found none among its ${
        leftOut.untested + leftOut.unlearnable
      }`,
    );
  }
  return { style, rows: kept, pictures, leftOut };
}
