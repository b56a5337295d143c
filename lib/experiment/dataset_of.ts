/** The data set as a training's settings take it. */

import type { TrainingConfig } from "./config.ts";
import type { Dataset } from "./dataset.ts";
import { shareOfTraining } from "./training_share.ts";
import { withoutStyle } from "./without_style.ts";

/**
 * Without the style that `data.without` names, where it names one, and with the share of training pictures that `data.share` says. Taken
 * twice it is the same. Throws as `withoutStyle`.
 */
export function datasetOf(
  dataset: Dataset,
  { without, share }: Pick<TrainingConfig["data"], "without" | "share">,
): Dataset {
  return shareOfTraining(without === undefined ? dataset : withoutStyle(dataset, without).dataset, share);
}
