/** Where a model's files are: a folder, the caches of transformers.js and of Python, the Hub. */

import { join } from "node:path";
import { homedir } from "node:os";
import { projectFolder } from "../../experiment/mod.ts";
import { exists, InputError, WorkError } from "../../runtime/mod.ts";
import { fetchModel, type HubOptions } from "./hub.ts";
import { knownModels, type Precision, precisionSuffix } from "./known_models.ts";
import type { GraphFiles } from "./towers.ts";

/** The files beside onnx/, all of them needed. */
export const describingFiles = [
  "config.json",
  "preprocessor_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
] as const;

/** A model's files, all there. */
export interface FoundModel {
  /** The folder that has config.json and onnx/. */
  readonly folder: string;
  /** For people: the name on the Hub, or the folder. */
  readonly name: string;
  readonly origin: "folder" | "cache" | "Python cache" | "Hub";
  /** A commit where it is known, else the branch that was asked for; undefined for a folder. */
  readonly revision?: string | undefined;
  readonly graphs: GraphFiles;
}

/** Settings of `findModel`. */
export interface FindOptions extends HubOptions {
  readonly precision: Precision;
  /** A branch, a tag or a commit. Default: that of `knownModels`, else "main". */
  readonly revision?: string | undefined;
  /** Where downloads are kept, as transformers.js keeps them. Default: ".cache/models" of the project. */
  readonly cacheFolder?: string | undefined;
  /** Ask no server. */
  readonly offline?: boolean | undefined;
}

/** The default of `cacheFolder`: one for the project, wherever a notebook or a command runs. */
export const defaultCacheFolder = join(projectFolder, ".cache", "models");

/**
 * Finds a model by a folder's path or by "OWNER/NAME", in this order: the path; `$POKEDEX_CLIP/OWNER/NAME`; the cache folder; the
 * package's own cache; Python's cache (`$HF_HUB_CACHE`, `$HF_HOME/hub`, ~/.cache/huggingface/hub); the Hub, from which it is
 * downloaded into the cache folder. Throws InputError for a folder without the files, a name or revision that the Hub does not know,
 * a precision that is not there; WorkError when it is nowhere and the Hub cannot be asked: the message says what is missing where.
 */
export async function findModel(nameOrPath: string, options: FindOptions): Promise<FoundModel> {
  const { precision, cacheFolder = defaultCacheFolder, offline = false } = options;
  const named = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/.test(nameOrPath);
  if (await isFolder(nameOrPath)) {
    const graphs = await graphsIn(nameOrPath, precision);
    if (typeof graphs === "string") throw new InputError(`${nameOrPath}: ${graphs}`);
    return { folder: nameOrPath, name: nameOrPath.replace(/[\\/]+$/, ""), origin: "folder", graphs };
  }
  if (!named) {
    throw new InputError(`encoder: expected a model's folder or OWNER/NAME of the Hub, found "${nameOrPath}"`);
  }
  const revision = options.revision ?? knownModels[nameOrPath]?.revision ?? "main";
  const tried: string[] = [];
  for (const { folder, origin, revision: at } of await places(nameOrPath, revision, cacheFolder)) {
    if (!await isFolder(folder)) continue;
    const graphs = await graphsIn(folder, precision);
    if (typeof graphs !== "string") return { folder, name: nameOrPath, origin, revision: at, graphs };
    tried.push(`${folder}: ${graphs}`);
  }
  if (offline) {
    throw new WorkError(
      `${nameOrPath}: expected its files (${precision}) in ${cacheFolder} or Python's cache, as no server may be asked, found ${
        tried.length === 0 ? "none" : tried.join(" and ")
      }; open it once with the network, or name a folder that has them (also as $POKEDEX_CLIP)`,
    );
  }
  const folder = cachedFolder(nameOrPath, revision, cacheFolder);
  const commit = await fetchModel(nameOrPath, revision, folder, precision, options);
  const graphs = await graphsIn(folder, precision);
  if (typeof graphs === "string") throw new WorkError(`${folder}: ${graphs}, after a download`);
  return { folder, name: nameOrPath, origin: "Hub", revision: commit ?? revision, graphs };
}

