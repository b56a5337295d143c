/** `deno task bench [data|train]`: figures of speed, each beside another program's on the same work. One file a bench in bench/. */

import { InputError, type ProgressListener, runCommand } from "../lib/runtime/mod.ts";
import { progress } from "../lib/notebook/mod.ts";
import { type BenchRow, printRows } from "./bench/row.ts";

type Options = { readonly source: string; readonly images: number; readonly onProgress: ProgressListener };

const benches: Record<string, (options: Options) => Promise<BenchRow[]>> = {
  data: async (options) => [
    ...await (await import("./bench/data.ts")).benchData(options),
    ...await (await import("./bench/loader.ts")).benchLoader({ onProgress: options.onProgress }),
  ],
  train: async (options) => (await import("./bench/train.ts")).benchTrain({ onProgress: options.onProgress }),
};

await runCommand({
  usage: "deno task bench",
  about: `Measures ${Object.keys(benches).join(", ")} on this machine; all of them when none is named.`,
  operands: `[${Object.keys(benches).join("|")}]`,
  flags: {
    source: {
      type: "string",
      value: "NAME",
      default: "auto",
      help: "raw pictures; auto: ../shared's if there, else sprites",
    },
    images: { type: "string", value: "N", default: "1500", help: "raw files in a run" },
  },
  async run({ source, images, json }, operands) {
    for (const name of operands) {
      if (!Object.hasOwn(benches, name)) {
        throw new InputError(`deno task bench: expected ${Object.keys(benches).join(", ")}, found "${name}"`);
      }
    }
    if (!/^[1-9]\d*$/.test(images)) throw new InputError(`--images: expected a whole number ≥ 1, found "${images}"`);
    const rows: BenchRow[] = [];
    for (const name of operands.length ? operands : Object.keys(benches)) {
      rows.push(...await benches[name]!({ source, images: Number(images), onProgress: progress(name) }));
    }
    if (!json) printRows(rows);
    return rows;
  },
});
