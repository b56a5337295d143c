/** Builds a dataset: raw pictures → near-duplicate groups → splits → YOLO dataset. Goes on after a kill. */

import { join } from "node:path";
import sharp from "sharp";
import { z } from "zod";
import {
  defaultWorkers,
  exists,
  InputError,
  lockFolder,
  type ProgressListener,
  removeTemporary,
  sha256File,
  WorkerPool,
  writeAtomic,
} from "../runtime/mod.ts";
import type { BuildAnswer, BuildJob } from "./build_worker.ts";
import { layOut, type Placement } from "./layout.ts";
import { datasetPaths, type ManifestRow, parseManifest } from "./manifest.ts";
import { type CrossSpeciesPair, findCrossSpecies, groupNearDuplicates } from "./near_duplicates.ts";
import { chooseSpecies, type RawItem, type RawSource, type SkippedItem, type SpeciesChoice } from "./source.ts";
import { assignSplits, type SplitBalance, splitBalance, type SplitMode } from "./splits.ts";
import {
  Journal,
  journalKey,
  makeStore,
  settingsHash,
  type StoredPicture,
  sweepStore,
  writeIfChanged,
} from "./store.ts";
import { dataYaml } from "./yolo.ts";

export interface BuildOptions {
  readonly source: RawSource;
  /** The data folder; the dataset is built in `processed/` below it. */
  readonly out: string;
  /** Class names by class id, for data.yaml. */
  readonly names: readonly string[];
  /** Decides backgrounds and splits. */
  readonly seed?: number;
  readonly split?: SplitMode;
  readonly species?: SpeciesChoice;
  /** Number of workers; by default the number of cores, at most 8. */
  readonly workers?: number;
  /** Of the 416 x 416 pictures, 1 … 100. */
  readonly jpegQuality?: number;
  readonly onProgress?: ProgressListener;
}

export interface BuildReport {
  readonly ok: true;
  /** The folder of the YOLO dataset. */
  readonly dataset: string;
  readonly source: string;
  readonly seed: number;
  readonly split: SplitMode;
  /** Species with at least one picture. */
  readonly classes: number;
  readonly images: number;
  readonly balance: SplitBalance;
  /** Near-duplicate groups, and pictures in groups of two or more. */
  readonly groups: number;
  readonly grouped: number;
  readonly largestGroup: number;
  /** Pairs of pictures of different species that look the same; all are in `metadata/cross_species.jsonl`. */
  readonly crossSpecies: number;
  /** What is no usable picture, and why; all are in `metadata/skipped.jsonl`. */
  readonly skipped: readonly SkippedItem[];
  /** Raw files made into pictures by this run, and raw files that were finished before. */
  readonly made: number;
  readonly reused: number;
  readonly seconds: number;
}

/** Raw files in a message to a worker. */
const filesPerJob = 8;
const hashesPerJob = 64;

/**
 * Builds (or completes, or updates) the dataset under `out`. Raw files that were finished before with the same content
 * and settings are not decoded again. The result depends on the source's pictures and the options only: not on the
 * number of workers, on earlier builds, or on where they were killed.
 *
 * Bad pictures are left out and listed. Throws InputError when there is nothing to build from, WorkError when another
 * build is at work in the folder or the disk is full (what is finished stays, the next build goes on).
 */
