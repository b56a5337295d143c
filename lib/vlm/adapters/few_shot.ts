/** The few-shot protocol: all adapters on the same pictures, for several numbers of shots and several draws. */

import { judgeClassification } from "../../evaluate/mod.ts";
import { describeError, InputError, type ProgressListener, Random, sha256, type Tensor } from "../../runtime/mod.ts";
import type { LabelledFeatures } from "../encoder.ts";
import type { Adapter } from "./adapter.ts";
import { type Cell, CellFile, type CellPlace, type FinishedCell } from "./cells.ts";
import { checkInput, checkLabelled } from "./inputs.ts";
import { takeRows } from "./products.ts";
import { sampleShots, type Shots } from "./sample_shots.ts";

/** Settings of `fewShot`. */
export interface FewShotOptions {
  readonly train: LabelledFeatures;
  readonly validation: LabelledFeatures;
  readonly test: LabelledFeatures;
  /** A prototype a class, [C, D], rows of length 1. */
  readonly texts: Tensor<"float32">;
  readonly logitScale: number;
  readonly adapters: readonly Adapter[];
  /** Pictures a class. Default: 1, 2, 4, 8, 16, "all". */
  readonly shots?: readonly Shots[];
  /** How many draws of pictures. Default: 5. */
  readonly seeds?: number;
  /** A number for each training picture; pictures of different groups (of near-duplicates) are drawn first. */
  readonly groups?: ArrayLike<number> | undefined;
  /**
   * "limited" (default): settings are chosen by min(k, 4) validation pictures a class, drawn with the seed, as CoOp (Zhou et al. 2022), LP++
   * and others do: who has k pictures a class has no thousands to choose settings by, and a full validation set would flatter adapters with
   * many settings, most of all at few shots. "full": all validation pictures, for the comparison with papers that do so. With
   * all training pictures the validation split is taken whole in either case.
   */
  readonly validationPictures?: "limited" | "full";
  /** A JSON-lines file in which finished cells are kept and found again. Only one process may write it at a time. */
  readonly file?: string | undefined;
  /** CPU threads; default: one a physical core. */
  readonly threads?: number | undefined;
  /** Ends the work with the signal's reason; finished cells stay in the file. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ProgressListener | undefined;
}

/** An adapter on so many shots, over the seeds: a point of a curve. */
export interface FewShotPoint {
  readonly adapter: string;
  readonly shots: Shots;
  /** Finished cells, and those that failed. */
  readonly seeds: number;
  readonly failed: number;
  /** Training pictures, mean over seeds. */
  readonly pictures: number;
  readonly top1: Band;
  readonly top5: Band;
  /** Mean seconds of fitting. */
  readonly seconds: number;
}

/** Shares over seeds. The deviation (n − 1 in the divisor) is 0 for one seed. */
export interface Band {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  readonly deviation: number;
}

/** What the protocol found. */
export interface FewShotTable {
  /** In the order: adapters, shots, seeds. */
  readonly cells: readonly Cell[];
  /** One for each adapter and number of shots that has a finished cell, in the same order. */
  readonly points: readonly FewShotPoint[];
}

/** Counted up when the same input would give other cells. */
const VERSION = 1;

/**
 * Fits every adapter to every number of shots with every seed and judges it on the test pictures. Seeds 0 … `seeds` − 1 draw the same
 * pictures for all adapters, from the training split only. An adapter that does not learn has one cell, at 0 shots; one that draws
 * nothing has one cell for "all". A cell that is in the file with the same features, labels, texts and settings is not done
 * again. An adapter that throws gets a failed cell, and the work goes on.
 *
 * Throws InputError, before anything is fitted, for features, labels and texts that do not go together, and for two adapters of one name.
 */
export async function fewShot(options: FewShotOptions): Promise<FewShotTable> {
  const { train, validation, test, texts, logitScale, adapters, threads, signal, onProgress } = options;
  const { shots = [1, 2, 4, 8, 16, "all"], seeds = 5, groups, validationPictures = "limited", file } = options;
  const classes = texts.shape[0] ?? 0;
  const { dimension } = checkInput("fewShot", { train, texts, classes, validation, logitScale });
  checkLabelled("fewShot: test", test, classes, dimension);
  const names = adapters.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new InputError(`fewShot: expected adapters of different names, found two of ${twice}`);
  if (!(Number.isInteger(seeds) && seeds >= 1)) throw new InputError(`fewShot: expected seeds from 1, found ${seeds}`);

  const odd = shots.find((few) => few !== "all" && !(Number.isInteger(few) && few >= 1));
  if (odd !== undefined) throw new InputError(`fewShot: expected shots from 1 or "all", found ${odd}`);
  if (groups && groups.length !== train.labels.length) {
    throw new InputError(`fewShot: groups: expected ${train.labels.length}, one a picture, found ${groups.length}`);
  }

  const data = dataHash([train, validation, test], texts, groups);
  const places = adapters.flatMap((adapter) => placesOf(adapter, shots, seeds).map((place) => ({ adapter, place })));
  using kept = await CellFile.open(file);
  const cells: Cell[] = [];
  for (const [done, { adapter, place }] of places.entries()) {
    signal?.throwIfAborted();
    const report = (note: string) =>
      onProgress?.({ label: "few-shot", done, total: places.length, unit: "cells", note });
    const title = `${place.adapter}, ${place.shots} shots, seed ${place.seed}`;
    report(title);
    const key = sha256(
      JSON.stringify([VERSION, data, classes, logitScale, validationPictures, place, adapter.settings]),
    );
    let cell: Cell | undefined = kept.finished(key);
    if (!cell) {
      try {
        cell = await fitCell(adapter, place, classes, options, (note) => report(`${title}: ${note}`));
      } catch (error) {
        if (signal?.aborted) throw error;
        cell = { ...place, status: "failed", problem: describeError(error) };
      }
      kept.add(key, cell);
    }
    cells.push(cell);
  }
  onProgress?.({ label: "few-shot", done: places.length, total: places.length, unit: "cells" });
  return { cells, points: pointsOf(cells) };

  /** Fits one adapter and judges it. */
  async function fitCell(
    adapter: Adapter,
    place: CellPlace,
    count: number,
    { train, validation, test }: FewShotOptions,
    note: (text: string) => void,
  ): Promise<FinishedCell> {
    const random = Random.seeded("few-shot", place.seed);
    const few: Shots = place.shots === 0 ? "all" : place.shots;
    const chosen = takeRows(train, sampleShots(train.labels, few, random.fork("train"), groups));
    const limit: Shots = few === "all" || validationPictures === "full" ? "all" : Math.min(few, 4);
    const judged = takeRows(validation, sampleShots(validation.labels, limit, random.fork("validation")));
    const start = performance.now();
    await using fitted = await adapter.fit({
      train: chosen,
      texts,
      classes: count,
      validation: judged,
      logitScale,
      seed: place.seed,
      threads,
      signal,
      onProgress: ({ done, total, note: own }) => note([`${done} of ${total}`, own].filter(Boolean).join(", ")),
    });
    const seconds = (performance.now() - start) / 1e3;
    const { data } = await fitted.logits(test.features);
    const { top1, top5 } = judgeClassification({ values: data, classes: count }, test.labels);
    return {
      ...place,
      status: "finished",
      pictures: adapter.learns ? chosen.labels.length : 0,
      validationPictures: fitted.tried.length > 0 ? judged.labels.length : 0,
      top1,
      top5,
      chosen: fitted.chosen,
      seconds,
    };
  }
}

function placesOf({ name, learns, draws }: Adapter, shots: readonly Shots[], seeds: number): CellPlace[] {
  if (!learns) return [{ adapter: name, shots: 0, seed: 0 }];
  return shots.flatMap((few) =>
    Array.from({ length: few === "all" && !draws ? 1 : seeds }, (_, seed) => ({ adapter: name, shots: few, seed }))
  );
}

/** Means and bands of finished cells by adapter and shots. */
function pointsOf(cells: readonly Cell[]): FewShotPoint[] {
  return [...Map.groupBy(cells, ({ adapter, shots }) => JSON.stringify([adapter, shots])).values()].flatMap((group) => {
    const finished = group.filter((cell) => cell.status === "finished");
    if (finished.length === 0) return [];
    const mean = (of: (cell: FinishedCell) => number) =>
      finished.reduce((sum, cell) => sum + of(cell), 0) / finished.length;
    const { adapter, shots } = finished[0]!;
    return [{
      adapter,
      shots,
      seeds: finished.length,
      failed: group.length - finished.length,
      pictures: mean(({ pictures }) => pictures),
      top1: bandOf(finished.map(({ top1 }) => top1.share)),
      top5: bandOf(finished.map(({ top5 }) => top5.share)),
      seconds: mean(({ seconds }) => seconds),
    }];
  });
}

function bandOf(shares: readonly number[]): Band {
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  const squares = shares.reduce((sum, share) => sum + (share - mean) ** 2, 0);
  return {
    mean,
    low: Math.min(...shares),
    high: Math.max(...shares),
    deviation: shares.length > 1 ? Math.sqrt(squares / (shares.length - 1)) : 0,
  };
}

/** One hash of everything that is learnt from and judged on. */
function dataHash(
  splits: readonly LabelledFeatures[],
  texts: Tensor<"float32">,
  groups: ArrayLike<number> | undefined,
): string {
  const bytes = ({ buffer, byteOffset, byteLength }: Float32Array | Int32Array) =>
    sha256(new Uint8Array(buffer, byteOffset, byteLength));
  return sha256([
    ...splits.flatMap(({ features, labels }) => [String(features.shape), bytes(features.data), bytes(labels)]),
    String(texts.shape),
    bytes(texts.data),
    groups ? bytes(Int32Array.from(groups)) : "no groups",
  ].join());
}
