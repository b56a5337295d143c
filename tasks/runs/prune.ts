/** `deno task runs prune`: removes runs, once asked with --yes. */

import { plainTable, runRows } from "../../lib/notebook/mod.ts";
import { integerFlag, runCommand } from "../../lib/runtime/mod.ts";
import { pruneRuns } from "../../lib/track/mod.ts";
import { runsFlag } from "./list.ts";

export function prune(args: readonly string[]): Promise<never> {
  return runCommand({
    usage: "deno task runs prune",
    about:
      "Removes the runs that meet every condition given, never one that is running. Without --yes it only lists them.",
    flags: {
      runs: runsFlag,
      "older-than": { type: "string", value: "DAYS", help: "last written more than so many days ago" },
      keep: { type: "string", value: "N", help: "not among the newest N" },
      "without-checkpoints": { type: "boolean", help: "without a checkpoint" },
      yes: { type: "boolean", help: "remove them" },
    },
    async run({ runs, keep, yes, ...values }) {
      const days = values["older-than"];
      const report = await pruneRuns({
        folder: runs,
        olderThanDays: days === undefined ? undefined : integerFlag("older-than", days, 0),
        keep: keep === undefined ? undefined : integerFlag("keep", keep, 0),
        withoutCheckpoints: values["without-checkpoints"],
        remove: yes,
      });
      const { selected, removed, bytes } = report;
      if (selected.length) console.error(plainTable(runRows(selected)));
      const megabytes = `${selected.length} runs, ${(bytes / 1e6).toFixed(1)} MB`;
      console.error(
        selected.length === 0
          ? `${runs}: no run meets the conditions`
          : removed
          ? `removed ${megabytes}`
          : `would remove ${megabytes}; add --yes to do it`,
      );
      return report;
    },
  }, args);
}
