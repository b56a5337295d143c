/** `deno task runs list`: all runs of a folder in one table. */

import { plainTable, runRows } from "../../lib/notebook/mod.ts";
import { runCommand } from "../../lib/runtime/mod.ts";
import { listRuns } from "../../lib/track/mod.ts";

/** The flag that all sub-commands share. */
export const runsFlag = { type: "string", value: "DIR", default: "runs", help: "the folder of runs" } as const;

export function list(args: readonly string[]): Promise<never> {
  return runCommand({
    usage: "deno task runs list",
    about: "Lists all runs, the newest first: how each ended, how far it came, its best figures.",
    flags: { runs: runsFlag },
    async run({ runs }) {
      const found = await listRuns(runs);
      console.error(found.length ? plainTable(runRows(found)) : `${runs}: no runs yet; "deno task train" makes one`);
      for (const { id, problem } of found) if (problem !== undefined) console.error(`${id}: ${problem}`);
      return found;
    },
  }, args);
}
