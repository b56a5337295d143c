/** Pictures to judge a model on: a split of a built data set, or any folder of pictures by species. */

import { openSource, pictureKind, readPictureFile, type SkippedItem, type Split } from "../data/mod.ts";
import { InputError, type Tensor, tensor } from "../runtime/mod.ts";
import { speciesByDex } from "../species/mod.ts";
import type { TruthBox } from "../train/mod.ts";
import type { ModelCard } from "./card.ts";
import { type Dataset, evaluationLoader, openPictures } from "./dataset.ts";

/** What is known of a picture beside its pixels. */
export interface PictureFacts {
  /** The manifest's id, or the file. */
  readonly id: string;
  readonly dex: number;
  readonly generation: number;
  /** What kind of picture it is by its path, e.g. "pokemon/shiny". */
  readonly style: string;
  /** Of near-duplicates; undefined where they are not known. */
  readonly group?: string | undefined;
}

/** A batch to judge. */
export interface EvaluationBatch {
  readonly images: Tensor;
  /** By the model's classes. */
  readonly labels: readonly number[];
  readonly boxes: readonly (readonly TruthBox[])[];
  readonly facts: readonly PictureFacts[];
}

/** How a model wants to be shown pictures. */
export interface ModelView {
  readonly card: Pick<ModelCard, "input" | "trainedOn">;
  /** The dex number of each class. */
  readonly dex: readonly number[];
  /** Pictures in a batch. */
  readonly batch: number;
}

/** Pictures opened for a model; complete once all batches were drawn. */
export interface OpenedPictures extends Disposable {
  readonly total: number;
  /** Pictures of species that the model does not know. */
  readonly leftOut: number;
  /** Files that are no pictures. */
  readonly skipped: readonly SkippedItem[];
  batches(): AsyncGenerator<EvaluationBatch>;
}

/** Pictures to judge a model on. */
export interface PictureSet {
  /** For people. */
  readonly name: string;
  open(view: ModelView): Promise<OpenedPictures>;
}

/** Up to so many pixels of a split no worker draws its pictures. */
const FEW_PIXELS = 2 ** 21;

/** A split of a data set, shown as in training but not augmented. */
export function splitPictures(dataset: Dataset, split: Split): PictureSet {
  const name = `${dataset.dataFolder}, ${split} (${dataset.splitMode})`;
  return {
    name,
    async open({ card: { input: { size, view }, trainedOn: { background, boxes } }, dex, batch }) {
      const labelOf = new Map(dex.map((number, label) => [number, label]));
      const rows = dataset.rows[split].filter((row) => labelOf.has(row.dex));
      if (rows.length === 0) {
        throw new InputError(`${name}: expected pictures of the model's ${dex.length} species, found none`);
      }
      const own: Dataset = {
        ...dataset,
        rows: { ...dataset.rows, [split]: rows },
        classes: dex.map(speciesByDex),
      };
      const cache = await openPictures(own, { size, view, splits: [split] });
      // A worker takes over a second to start in a notebook: few pixels are drawn sooner in this thread.
      const workers = rows.length * size ** 2 < FEW_PIXELS ? 0 : 1;
      const loader = evaluationLoader(own, split, cache, { size, batch, background, boxes, view }, { workers });
      const byId = new Map(rows.map((row) => [row.id, row]));
      return {
        total: rows.length,
        leftOut: dataset.rows[split].length - rows.length,
        skipped: [],
        async *batches() {
          for await (const { ids, images, shape, labels, boxes } of loader.epoch(0)) {
            const facts = ids.map((id) => factsOf(byId.get(id)!));
            yield { images: tensor("float32", shape, images), labels: [...labels], boxes, facts };
          }
        },
        [Symbol.dispose]() {
          loader[Symbol.dispose]();
          cache[Symbol.dispose]();
        },
      };
    },
  };
}

/**
 * All pictures of a folder laid out as `PATH/NNNN/*`, decoded as building a data set does, each on the card's plain background. A
 * picture's box is the whole frame. Files that are no pictures are skipped and listed.
 */
export function folderPictures(path: string): PictureSet {
  return {
    name: path,
    async open({ card: { input: { size, view, background, mean, std } }, dex, batch }) {
      const { items, skipped } = await (await openSource(`folder:${path}`)).list();
      const labelOf = new Map(dex.map((number, label) => [number, label]));
      const known = items.filter((item) => labelOf.has(item.dex));
      if (known.length === 0) {
        throw new InputError(`${path}: expected pictures of the model's ${dex.length} species, found none`);
      }
      const left: SkippedItem[] = [...skipped];
      const read = async (item: typeof items[number]) => {
        try {
          return {
            item,
            ...await readPictureFile(item.file, { size, view, background, normalisation: { mean, std } }),
          };
        } catch (error) {
          if (!(error instanceof InputError)) throw error;
          left.push({ path: item.path, cause: error.message.replace(`${item.file}: `, "") });
          return undefined;
        }
      };
      return {
        total: known.length,
        leftOut: items.length - known.length,
        skipped: left,
        async *batches() {
          for (let at = 0; at < known.length; at += batch) {
            const found = (await Promise.all(known.slice(at, at + batch).map(read))).filter((each) => !!each);
            if (found.length === 0) continue;
            const labels = found.map(({ item }) => labelOf.get(item.dex)!);
            yield {
              images: stackPlanes(found.map(({ planes }) => planes), size),
              labels,
              boxes: labels.map((classId) => [{ classId, left: 0, top: 0, right: size, bottom: size }]),
              facts: found.map(({ item: { path, dex } }) => factsOf({ id: path, path, dex })),
            };
          }
        },
        [Symbol.dispose]() {},
      };
    },
  };
}

/** What a picture's place in its data set or folder tells of it. */
export function factsOf(
  { id, path, dex, group }: {
    readonly id: string;
    readonly path: string;
    readonly dex: number;
    readonly group?: string;
  },
): PictureFacts {
  const { generation } = speciesByDex(dex);
  return { id, dex, generation, style: pictureKind({ path, dex }), ...(group === undefined ? {} : { group }) };
}

/** Pictures [3, size, size] as one tensor [N, 3, size, size]. */
export function stackPlanes(planes: readonly Float32Array[], size: number): Tensor {
  const images = new Float32Array(planes.length * 3 * size * size);
  planes.forEach((each, i) => images.set(each, i * 3 * size * size));
  return tensor("float32", [planes.length, 3, size, size], images);
}
