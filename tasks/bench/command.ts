/** The command line that `bench` and `peers` share: comparisons by name, one table or one JSON document. */

import { progress } from "../../lib/notebook/mod.ts";
import { InputError, integerFlag, type ProgressListener, runCommand } from "../../lib/runtime/mod.ts";
import { type BenchRow, printRows } from "./row.ts";

/** What every comparison is given. */
export interface ComparisonOptions {
  /** Raw pictures, for those that build data sets. */
  readonly source: string;
  /** Raw files in a run. */
  readonly images: number;
  readonly onProgress: ProgressListener;
}

export interface Comparisons {
  readonly usage: string;
  readonly about: string;
  readonly byName: Readonly<Record<string, (options: ComparisonOptions) => Promise<BenchRow[]>>>;
  /** Why an error only means that a comparison cannot be made here; undefined for other errors. By default none does. */
  readonly skipReason?: (error: unknown) => string | undefined;
}

/** Runs the comparisons that the arguments name, all of them when none is named. */
export async function runComparisons(
  { usage, about, byName, skipReason = () => undefined }: Comparisons,
): Promise<never> {
  const names = Object.keys(byName);
  return await runCommand({
    usage,
    about,
    operands: `[${names.join("|")}]`,
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
        if (!Object.hasOwn(byName, name)) {
          throw new InputError(`${usage}: expected ${names.join(", ")}, found "${name}"`);
        }
      }
      const count = integerFlag("images", images, 1);
      const rows: BenchRow[] = [];
      for (const name of operands.length ? operands : names) {
        try {
          rows.push(...await byName[name]!({ source, images: count, onProgress: progress(name) }));
        } catch (error) {
          const reason = skipReason(error);
          if (reason === undefined) throw error;
          console.error(`skipped ${name}: ${reason}`);
        }
      }
      if (!json) printRows(rows);
      return rows;
    },
  });
}
