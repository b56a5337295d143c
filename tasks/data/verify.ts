/** `deno task data verify`: checks a built dataset and lists what is wrong with it. */

import { verifyDataset } from "../../lib/data/mod.ts";
import { progress } from "../../lib/notebook/mod.ts";
import { defaultWorkers, InputError, integerFlag, runCommand } from "../../lib/runtime/mod.ts";

export function verify(args: readonly string[]): Promise<never> {
  return runCommand({
    usage: "deno task data verify",
    about: "Decodes every picture and checks classes, splits, labels, groups, leaks and the manifest. " +
      "Status 1 when there is a problem.",
    flags: {
      data: { type: "string", value: "DIR", default: "data", help: "the data folder" },
      classes: {
        type: "string",
        value: "N",
        default: "auto",
        help: "how many species must have pictures; auto: as built",
      },
      workers: { type: "string", value: "N", default: String(defaultWorkers()), help: "pictures checked at a time" },
    },
    async run({ data, classes, workers }) {
      if (classes !== "auto" && !/^\d+$/.test(classes)) {
        throw new InputError(`--classes: expected auto or a whole number, found "${classes}"`);
      }
      const report = await verifyDataset({
        folder: data,
        ...classes === "auto" ? {} : { classes: Number(classes) },
        workers: integerFlag("workers", workers, 1, 64),
        onProgress: progress("data"),
      });
      for (const { kind, file, cause } of report.problems.slice(0, 20)) console.error(`${kind}: ${file}: ${cause}`);
      if (report.problems.length > 20) console.error(`… and ${report.problems.length - 20} more (--json lists all)`);
      console.error(
        `${report.ok ? "ok" : "not ok"}: ${report.images} pictures of ${report.classes} species, ` +
          `${report.problems.length} problems, ${report.warnings.length} warnings`,
      );
      return report;
    },
  }, args);
}
