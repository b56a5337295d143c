/** Batches for training and evaluation: seeded, resumable, drawn ahead in workers. */

import { availableParallelism } from "node:os";
import { InputError, Random, WorkerPool } from "../../runtime/mod.ts";
import type { Colour } from "../backgrounds.ts";
import { describeTransform, type Transform, unchanged } from "../augment/mod.ts";
import type { ManifestRow } from "../manifest.ts";
import type { PictureCache } from "./cache.ts";
import {
  type Batch,
  closeCacheFile,
  type Normalisation,
  renderBatch,
  type RenderJob,
  type RenderSettings,
  type View,
} from "./render.ts";
import { inOrder, type Sampler, shuffled } from "./sampler.ts";

export interface BatchLoaderOptions {
  readonly batchSize: number;
  /** Side of the square pictures in pixels; several for multi-scale training, of which one is drawn every `sizeEvery` steps. */
  readonly size: number | readonly number[];
  readonly sizeEvery?: number;
  /** Everything random follows from it, the epoch and the step. */
  readonly seed?: number | string;
  /** The order of an epoch; by default shuffled. */
  readonly sampler?: Sampler;
  /** What is done to the pictures; by default nothing. */
  readonly augmentation?: Transform;
  /** Behind pictures that are still transparent after that: a colour, or (`fixed`) a scene that belongs to the picture. */
  readonly background?: Colour | "fixed";
  /** A picture's own box: the whole frame (as in the YOLO dataset) or what is not transparent. */
  readonly boxes?: "frame" | "content";
  /** What fills the frame: the whole picture, or the part of it that is not transparent, so that margins do not matter. Default: "picture". */
  readonly view?: View;
  /** By default pixels are in 0 … 1. */
  readonly normalisation?: Normalisation;
  /** Whether a last batch that is not full is left out. */
  readonly dropLast?: boolean;
  /** The class ids that labels count, in order: label i means `classes[i]`, other rows are left out. By default every class id is its own label. */
  readonly classes?: readonly number[];
  /** Workers that draw batches; 0 draws them in this thread. By default one a core, at most 4. */
  readonly workers?: number;
  /** Batches drawn ahead of the one in use; with the batch's size it bounds the memory. */
  readonly prefetch?: number;
}

/**
 * Yields batches of cached pictures. A batch depends on the options, the epoch and the step alone – not on the number of
 * workers, their timing or where the reading began – so that training can go on bit for bit after a kill.
 */
export class BatchLoader implements Disposable {
  readonly #cache: PictureCache;
  readonly #rows: readonly ManifestRow[];
  readonly #labels: Int32Array;
  readonly #options:
    & Required<Omit<BatchLoaderOptions, "normalisation" | "classes" | "augmentation" | "background" | "boxes" | "view">>
    & { readonly size: readonly number[] };
  readonly #settings: RenderSettings;
  #pool: WorkerPool<RenderJob, Batch> | undefined;
  /** Batches in an epoch. */
  readonly stepsPerEpoch: number;