export async function buildDataset({
  source,
  out,
  names,
  seed = 0,
  split = "grouped",
  species = "all",
  workers = defaultWorkers(),
  jpegQuality = 90,
  onProgress = () => {},
}: BuildOptions): Promise<BuildReport> {
  const started = performance.now();
  const paths = datasetPaths(out);
  const isChosen = chooseSpecies(species);
  const listing = await source.list();
  const items = listing.items.filter((item) => isChosen(item.dex));
  if (items.length === 0) throw new InputError(`${source.name}: expected pictures of the chosen species, found none`);

  const lock = await lockFolder(paths.processed);
  try {
    await removeTemporary(paths.processed);
    await Deno.mkdir(paths.metadata, { recursive: true });
    await makeStore(paths.store);
    const settings = settingsHash({ seed, jpegQuality, codec: sharp.versions.vips });
    const journal = await Journal.open(join(paths.metadata, "journal.jsonl"), settings);
    using pool = new WorkerPool<BuildJob, BuildAnswer[]>(new URL("./build_worker.ts", import.meta.url), {
      size: workers,
      name: "build",
    });
    const context = { paths, pool, journal, onProgress, job: { store: paths.store, seed, jpegQuality, settings } };
    const { finished, made } = await makePictures(items, context);

    const skipped: SkippedItem[] = [...listing.skipped];
    const used = new Set<string>();
    for (const [index, answer] of finished.entries()) {
      const path = items[index]!.path;
      if ("unreadable" in answer) skipped.push({ path, cause: answer.unreadable });
      else if (answer.row.cause !== undefined) skipped.push({ path, cause: answer.row.cause });
      if ("row" in answer) used.add(journalKey(answer.row));
    }
    const pictures = namePictures(items, finished);
    if (pictures.length === 0) {
      throw new InputError(
        `${source.name}: expected pictures, found none in ${items.length} files: ${skipped[0]?.cause}`,
      );
    }
    const groups = groupNearDuplicates(pictures);
    const splitOf = assignSplits(
      pictures.map(({ id, dex, raw, picture }) => ({
        id,
        dex,
        group: groups.get(id)!,
        key: `${raw}:${picture.frame ?? 0}`,
      })),
      { seed, mode: split },
    );
    const placements = pictures.map(({ id, dex, path, raw, picture }): Placement => ({
      image: picture.image,
      jpeg: picture.jpeg,
      row: {
        id,
        dex,
        classId: dex - 1,
        split: splitOf.get(id)!,
        group: groups.get(id)!,
        source: source.name,
        path,
        ...picture.frame === undefined ? {} : { frame: picture.frame },
        sha256: raw,
        image: `images/${id}${/\.\w+$/.exec(picture.image.name)![0]}`,
        width: picture.width,
        height: picture.height,
        transparent: picture.transparent,
        imageSha256: picture.image.sha256,
        jpegSha256: picture.jpeg.sha256,
        fingerprint: picture.fingerprint,
      },
    }));
    const manifest = placements.map(({ row }) => JSON.stringify(row) + "\n").join("");
    const before = await readTextOrNothing(paths.manifest);
    // A manifest stands only beside the files that it lists: it goes before they change and comes when they are right.
    if (before !== undefined && before !== manifest) await Deno.remove(paths.manifest);
    await layOut(placements, paths, oldRows(before, manifest, paths.manifest, placements), onProgress);

    await writeIfChanged(paths.dataYaml, dataYaml(names));
    await writeIfChanged(join(paths.metadata, "skipped.jsonl"), jsonLines(skipped));
    await writeIfChanged(
      join(paths.metadata, "build.json"),
      JSON.stringify({
        source: source.name,
        seed,
        split,
        species,
        jpegQuality,
        codec: sharp.versions.vips,
        classes: new Set(pictures.map(({ dex }) => dex)).size,
        images: pictures.length,
      }) + "\n",
    );
    const crossSpecies = await crossSpeciesPairs(
      pictures,
      join(paths.metadata, "cross_species.jsonl"),
      before === manifest,
    );
    if (before !== manifest) await writeAtomic(paths.manifest, manifest, { durable: true });
    await journal.compact(used);
    await sweepStore(paths.store, new Set(pictures.flatMap(({ picture }) => [picture.image.name, picture.jpeg.name])));

    const sizes = [...Map.groupBy(groups, ([, group]) => group).values()].map((members) => members.length);
    return {
      ok: true,
      dataset: paths.yolo,
      source: source.name,
      seed,
      split,
      classes: new Set(pictures.map(({ dex }) => dex)).size,
      images: pictures.length,
      balance: splitBalance(placements.map(({ row }) => row)),
      groups: sizes.length,
      grouped: sizes.filter((size) => size > 1).reduce((sum, size) => sum + size, 0),
      largestGroup: sizes.reduce((a, b) => Math.max(a, b), 0),
      crossSpecies: crossSpecies.length,
      skipped,
      made,
      reused: items.length - made,
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    lock.release();
  }
}

interface Context {
  readonly paths: ReturnType<typeof datasetPaths>;
  readonly pool: WorkerPool<BuildJob, BuildAnswer[]>;
  readonly journal: Journal;
  readonly onProgress: ProgressListener;
  readonly job: Omit<Extract<BuildJob, { kind: "make" }>, "kind" | "files">;
}

/** A finished raw file. */
type Finished = Exclude<BuildAnswer, { sha256: string }>;

/** Finishes every raw file: from the journal where content and settings are known, else by decoding. In their order. */
async function makePictures(items: readonly RawItem[], { paths, pool, journal, onProgress, job }: Context) {
  const finished: Finished[] = new Array(items.length);
  if (journal.size > 0) {
    let at = 0;
    const jobs = chunks(items, hashesPerJob).map((files) => ({ kind: "hash" as const, files }));
    for await (const answers of pool.map(jobs)) {
      for (const answer of answers) {
        const item = items[at]!;
        if ("unreadable" in answer) finished[at] = answer;
        else if ("sha256" in answer) {
          const row = journal.get({ sha256: answer.sha256, frames: item.frames });
          if (row && await isStored(row.pictures, paths.store)) finished[at] = { row };
        }
        at++;
      }
      onProgress({ label: "check", done: at, total: items.length, unit: "files" });
    }
  }
  const missing = [...items.keys()].filter((index) => finished[index] === undefined);
  let done = items.length - missing.length;
  const batches = chunks(missing, filesPerJob);
  const jobs = batches.map((batch) => ({
    ...job,
    kind: "make" as const,
    files: batch.map((index) => ({ file: items[index]!.file, frames: items[index]!.frames })),
  }));
  let batch = 0;
  try {
    for await (const answers of pool.map(jobs)) {
      for (const [k, answer] of answers.entries()) {
        if ("sha256" in answer) continue;
        finished[batches[batch]![k]!] = answer;
        if ("row" in answer) await journal.add(answer.row);
      }
      batch++;
      done += answers.length;
      onProgress({ label: "pictures", done, total: items.length, unit: "images" });
    }
  } finally {
    await journal.flush();
  }
  return { finished, made: missing.length };
}

/** Whether the files of a row are in the store; those that no picture of the dataset is linked to are read through. */
async function isStored(pictures: readonly StoredPicture[], store: string): Promise<boolean> {
  for (const file of pictures.flatMap((picture) => [picture.image, picture.jpeg])) {
    const path = join(store, file.name);
    let stat: Deno.FileInfo;
    try {
      stat = Deno.statSync(path);
    } catch {
      return false;
    }
    if (stat.size !== file.bytes) return false;
    if (stat.nlink === 1 && await sha256File(path) !== file.sha256) return false;
  }
  return true;
}

/** A picture with its name. */
interface NamedPicture {
  readonly id: string;
  readonly dex: number;
  readonly path: string;
  readonly raw: string;
  readonly lineage: string | undefined;
  readonly picture: StoredPicture;
  readonly fingerprint: string;
}

/** Numbers the pictures of each species from 1, in the order of their paths and frames. */
function namePictures(items: readonly RawItem[], finished: readonly Finished[]): NamedPicture[] {
  const counts = new Map<number, number>();
  const pictures = items.flatMap(({ dex, path, lineage }, index) => {
    const answer = finished[index]!;
    if ("unreadable" in answer) return [];
    const { row } = answer;
    return row.pictures.map((picture): NamedPicture => {
      const n = (counts.get(dex) ?? 0) + 1;
      counts.set(dex, n);
      const id = `${String(dex).padStart(4, "0")}_${String(n).padStart(3, "0")}`;
      // Frames of one animation are one drawing, whatever else is known.
      return {
        id,
        dex,
        path,
        raw: row.sha256,
        lineage: lineage ?? (row.pictures.length > 1 ? path : undefined),
        picture,
        fingerprint: picture.fingerprint,
      };
    });
  });
  return pictures.sort((a, b) => a.dex - b.dex);
}

const pairSchema = z.strictObject({ a: z.string(), b: z.string(), score: z.number() });

/** The pairs of this dataset; read back from the last build when nothing has changed since. */
async function crossSpeciesPairs(
  pictures: readonly NamedPicture[],
  path: string,
  unchanged: boolean,
): Promise<CrossSpeciesPair[]> {
  if (unchanged && await exists(path)) {
    try {
      const lines = (await Deno.readTextFile(path)).split("\n").filter((line) => line !== "");
      return lines.map((line) => pairSchema.parse(JSON.parse(line)));
    } catch { /* damaged: found anew below */ }
  }
  const pairs = findCrossSpecies(pictures);
  await writeIfChanged(path, jsonLines(pairs));
  return pairs;
}

function jsonLines(values: readonly unknown[]): string {
  return values.map((value) => JSON.stringify(value) + "\n").join("");
}

/** The rows of the manifest that stood there; none when it cannot be read. */
function oldRows(
  before: string | undefined,
  now: string,
  path: string,
  placements: readonly Placement[],
): readonly ManifestRow[] {
  if (before === undefined) return [];
  if (before === now) return placements.map(({ row }) => row);
  try {
    return parseManifest(before, path);
  } catch {
    return [];
  }
}

async function readTextOrNothing(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function chunks<T>(values: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(values.length / size) }, (_, i) => values.slice(i * size, (i + 1) * size));
}
