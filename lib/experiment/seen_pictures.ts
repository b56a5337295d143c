/** Pictures of a data set as a model is shown them, for looking at what it said. */

import { batchPictures, type Picture, type Split } from "../data/mod.ts";
import { InputError } from "../runtime/mod.ts";
import type { Dataset } from "./dataset.ts";
import { type ModelView, splitPictures } from "./picture_sets.ts";

/**
 * The pictures with these ids in their order, at the size of the model's input. Throws InputError for an id that the split does
 * not have.
 */
export async function seenPictures(
  dataset: Dataset,
  split: Split,
  ids: readonly string[],
  { card, dex }: Omit<ModelView, "batch">,
): Promise<Picture[]> {
  if (ids.length === 0) return [];
  const wanted = new Set(ids);
  const rows = dataset.rows[split].filter(({ id }) => wanted.has(id));
  if (rows.length < wanted.size) {
    const has = new Set(rows.map(({ id }) => id));
    throw new InputError(
      `${dataset.dataFolder}: expected picture ${ids.find((id) => !has.has(id))} in ${split}, found none`,
    );
  }
  const own = { ...dataset, rows: { ...dataset.rows, [split]: rows } };
  using opened = await splitPictures(own, split).open({ card, dex, batch: 16 });
  const found = new Map<string, Picture>();
  for await (const { images, boxes, facts } of opened.batches()) {
    const pictures = batchPictures({
      images: images.data as Float32Array<ArrayBuffer>,
      shape: images.shape as [number, 3, number, number],
      boxes: boxes.map((list) => list.map((box) => ({ weight: 1, ...box }))),
    });
    facts.forEach(({ id }, i) => found.set(id, pictures[i]!));
  }
  return ids.map((id) => found.get(id)!);
}