  /** Throws InputError when no row is left or an option is out of range. */
  constructor(cache: PictureCache, rows: readonly ManifestRow[], {
    batchSize,
    size,
    sizeEvery = 10,
    seed = 0,
    sampler = shuffled,
    augmentation = unchanged(),
    background = "fixed",
    boxes = "frame",
    view = "picture",
    normalisation,
    dropLast = false,
    classes,
    workers = Math.min(4, availableParallelism()),
    prefetch = workers + 1,
  }: BatchLoaderOptions) {
    const sizes = typeof size === "number" ? [size] : size;
    requireWhole("batchSize", batchSize, 1, 65536);
    requireWhole("sizeEvery", sizeEvery, 1, 1e9);
    requireWhole("workers", workers, 0, 64);
    requireWhole("prefetch", prefetch, 1, 64);
    if (sizes.length === 0) throw new InputError("loader: size: expected at least one, found none");
    for (const one of sizes) requireWhole("size", one, 1, 4096);
    const labelOf = classes && new Map(classes.map((classId, label) => [classId, label]));
    this.#cache = cache;
    this.#rows = labelOf ? rows.filter((row) => labelOf.has(row.classId)) : rows;
    this.#labels = Int32Array.from(this.#rows, ({ classId }) => labelOf ? labelOf.get(classId)! : classId);
    if (this.#rows.length === 0) throw new InputError("loader: expected at least one picture, found none");
    for (const row of this.#rows) cache.record(row);
    this.#options = { batchSize, size: sizes, sizeEvery, seed, sampler, dropLast, workers, prefetch };
    this.#settings = {
      cachePath: cache.path,
      augmentation: describeTransform(augmentation),
      background,
      boxes,
      view,
      normalisation,
    };
    const drawn = this.#order(0).length;
    this.stepsPerEpoch = dropLast ? Math.floor(drawn / batchSize) : Math.ceil(drawn / batchSize);
    if (this.stepsPerEpoch === 0) {
      throw new InputError(`loader: expected at least ${batchSize} pictures for one full batch, found ${drawn}`);
    }
  }

  /** Pictures that the loader draws from. */
  get length(): number {
    return this.#rows.length;
  }

  /** The batches of an epoch from a step on. */
  epoch(epoch: number, { from = 0 }: { from?: number } = {}): AsyncGenerator<Batch> {
    requireWhole("from", from, 0, this.stepsPerEpoch);
    return this.#draw(epoch * this.stepsPerEpoch + from, (epoch + 1) * this.stepsPerEpoch);
  }

  /** The batches of all epochs without a pause between them, from a step counted over all epochs, without end. */
  stream({ from = 0 }: { from?: number } = {}): AsyncGenerator<Batch> {
    requireWhole("from", from, 0, Number.MAX_SAFE_INTEGER);
    return this.#draw(from, Infinity);
  }

  /** Ends the workers. */
  [Symbol.dispose](): void {
    this.#pool?.close();
    this.#pool = undefined;
    closeCacheFile(this.#cache.path);
  }

  async *#draw(from: number, to: number): AsyncGenerator<Batch> {
    const { workers, prefetch } = this.#options;
    if (workers === 0) {
      for (const job of this.#jobs(from, to)) yield await renderBatch(job);
      return;
    }
    this.#pool ??= new WorkerPool(new URL("./render_worker.ts", import.meta.url), { size: workers, name: "loader" });
    yield* this.#pool.map(this.#jobs(from, to), prefetch);
  }

  *#jobs(from: number, to: number): Generator<RenderJob> {
    const { batchSize, size, sizeEvery, seed } = this.#options;
    let epoch = -1, order: ArrayLike<number> = [];
    for (let at = from; at < to; at++) {
      const step = at % this.stepsPerEpoch;
      const now = Math.floor(at / this.stepsPerEpoch);
      if (now !== epoch) [epoch, order] = [now, this.#order(now)];
      const drawn = Array.from(
        { length: Math.min(batchSize, order.length - step * batchSize) },
        (_, index) => order[step * batchSize + index]!,
      );
      yield {
        settings: this.#settings,
        seed: [seed],
        epoch,
        step,
        size: size.length === 1
          ? size[0]!
          : Random.seeded("size", seed, epoch, Math.floor(step / sizeEvery)).pick(size),
        items: drawn.map((index) => {
          const row = this.#rows[index]!;
          return { id: row.id, label: this.#labels[index]!, record: this.#cache.record(row) };
        }),
      };
    }
  }

  #order(epoch: number): ArrayLike<number> {
    return this.#options.sampler(this.#labels, Random.seeded("order", this.#options.seed, epoch), epoch);
  }
}

/** The settings of a loader for validation and test: every picture once, in order, the same pixels each time. */
export const forEvaluation = { sampler: inOrder, dropLast: false } as const;

function requireWhole(name: string, value: number, lowest: number, highest: number): void {
  if (!Number.isInteger(value) || value < lowest || value > highest) {
    throw new InputError(`loader: ${name}: expected a whole number in ${lowest} … ${highest}, found ${value}`);
  }
}
