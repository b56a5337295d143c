/** In which order a training visits its pictures: balanced, easy ones first, hard ones more often. */

import {
  classBalanced,
  curriculum,
  difficultyByStyle,
  groupBalanced,
  HardExamples,
  hardnessOf,
  linearPacing,
  type ManifestRow,
  pictureStyle,
  positivePairs,
  rootPacing,
  type Sampler,
  shuffled,
} from "../data/mod.ts";
import { judgeClassification } from "../evaluate/mod.ts";
import type { TrainingConfig } from "./config.ts";
import { type Way, wayOutput } from "./graphs.ts";
import type { Judgement } from "./judge.ts";

/** The order in which an epoch visits these rows, in batches of `batch` (which only `positivePairs` asks for). */
export function samplerOf(
  name: TrainingConfig["data"]["sampler"],
  rows: readonly ManifestRow[],
  { batch = 2 }: { readonly batch?: number } = {},
): Sampler {
  const groups = rows.map(({ group }) => group);
  switch (name) {
    case "shuffled":
      return shuffled;
    case "classBalanced":
      return classBalanced;
    case "groupBalanced":
      return groupBalanced(groups);
    case "positivePairs":
      return positivePairs({ batch, groups, styles: rows.map(pictureStyle) });
  }
}

/** The most batches that are drawn ahead of the one in use while hard examples are mined. */
export const MOST_AHEAD = 8;

/** What a training draws by. */
export interface TrainingSampler {
  readonly sampler: Sampler;
  /** To be told after each validation what was hard; undefined where no hard examples are mined. */
  readonly hard?: HardExamples;
}

/**
 * The sampler of a training on these rows, which are the loader's in their order: `data.sampler`, by a curriculum where there is
 * one, and with hard examples in a share of each batch. Throws InputError for a curriculum none of whose styles is there.
 */
export function trainingSampler(
  { data, training: { batch } }: Pick<TrainingConfig, "data" | "training">,
  rows: readonly ManifestRow[],
): TrainingSampler {
  const { pacing, start, epochs, styles, other } = data.curriculum, { share } = data.hard;
  const base = pacing === "none" ? samplerOf(data.sampler, rows, { batch }) : curriculum({
    difficulty: difficultyByStyle(rows, styles, { other }),
    pacing: (pacing === "linear" ? linearPacing : rootPacing)({ start, epochs }),
    base: (indices) => samplerOf(data.sampler, indices.map((index) => rows[index]!), { batch }),
  });
  if (share === 0) return { sampler: base };
  const stepsPerEpoch = Math.max(1, Math.floor(rows.length / batch));
  const hard = new HardExamples({
    ...{ share, batch, base, groups: rows.map(({ group }) => group) },
    // While an epoch is validated the next is drawn already; of short epochs those after it too.
    delay: 2 + Math.floor(MOST_AHEAD / stepsPerEpoch),
  });
  return { sampler: hard.sampler, hard };
}

/** What a judgement of the validation split tells `HardExamples`: species taken for each other, and the losses of each. */
export function hardnessIn(
  { labels, distributions }: Judgement,
  way: Way,
  { classes }: { readonly classes: number },
): ReturnType<typeof hardnessOf> {
  const probabilities = distributions[wayOutput(way)]!;
  const { predicted } = judgeClassification(probabilities, labels);
  const losses = Float64Array.from(
    labels,
    (label, i) => -Math.log(Math.max(probabilities.values[i * classes + label]!, Number.MIN_VALUE)),
  );
  return hardnessOf({ labels, predicted, losses, classes });
}
