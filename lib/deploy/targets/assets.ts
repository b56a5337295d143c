/** The files that packages are made of beside the model: runners, pages, and what is pinned of npm packages. */

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { readJson, WorkError } from "../../runtime/mod.ts";
import type { TargetFile } from "./manifest.ts";

const assets = fileURLToPath(new URL("./assets", import.meta.url));

/** Files of `assets/`, each under its own name at the package's top. */
export async function assetFiles(...paths: readonly string[]): Promise<TargetFile[]> {
  return await Promise.all(paths.map(async (path) => ({
    path: path.slice(path.lastIndexOf("/") + 1),
    content: await Deno.readFile(join(assets, path)),
  })));
}

/** The exact version of an npm package that this project works with. */
export async function pinnedVersion(name: string): Promise<string> {
  const { imports } = await readJson(fileURLToPath(new URL("../../../deno.json", import.meta.url))) as {
    imports: Record<string, string>;
  };
  const found = new RegExp(`^npm:/?${name}@([^/]+)`).exec(imports[name] ?? imports[`${name}/`] ?? "")?.[1];
  if (!found) throw new WorkError(`deno.json: expected the package ${name} with its version, found none`);
  return found;
}

/** What a browser loads of onnxruntime-web: the processor's part, and the part that computes on a GPU. */
const ORT_WEB = [
  "ort.wasm.min.mjs",
  "ort-wasm-simd-threaded.mjs",
  "ort-wasm-simd-threaded.wasm",
  "ort.webgpu.min.mjs",
  "ort-wasm-simd-threaded.asyncify.mjs",
  "ort-wasm-simd-threaded.asyncify.wasm",
];

/** The runtime for browsers, copied from the npm package into `ort/`, so that a page needs no other server. */
export async function ortWebFiles(): Promise<TargetFile[]> {
  const folder = ortWebFolder();
  return await Promise.all(
    ORT_WEB.map(async (name) => ({ path: `ort/${name}`, content: await Deno.readFile(join(folder, name)) })),
  );
}

/** Where the npm package's files lie. Throws WorkError where it is not installed. */
export function ortWebFolder(): string {
  const place = import.meta.resolve("onnxruntime-web/ort-wasm-simd-threaded.wasm");
  if (place.startsWith("file:")) return dirname(fileURLToPath(place));
  throw new WorkError('onnxruntime-web: expected the package\'s files, found none; run "deno install"');
}
