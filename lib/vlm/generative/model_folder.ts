/** Where the files of a generative model lie: a folder, the Hub's cache, or the Hub. */

import { join } from "node:path";
import { describeError, downloadFile, exists, InputError, readJson, reason } from "../../runtime/mod.ts";

/** Weights of the three graphs, by the ending that the Hub's files have. */
export const PRECISIONS = { fp32: "", fp16: "_fp16", q8: "_quantized", q4: "_q4" } as const;

/** See `PRECISIONS`. */
export type Precision = keyof typeof PRECISIONS;

/** The graphs of an Idefics3 model. */
export const GRAPHS = ["vision_encoder", "embed_tokens", "decoder_model_merged"] as const;

/** Settings that are read beside the graphs. */
const SETTINGS = [
  "config.json",
  "generation_config.json",
  "preprocessor_config.json",
  "processor_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
] as const;

/** The path of a graph inside a model's folder. */
export function graphFile(graph: typeof GRAPHS[number], precision: Precision): string {
  return `onnx/${graph}${PRECISIONS[precision]}.onnx`;
}

/** Settings of `findModelFolder`. */
export interface FindModelOptions {
  readonly precision: Precision;
  /** The Hub's cache. Default: `HF_HUB_CACHE`, or `hub` in `HF_HOME`, or `~/.cache/huggingface/hub`. */
  readonly cache?: string | undefined;
  /** Default: `HF_ENDPOINT`, or https://huggingface.co. */
  readonly endpoint?: string | undefined;
  /** Whether the Hub may be asked. Default: true. */
  readonly download?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The folder of a model: `nameOrPath` itself where it is a folder, else the newest snapshot of the repository in the Hub's cache,
 * else downloaded there. Throws InputError that names the first missing file.
 */
export async function findModelFolder(
  nameOrPath: string,
  { precision, cache = hubCache(), endpoint = hubEndpoint(), download = true, signal }: FindModelOptions,
): Promise<string> {
  const files = [...SETTINGS, ...GRAPHS.map((graph) => graphFile(graph, precision))];
  const missing = async (folder: string) => {
    for (const file of files) if (!(await exists(join(folder, file)))) return file;
    return undefined;
  };
  if (await exists(nameOrPath)) {
    const file = await missing(nameOrPath);
    if (file !== undefined) {
      throw new InputError(`${join(nameOrPath, file)}: expected a file of the model, found nothing there`);
    }
    return nameOrPath;
  }
  if (!/^[\w.-]+\/[\w.-]+$/.test(nameOrPath)) {
    throw new InputError(`"${nameOrPath}": expected a folder or a name OWNER/NAME of the Hub, found neither`);
  }
  const snapshots = join(cache, `models--${nameOrPath.replace("/", "--")}`, "snapshots");
  for (const name of await newestFolders(snapshots)) {
    const folder = join(snapshots, name);
    if (await missing(folder) === undefined) return folder;
  }
  if (!download) {
    throw new InputError(`${nameOrPath}: expected a folder or a snapshot in ${cache}, found neither`);
  }
  const folder = join(snapshots, "main");
  for (const file of files) {
    if (await exists(join(folder, file))) continue;
    await downloadFile(`${endpoint}/${nameOrPath}/resolve/main/${file}`, join(folder, file), signal ? { signal } : {})
      .catch(
        (error) => {
          throw new InputError(
            `${nameOrPath}: expected a folder, a snapshot in ${cache} or the Hub's ${file}, found: ${
              describeError(error, 160)
            }`,
            { cause: error },
          );
        },
      );
  }
  return folder;
}

/** Reads one of the model's settings. Throws InputError that names the file. */
export async function readSettings(folder: string, file: typeof SETTINGS[number]): Promise<Record<string, unknown>> {
  const found = await readJson(join(folder, file));
  if (typeof found === "object" && found !== null && !Array.isArray(found)) return found as Record<string, unknown>;
  throw new InputError(
    `${join(folder, file)}: expected a map of settings, found ${JSON.stringify(found)?.slice(0, 60)}`,
  );
}

function hubCache(): string {
  const home = Deno.env.get("HF_HOME") ??
    join(Deno.env.get("HOME") ?? Deno.env.get("USERPROFILE") ?? ".", ".cache/huggingface");
  return Deno.env.get("HF_HUB_CACHE") ?? join(home, "hub");
}

function hubEndpoint(): string {
  return (Deno.env.get("HF_ENDPOINT") ?? "https://huggingface.co").replace(/\/+$/, "");
}

async function newestFolders(folder: string): Promise<string[]> {
  if (!(await exists(folder))) return [];
  const found: { name: string; time: number }[] = [];
  try {
    for await (const { name } of Deno.readDir(folder)) {
      const { isDirectory, mtime } = await Deno.stat(join(folder, name));
      if (isDirectory) found.push({ name, time: mtime?.getTime() ?? 0 });
    }
  } catch (error) {
    throw new InputError(`${folder}: expected folders of snapshots, found ${reason(error)}`, { cause: error });
  }
  return found.sort((a, b) => b.time - a.time).map(({ name }) => name);
}
