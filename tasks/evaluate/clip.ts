/** `deno task evaluate --model …` of a CLIP of our own. */

import { join } from "node:path";
import { openDataset } from "../../lib/experiment/mod.ts";
import { progress } from "../../lib/notebook/mod.ts";
import { InputError } from "../../lib/runtime/mod.ts";
import { listRunFolders } from "../../lib/track/mod.ts";
import { type ClipCardFigures, evaluateClip, findClip, readClip } from "../../lib/vlm/mod.ts";

/** The folder of a CLIP that is meant by a path, a name under `models/` or (a part of) a run's id; undefined for other models. */
export async function clipOf(model: string, runs: string): Promise<string | undefined> {
  const ids = (await listRunFolders(runs)).filter((id) => id.includes(model));
  for (const place of [model, join("models", model), ...ids.toReversed().map((id) => join(runs, id))]) {
    const found = await findClip(place);
    if (found) return found;
  }
  return undefined;
}

/** One line a part. */
export function clipFiguresText(split: string, { trained, heldOut }: ClipCardFigures): string[] {
  const percent = (share: number) => (100 * share).toFixed(1);
  return ([[trained, "by name"], [heldOut, "never seen, by description"]] as const).flatMap(([figures, how]) => {
    if (!figures) return [];
    const { n, species, top1, top1_ci95: between, top5 } = figures;
    return [
      `${split}, ${species} species ${how}: top-1 ${percent(top1)} % [${between.map(percent).join(", ")}], ` +
      `top-5 ${percent(top5)} % (${n} pictures)`,
    ];
  });
}

/** Judges a CLIP on a split of the data set that it was trained on. Throws InputError for a split that says nothing. */
export async function evaluateClipByFlags(
  folder: string,
  { split, data, card }: { readonly split: string; readonly data: string | undefined; readonly card: boolean },
): Promise<ClipCardFigures> {
  if (split !== "validation" && split !== "test") {
    throw new InputError(`--split: expected validation or test for a CLIP, found "${split}"`);
  }
  const { card: { trainedOn } } = await readClip(folder);
  const dataset = await openDataset({ dataFolder: data ?? join("data", trainedOn.profile), warn: console.error });
  const figures = await evaluateClip(folder, dataset, split, { write: card, onProgress: progress("evaluate") });
  for (const line of clipFiguresText(split, figures)) console.error(line);
  return figures;
}