/**
 * The ONNX files of a precision in a folder that also has all describing files; else, in words, what was expected and found. A
 * file that was being downloaded (`.part`, `.incomplete`) is named as such.
 */
export async function graphsIn(folder: string, precision: Precision): Promise<GraphFiles | string> {
  for (const name of describingFiles) {
    if (!await exists(join(folder, name))) return await absent(folder, name);
  }
  const suffix = precisionSuffix(precision);
  const path = (name: string) => join(folder, "onnx", `${name}${suffix}.onnx`);
  const [text, vision, both] = [path("text_model"), path("vision_model"), path("model")];
  const [hasText, hasVision] = [await exists(text), await exists(vision)];
  if (hasText && hasVision) return { layout: "two", text, vision };
  if (await exists(both)) return { layout: "one", both };
  if (hasText !== hasVision) return await absent(folder, `onnx/${hasText ? "vision" : "text"}_model${suffix}.onnx`);
  const began = await Promise.all(["text_model", "vision_model", "model"].map((name) => partOf(path(name))));
  const part = began.find((each) => each !== undefined);
  if (part !== undefined) return `expected a whole model, found the half-downloaded ${part}`;
  return `expected onnx/text_model${suffix}.onnx and onnx/vision_model${suffix}.onnx, or onnx/model${suffix}.onnx (${precision}), found ${await onnxNames(
    folder,
  )}`;
}

async function absent(folder: string, name: string): Promise<string> {
  const part = await partOf(join(folder, name));
  return part === undefined ? `expected ${name}, found none` : `expected ${name}, found the half-downloaded ${part}`;
}

async function partOf(path: string): Promise<string | undefined> {
  for (const end of [".part", ".incomplete"]) if (await exists(path + end)) return path + end;
  return undefined;
}

async function onnxNames(folder: string): Promise<string> {
  try {
    const names = (await Array.fromAsync(Deno.readDir(join(folder, "onnx")))).map(({ name }) => name);
    return names.filter((name) => name.endsWith(".onnx")).sort().slice(0, 8).join(", ") || "no .onnx file";
  } catch {
    return "no folder onnx";
  }
}

interface Place {
  readonly folder: string;
  readonly origin: FoundModel["origin"];
  readonly revision?: string | undefined;
}

async function places(name: string, revision: string, cacheFolder: string): Promise<Place[]> {
  const own = Deno.env.get("POKEDEX_CLIP");
  const found: Place[] = own ? [{ folder: join(own, name), origin: "folder" }] : [];
  const { env } = await import("@huggingface/transformers");
  for (const cache of [cacheFolder, ...(env.cacheDir ? [env.cacheDir] : [])]) {
    found.push({ folder: cachedFolder(name, revision, cache), origin: "cache", revision });
  }
  const python = join(pythonCache(), `models--${name.replace("/", "--")}`);
  const commit = (await Deno.readTextFile(join(python, "refs", revision)).catch(() => "")).trim() || revision;
  found.push({ folder: join(python, "snapshots", commit), origin: "Python cache", revision: commit });
  return found;
}

/** Where transformers.js keeps a model: a revision other than main has a folder of its own. */
function cachedFolder(name: string, revision: string, cache: string): string {
  return revision === "main" ? join(cache, name) : join(cache, name, revision);
}

function pythonCache(): string {
  const { HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME } = Deno.env.toObject();
  if (HF_HUB_CACHE) return HF_HUB_CACHE;
  return join(HF_HOME || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "huggingface"), "hub");
}

async function isFolder(path: string): Promise<boolean> {
  return (await Deno.stat(path).catch(() => undefined))?.isDirectory ?? false;
}
