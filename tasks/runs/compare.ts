/** `deno task runs compare RUN…`: runs beside each other, in the terminal and as a page. */

import { comparisonPage, differenceRows, plainTable, runRows } from "../../lib/notebook/mod.ts";
import { ensureParent, InputError, runCommand, writeAtomic } from "../../lib/runtime/mod.ts";
import { compareRuns, findRun } from "../../lib/track/mod.ts";
import { runsFlag } from "./list.ts";

export function compare(args: readonly string[]): Promise<never> {
  return runCommand({
    usage: "deno task runs compare",
    about:
      "Compares runs: results, settings that differ, and in an HTML page that needs nothing else the curves of loss, " +
      "validation and learning rate over each other.",
    operands: "RUN RUN…",
    flags: {
      runs: runsFlag,
      out: { type: "string", value: "FILE", default: "reports/runs.html", help: "where the page is written" },
    },
    async run({ runs, out }, operands) {
      if (operands.length === 0) {
        throw new InputError("deno task runs compare: expected the runs to compare, found none; see --help");
      }
      const folders: string[] = [];
      for (const name of operands) folders.push(await findRun(runs, name));
      const comparison = await compareRuns([...new Set(folders)]);
      await ensureParent(out);
      await writeAtomic(out, await comparisonPage(comparison));
      console.error(plainTable(runRows(comparison.runs)));
      const different = differenceRows(comparison);
      if (different.length) console.error("\n" + plainTable(different));
      console.error(`\n${out}`);
      return { ...comparison, out };
    },
  }, args);
}
