/** Lays a dataset out on the disk: pictures linked from the store to their names, labels, nothing else. */

import { join } from "node:path";
import { diskError, type ProgressListener, writeAtomic } from "../runtime/mod.ts";
import { type datasetPaths, type ManifestRow, type Split, splits } from "./manifest.ts";
import type { StoredFile } from "./store.ts";
import { labelText } from "./yolo.ts";

/** A picture of the dataset and its two files of the store. */
export interface Placement {
  readonly row: ManifestRow;
  readonly image: StoredFile;
  readonly jpeg: StoredFile;
}

type Paths = ReturnType<typeof datasetPaths>;

/**
 * Makes the folders of a dataset hold exactly these pictures: what is missing or other is linked (copied where the disk
 * knows no hard links), what is too many is removed. May be killed at any moment and run again.
 */
export async function layOut(
  placements: readonly Placement[],
  paths: Paths,
  /** What stood there before by its manifest; it says which copies are still right. */
  before: readonly ManifestRow[],
  onProgress: ProgressListener = () => {},
): Promise<void> {
  const old = new Map(before.map((row) => [row.id, row]));
  await Deno.mkdir(paths.images, { recursive: true });
  await sweep(paths.images, new Set(placements.map(({ row }) => row.image.slice("images/".length))));
  for (const split of splits) await layOutSplit(split, placements.filter(({ row }) => row.split === split));
  for (const kind of ["images", "labels"]) {
    await sweep(join(paths.yolo, kind), new Set(splits));
  }

  async function layOutSplit(split: Split, members: readonly Placement[]): Promise<void> {
    for (const [kind, extension] of [["images", "jpg"], ["labels", "txt"]] as const) {
      const folder = join(paths.yolo, kind, split);
      await Deno.mkdir(folder, { recursive: true });
      await sweep(folder, new Set(members.map(({ row }) => `${row.id}.${extension}`)));
    }
    for (const [index, { row, image, jpeg }] of members.entries()) {
      const was = old.get(row.id);
      place(image, join(paths.processed, row.image), was?.image === row.image && was.imageSha256 === row.imageSha256);
      place(jpeg, paths.yoloImage(row), was?.split === row.split && was.jpegSha256 === row.jpegSha256);
      await writeLabel(paths.yoloLabel(row), labelText(row.classId));
      if (index % 100 === 99 || index === members.length - 1) {
        onProgress({ label: split, done: index + 1, total: members.length, unit: "images" });
        await new Promise((resolve) => setTimeout(resolve));
      }
    }
  }

  function place(file: StoredFile, target: string, sameBefore: boolean): void {
    const source = join(paths.store, file.name);
    const there = statOrNothing(target);
    if (there?.isFile && there.size === file.bytes) {
      // Linked already, or copied already where there are no links.
      if (there.ino !== null && there.nlink !== null && there.nlink > 1) {
        if (there.ino === Deno.statSync(source).ino) return;
      } else if (sameBefore) return;
    }
    link(source, target);
  }
}

/** Puts a file under a second name, in one step for whoever reads that name. */
function link(source: string, target: string): void {
  const temporary = `${target}.${crypto.randomUUID().slice(0, 13)}.tmp~`;
  try {
    try {
      Deno.linkSync(source, temporary);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) throw error;
      Deno.copyFileSync(source, temporary); // a file system without hard links, or with too few
    }
    Deno.renameSync(temporary, target);
  } catch (error) {
    try {
      Deno.removeSync(temporary);
    } catch { /* it was not made */ }
    throw diskError(error, target);
  }
}

async function writeLabel(path: string, text: string): Promise<void> {
  try {
    if (Deno.readTextFileSync(path) === text) return;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  await writeAtomic(path, text);
}

function statOrNothing(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch {
    return undefined;
  }
}

/** Removes what does not belong into a folder. */
async function sweep(folder: string, keep: ReadonlySet<string>): Promise<void> {
  for await (const entry of Deno.readDir(folder)) {
    if (!keep.has(entry.name)) await Deno.remove(join(folder, entry.name), { recursive: true });
  }
}
