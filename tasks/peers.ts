/** `deno task peers [pillow|curves|pytorch]`: comparisons with other programs. Says what it skips and why. One file a peer in peers/. */

import { describeError, InputError, type ProgressListener, runCommand } from "../lib/runtime/mod.ts";
import { progress } from "../lib/notebook/mod.ts";
import { type BenchRow, printRows } from "./bench/row.ts";
import { PeerMissing } from "./peers/python.ts";

type Options = { readonly source: string; readonly images: number; readonly onProgress: ProgressListener };

const peers: Record<string, (options: Options) => Promise<BenchRow[]>> = {
  pillow: async (options) => (await import("./peers/pillow.ts")).comparePillow(options),
  curves: async () => (await import("./peers/loss_curves.ts")).compareLossCurves(),
  pytorch: async (options) => (await import("./peers/pytorch.ts")).comparePytorch(options),
};

await runCommand({
  usage: "deno task peers",
  about:
    `Compares with ${Object.keys(peers).join(", ")}; all of them when none is named. Needs what each peer needs, ` +
    "e.g. Python 3 and a package index for a private environment in .venv-peers.",
  operands: `[${Object.keys(peers).join("|")}]`,
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
      if (!Object.hasOwn(peers, name)) {
        throw new InputError(`deno task peers: expected ${Object.keys(peers).join(", ")}, found "${name}"`);
      }
    }
    if (!/^[1-9]\d*$/.test(images)) throw new InputError(`--images: expected a whole number ≥ 1, found "${images}"`);
    const rows: BenchRow[] = [];
    for (const name of operands.length ? operands : Object.keys(peers)) {
      try {
        rows.push(...await peers[name]!({ source, images: Number(images), onProgress: progress(name) }));
      } catch (error) {
        if (!(error instanceof PeerMissing)) throw error;
        console.error(`skipped ${name}: ${describeError(error)}`);
      }
    }
    if (!json) printRows(rows);
    return rows;
  },
});
