/** Lays a dataset out on the disk: pictures linked from the store to their names, labels, nothing else. */

import { join } from "node:path";
import { diskError, type ProgressListener } from "../runtime/mod.ts";
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
  const stored = await sweep(paths.images, new Set(placements.map(({ row }) => row.image.slice("images/".length))));
  for (const split of splits) await layOutSplit(split, placements.filter(({ row }) => row.split === split));
  for (const kind of ["images", "labels"]) {
    await sweep(join(paths.yolo, kind), new Set(splits));
  }

  async function layOutSplit(split: Split, members: readonly Placement[]): Promise<void> {
    const there = { images: new Set<string>(), labels: new Set<string>() };
    for (const [kind, extension] of [["images", "jpg"], ["labels", "txt"]] as const) {
      const folder = join(paths.yolo, kind, split);
      await Deno.mkdir(folder, { recursive: true });
      there[kind] = await sweep(folder, new Set(members.map(({ row }) => `${row.id}.${extension}`)));
    }
    for (const [index, { row, image, jpeg }] of members.entries()) {
      const was = old.get(row.id);
      const sameImage = was?.image === row.image && was.imageSha256 === row.imageSha256;
      place(image, join(paths.processed, row.image), stored.has(row.image.slice("images/".length)), sameImage);
      const sameJpeg = was?.split === row.split && was.jpegSha256 === row.jpegSha256;
      place(jpeg, paths.yoloImage(row), there.images.has(`${row.id}.jpg`), sameJpeg);
      writeLabel(paths.yoloLabel(row), labelText(row.classId), there.labels.has(`${row.id}.txt`));
      if (index % 100 === 99 || index === members.length - 1) {
        onProgress({ label: split, done: index + 1, total: members.length, unit: "images" });
        await new Promise((resolve) => setTimeout(resolve));
      }
    }
  }

  function place(file: StoredFile, target: string, isThere: boolean, sameBefore: boolean): void {
    const source = join(paths.store, file.name);
    if (isThere) {
      const stat = Deno.lstatSync(target);
      if (stat.isFile && stat.size === file.bytes) {
        // Linked already, or copied already where there are no links.
        if (stat.ino !== null && stat.nlink !== null && stat.nlink > 1) {
          if (stat.ino === Deno.statSync(source).ino) return;
        } else if (sameBefore) return;
      }
    }
    link(source, target, isThere);
  }
}

/** Puts a file under a second name; whoever reads that name sees the old file or the new one. */
function link(source: string, target: string, replaces: boolean): void {
  const first = replaces ? `${target}.${crypto.randomUUID().slice(0, 13)}.tmp~` : target;
  try {
    try {
      Deno.linkSync(source, first);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) throw error;
      Deno.copyFileSync(source, first); // a file system without hard links, or with too few
    }
    if (replaces) Deno.renameSync(first, target);
  } catch (error) {
    try {
      Deno.removeSync(first);
    } catch { /* it was not made */ }
    throw diskError(error, target);
  }
}

/** Not atomic, which would cost as much as the pictures: the manifest is written after all labels, and they are compared. */
function writeLabel(path: string, text: string, isThere: boolean): void {
  if (isThere && Deno.readTextFileSync(path) === text) return;
  try {
    Deno.writeTextFileSync(path, text);
  } catch (error) {
    throw diskError(error, path);
  }
}

/** Removes what does not belong into a folder; returns the names that stay. */
async function sweep(folder: string, keep: ReadonlySet<string>): Promise<Set<string>> {
  const names = new Set<string>();
  for await (const entry of Deno.readDir(folder)) {
    if (keep.has(entry.name)) names.add(entry.name);
    else await Deno.remove(join(folder, entry.name), { recursive: true });
  }
  return names;
}
