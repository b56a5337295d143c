/** The source `folder:PATH`: pictures in `PATH/NNNN/*`, NNNN being the National Dex number. */

import { join } from "node:path";
import { InputError, reason } from "../runtime/mod.ts";
import { compareText } from "./order.ts";
import type { RawItem, RawSource, SkippedItem, SourceListing } from "./source.ts";
import { lastDex } from "./source.ts";

/** Frames taken of an animated picture. */
const framesPerFile = 3;

/**
 * Opens a folder that holds NNNN folders, or an `all_pokemon` folder that does. Every file in them counts as a picture
 * until decoding shows otherwise. Hidden files (".name") are passed over.
 * Throws InputError when the folder is missing, is no folder, or holds nothing of the kind.
 */
export async function openFolder(path: string, name = `folder:${path}`): Promise<RawSource> {
  if (path === "") throw new InputError(`--source: expected folder:PATH, found "${name}"`);
  const inner = join(path, "all_pokemon");
  const root = await isFolder(inner) ? inner : path;
  try {
    if (!(await Deno.stat(root)).isDirectory) throw new InputError(`${root}: expected a folder, found a file`);
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`${root}: expected a folder of pictures, found ${reason(error)}`, { cause: error });
  }
  return { name, list: () => listFolder(root) };
}

async function listFolder(root: string): Promise<SourceListing> {
  const items: RawItem[] = [];
  const skipped: SkippedItem[] = [];
  let folders = 0;
  for (const folder of await entries(root)) {
    if (!await isFolder(join(root, folder.name))) {
      skipped.push({ path: folder.name, cause: "expected a folder NNNN, found a file" });
      continue;
    }
    const dex = /^\d{1,5}$/.test(folder.name) ? Number(folder.name) : NaN;
    if (!(dex >= 1 && dex <= lastDex)) {
      const expected = `expected a folder named by a dex number 0001 … ${lastDex}`;
      skipped.push({ path: folder.name, cause: `${expected}, found "${folder.name}"` });
      continue;
    }
    folders++;
    let files: Deno.DirEntry[];
    try {
      files = await entries(join(root, folder.name));
    } catch (error) {
      skipped.push({ path: folder.name, cause: `expected a folder, found ${reason(error)}` });
      continue;
    }
    for (const file of files) {
      const path = `${folder.name}/${file.name}`;
      const full = join(root, folder.name, file.name);
      if (!file.isFile && await isFolder(full)) skipped.push({ path, cause: "expected a picture, found a folder" });
      else items.push({ dex, path, file: full, frames: framesPerFile, lineage: lineageOf(file.name) });
    }
  }
  if (items.length === 0) {
    const found = folders > 0 ? `${folders} empty folders` : skipped.length > 0 ? `"${skipped[0]!.path}"` : "nothing";
    throw new InputError(`${root}: expected pictures in folders 0001 … ${lastDex}, found ${found}`);
  }
  return { items: items.sort((a, b) => compareText(a.path, b.path)), skipped };
}

async function entries(folder: string): Promise<Deno.DirEntry[]> {
  const found: Deno.DirEntry[] = [];
  for await (const entry of Deno.readDir(folder)) if (!entry.name.startsWith(".")) found.push(entry);
  return found.sort((a, b) => compareText(a.name, b.name));
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch {
    return false;
  }
}

/**
 * File names `<source>-<variant>.<ext>` say which pictures are one drawing: variants in other colours ("shiny", "gray",
 * "regular") and frames ("frame2") share what is left of the name. A name without such a word says nothing.
 */
export function lineageOf(fileName: string): string | undefined {
  const words = fileName.replace(/\.[^.]*$/, "").toLowerCase().split(/[-_ ]+/);
  const kept = words.filter((word) => !/^(shiny|gr[ae]y|regular|frame\d+)$/.test(word));
  return kept.length > 0 ? kept.join("-") : undefined;
}
