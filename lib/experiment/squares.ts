/** Pictures of a split or a folder as squares with their transparency: what is corrupted before a model sees it. */

import {
  backgroundOf,
  cachedSquare,
  type Colour,
  openSource,
  readSquareFile,
  type SkippedItem,
  type Split,
  type Square,
} from "../data/mod.ts";
import { stratifiedSample } from "../evaluate/mod.ts";
import { InputError, Random } from "../runtime/mod.ts";
import { type Dataset, openPictures } from "./dataset.ts";
import { factsOf, type ModelView, type PictureFacts } from "./picture_sets.ts";

/** Where pictures come from: as `splitPictures` and `folderPictures` take them. */
export type SquareSource = { readonly dataset: Dataset; readonly split: Split } | { readonly folder: string };

/** A picture before it is laid on its ground. */
export interface ShownSquare extends Square {
  /** What the model is shown it on: RGB, interleaved. */
  readonly ground: Uint8Array;
  /** By the model's classes. */
  readonly label: number;
  readonly facts: PictureFacts;
}

/** Squares to draw once. */
export interface OpenedSquares extends Disposable {
  /** For people. */
  readonly name: string;
  /** How many will come, fewer where files are no pictures. */
  readonly total: number;
  /** Pictures of species that the model does not know. */
  readonly leftOut: number;
  /** Files that are no pictures; complete once all squares were drawn. */
  readonly skipped: readonly SkippedItem[];
  squares(): AsyncGenerator<ShownSquare>;
}

/** Settings of `openSquares`. */
export interface OpenSquaresOptions {
  /** At most so many pictures: a stratified sample. Default: all. */
  readonly limit?: number | undefined;
  /** Chooses the sample. Default: 0. */
  readonly seed?: number | undefined;
}

/**
 * Opens pictures for a model: laid on their grounds they are what `splitPictures` and `folderPictures` show. Throws InputError where
 * none is of the model's species.
 */
export async function openSquares(
  source: SquareSource,
  view: Omit<ModelView, "batch">,
  { limit = Infinity, seed = 0 }: OpenSquaresOptions = {},
): Promise<OpenedSquares> {
  const labelOf = new Map(view.dex.map((number, label) => [number, label]));
  const chosen = <Item extends { readonly dex: number }>(name: string, items: readonly Item[]) => {
    const known = items.filter(({ dex }) => labelOf.has(dex));
    if (known.length === 0) {
      throw new InputError(`${name}: expected pictures of the model's ${view.dex.length} species, found none`);
    }
    const labels = known.map(({ dex }) => labelOf.get(dex)!);
    const kept = stratifiedSample(labels, limit, Random.seeded("sample", seed)).map((i) => known[i]!);
    return { kept, leftOut: items.length - known.length };
  };
  const { size, view: shown } = view.card.input;
  const ground = (id: string, background: Colour | "fixed") => backgroundOf(id, background, size, size);
  if ("folder" in source) {
    const { folder } = source, { items, skipped } = await (await openSource(`folder:${folder}`)).list();
    const { kept, leftOut } = chosen(folder, items);
    const left: SkippedItem[] = [...skipped];
    return {
      ...{ name: folder, total: kept.length, leftOut, skipped: left },
      async *squares() {
        for (const { path, file, dex } of kept) {
          let square: Square;
          try {
            square = await readSquareFile(file, { size, view: shown });
          } catch (error) {
            if (!(error instanceof InputError)) throw error;
            left.push({ path, cause: error.message.replace(`${file}: `, "") });
            continue;
          }
          const facts = factsOf({ id: path, path, dex });
          yield { ...square, ground: ground(path, view.card.input.background), label: labelOf.get(dex)!, facts };
        }
      },
      [Symbol.dispose]() {},
    };
  }
  const { dataset, split } = source, name = `${dataset.dataFolder}, ${split} (${dataset.splitMode})`;
  const { kept, leftOut } = chosen(name, dataset.rows[split]);
  // Of the whole split: the cache that others use too must not shrink to a sample.
  const cache = await openPictures(dataset, { size, view: shown, splits: [split] });
  return {
    ...{ name, total: kept.length, leftOut, skipped: [] },
    async *squares() {
      for (const row of kept) {
        yield {
          ...cachedSquare(cache, row, { size, view: shown }),
          ground: ground(row.id, view.card.trainedOn.background),
          label: labelOf.get(row.dex)!,
          facts: factsOf(row),
        };
      }
    },
    [Symbol.dispose]: () => cache[Symbol.dispose](),
  };
}
