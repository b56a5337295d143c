/** Google's own interpreter of TFLite files in WebAssembly, as an outside judge of what is written here. */

import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/** A model that the interpreter holds. Inputs and outputs are float32. */
export interface LitertModel {
  /** The numbers of the first output. */
  run(input: Float32Array, shape: readonly number[]): Promise<Float32Array>;
  delete(): void;
}

/** What is used of the package; its own types want a browser's. */
interface Litert {
  loadLiteRt(path: string): Promise<unknown>;
  loadAndCompile(model: Uint8Array, options: { readonly accelerator: "wasm" }): Promise<{
    run(input: LitertTensor): Promise<LitertTensor[]>;
    delete(): void;
  }>;
  readonly Tensor: new (data: Float32Array, shape: readonly number[]) => LitertTensor;
}

interface LitertTensor {
  moveTo(place: "wasm"): Promise<LitertTensor>;
  toTypedArray(): Float32Array;
  delete(): void;
}

let loaded: Promise<Litert> | undefined;

/** Opens a file; throws what the interpreter says of one that it does not take. */
export async function openLitert(model: Uint8Array): Promise<LitertModel> {
  const litert = await (loaded ??= load()), compiled = await litert.loadAndCompile(model, { accelerator: "wasm" });
  return {
    async run(input, shape) {
      const tensor = new litert.Tensor(input, shape), outputs = await compiled.run(tensor);
      const result = (await outputs[0]!.moveTo("wasm")).toTypedArray().slice();
      for (const each of outputs) each.delete();
      return result;
    },
    delete: () => compiled.delete(),
  };
}

/** The package is for browsers, where a worker loads its script with `importScripts`; the script itself knows Node's files too. */
async function load(): Promise<Litert> {
  const script = fileURLToPath(import.meta.resolve("@litertjs/core/wasm/litert_wasm_internal.js"));
  const place = globalThis as { importScripts?: unknown; Module?: unknown; ModuleFactory?: unknown };
  place.importScripts = (path: string) => {
    const make = new Function(
      ...["require", "__filename", "__dirname"],
      `${Deno.readTextFileSync(path)}\nreturn ModuleFactory;`,
    );
    place.ModuleFactory = make(createRequire(import.meta.url), path, dirname(path));
  };
  place.Module = { print: () => {}, printErr: () => {} }; // how it starts is of no interest
  const litert: Litert = await import(import.meta.resolve("@litertjs/core/dist/index.js"));
  try {
    await litert.loadLiteRt(script);
  } finally {
    delete place.importScripts;
  }
  return litert;
}
