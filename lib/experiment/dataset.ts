/** A built data set as a training uses it: rows by split, classes, and loaders of batches; checked before anything runs. */

import {
  BatchLoader,
  type BatchLoaderOptions,
  checkLabel,
  chooseSpecies,
  type Colour,
  datasetPaths,
  decodedSize,
  forEvaluation,
  labelText,
  type ManifestRow,
  openCache,
  type PictureCache,
  readManifest,
  resplit,
  type Split,
  type SplitMode,
  splits,
  type View,
} from "../data/mod.ts";
import { InputError, type ProgressListener, reason } from "../runtime/mod.ts";
import { type Species, species as allSpecies } from "../species/mod.ts";

/** Settings of `openDataset`. */
export interface OpenDatasetOptions {
  /** The folder that holds `processed/`. */
  readonly dataFolder: string;
  /** The classes: the first so many of the National Dex, or these dex numbers. Default: all of them. */
  readonly species?: number | readonly number[];
  /** Assign the splits anew, to compare the ways; default: as built. */
  readonly resplit?: { readonly mode: SplitMode; readonly seed: number };
  /** Told, a line each, of what is odd but goes on. */
  readonly warn?: (message: string) => void;
}

/** A data set whose rows, splits and labels were found right. */
export interface Dataset {
  readonly dataFolder: string;
  /** By label: what a model's class i is. */
  readonly classes: readonly Species[];
  readonly rows: Readonly<Record<Split, readonly ManifestRow[]>>;
  /** Where the raw pictures came from, as the build was told. */
  readonly sources: readonly string[];
  readonly splitMode: "as built" | SplitMode;
}

/**
 * Opens a built data set. Throws InputError, in one line, where there is none ("run deno task data build"), a row's class is no
 * species or not its own, a label is wrong or missing, or train or validation has no picture. Species of the model without
 * training pictures are warned of: the model has their classes and cannot learn them.
 */
export async function openDataset(
  { dataFolder, species = allSpecies.length, resplit: anew, warn = () => {} }: OpenDatasetOptions,
): Promise<Dataset> {
  const { manifest } = datasetPaths(dataFolder);
  const isChosen = chooseSpecies(species);
  const classes = allSpecies.filter(({ dex }) => isChosen(dex));
  const built = await readManifest(manifest);
  for (const [index, { dex, classId, id }] of built.entries()) {
    if (dex <= allSpecies.length && classId === dex - 1) continue;
    throw new InputError(
      `${manifest}:${index + 1}: ${id}: expected a dex number 1 … ${allSpecies.length} with the class one below it, ` +
        `found dex ${dex}, class ${classId}`,
    );
  }
  const own = built.filter(({ dex }) => isChosen(dex));
  if (own.length < built.length) warn(`${dataFolder}: ${built.length - own.length} pictures of other species left out`);
  const rows = anew ? resplit(own, anew) : own;
  const bySplit = Object.fromEntries(
    splits.map((split) => [split, rows.filter((row) => row.split === split)]),
  ) as Record<
    Split,
    ManifestRow[]
  >;
  for (const split of ["train", "validation"] as const) {
    if (bySplit[split].length > 0) continue;
    throw new InputError(
      `${manifest}: expected pictures of ${classes.length} species in split ${split}, found none; ` +
        `run "deno task data build"`,
    );
  }
  await checkLabels(dataFolder, own);
  const trained = new Set(bySplit.train.map(({ dex }) => dex));
  const without = classes.filter(({ dex }) => !trained.has(dex));
  if (without.length > 0) {
    const names = without.slice(0, 3).map(({ name }) => name).join(", ") + (without.length > 3 ? ", …" : "");
    warn(
      `${dataFolder}: expected training pictures of ${classes.length} species, found none of ${without.length} ` +
        `(${names}): the model will not know them`,
    );
  }
  return {
    dataFolder,
    classes,
    rows: bySplit,
    sources: [...new Set(rows.map(({ source }) => source))].sort(),
    splitMode: anew?.mode ?? "as built",
  };
}

/** Label files read at a time. */
const FILES = 64;

/** A label must be what the build writes: the row's class, and the whole picture. */
async function checkLabels(dataFolder: string, rows: readonly ManifestRow[]): Promise<void> {
  const paths = datasetPaths(dataFolder);
  const check = async (row: ManifestRow) => {
    const path = paths.yoloLabel(row);
    let text: string;
    try {
      text = await Deno.readTextFile(path);
    } catch (error) {
      throw new InputError(`${path}: expected a label, found ${reason(error)}; run "deno task data build"`);
    }
    if (text === labelText(row.classId)) return;
    const [problem] = checkLabel(text, row.classId, path);
    if (problem) throw new InputError(`${path}: ${problem.cause}`);
    if (text.trim().split(/\s+/).map(Number).join(" ") === `${row.classId} 0.5 0.5 1 1`) return;
    throw new InputError(
      `${path}: expected one box that is the whole picture, found "${text.trim().slice(0, 60)}"; ` +
        `other boxes come from the transforms scene, mosaic and mixup`,
    );
  };
  for (let at = 0; at < rows.length; at += FILES) await Promise.all(rows.slice(at, at + FILES).map(check));
}

/**
 * Opens the decoded pictures of some splits for a network's input of `size` pixels; decodes them first where needed. Where only the
 * content is shown they are kept twice as large, for it fills half of many sprites.
 */
export function openPictures(
  { dataFolder, rows }: Dataset,
  { size, view, splits: wanted = splits, onProgress }: {
    readonly size: number;
    readonly view: View;
    readonly splits?: readonly Split[];
    readonly onProgress?: ProgressListener | undefined;
  },
): Promise<PictureCache> {
  const kept = decodedSize(size, view);
  return openCache(wanted.flatMap((split) => rows[split]), {
    ...{ dataFolder, size: kept },
    ...(onProgress ? { onProgress } : {}),
  });
}

/** How the pictures of a split are shown: by the training's settings. */
export interface ShownAs {
  readonly size: number;
  readonly batch: number;
  readonly background: Colour | "fixed";
  readonly boxes: "frame" | "content";
  readonly view: View;
}

/** The batches of a split for evaluation: every picture once, in order, not augmented. Labels count the data set's classes. */
export function evaluationLoader(
  { rows, classes }: Dataset,
  split: Split,
  cache: PictureCache,
  { size, batch, background, boxes, view }: ShownAs,
  { workers = 1 }: { readonly workers?: number } = {},
): BatchLoader {
  return new BatchLoader(cache, rows[split], {
    ...forEvaluation,
    ...{ batchSize: batch, size, background, boxes, view, workers },
    classes: classes.map(({ classId }) => classId),
  });
}

/** The shuffled, augmented batches of the train split; all have the same size. */
export function trainingLoader(
  { rows, classes }: Dataset,
  cache: PictureCache,
  { size, batch, background, boxes, view }: ShownAs,
  options: Pick<BatchLoaderOptions, "augmentation" | "sampler" | "seed" | "workers" | "prefetch">,
): BatchLoader {
  return new BatchLoader(cache, rows.train, {
    ...options,
    ...{ batchSize: batch, size, background, boxes, view, dropLast: true },
    classes: classes.map(({ classId }) => classId),
  });
}
