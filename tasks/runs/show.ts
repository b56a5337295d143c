/** `deno task runs show RUN`: one run in full. */

import { plainTable, runRows } from "../../lib/notebook/mod.ts";
import { InputError, runCommand } from "../../lib/runtime/mod.ts";
import { findRun, readRun, summarizeRun } from "../../lib/track/mod.ts";
import { runsFlag } from "./list.ts";

export function show(args: readonly string[]): Promise<never> {
  return runCommand({
    usage: "deno task runs show",
    about: "Shows one run: where it was made, its validations, its resumes and what went wrong.",
    operands: "RUN",
    flags: { runs: runsFlag },
    async run({ runs }, operands) {
      const [name] = operands;
      if (name === undefined || operands.length > 1) {
        throw new InputError(`deno task runs show: expected one run, found ${operands.length}; see --help`);
      }
      const folder = await findRun(runs, name);
      const [run, summary] = [await readRun(folder), await summarizeRun(folder)];
      const { start: { config, environment }, validations, checkpoints, incidents, resumes } = run;
      const text = (value: unknown) => typeof value === "string" ? value : JSON.stringify(value);
      console.error(plainTable(runRows([summary])));
      console.error(Object.entries(environment).map(([key, value]) => `${key} ${text(value)}`).join(", "));
      if (summary.problem !== undefined) console.error(summary.problem);
      if (validations.length) {
        console.error(
          "\n" + plainTable(validations.map(({ epoch, step, figures, best }) => ({
            epoch,
            step,
            ...figures,
            best: best ? "*" : "",
          }))),
        );
      }
      for (const { step, from, file } of resumes) console.error(`resumed at step ${step} from ${file} of ${from}`);
      for (const { step, what, cause } of incidents) console.error(`step ${step}: ${what}: ${cause}`);
      return {
        ...summary,
        config,
        environment,
        validations,
        checkpointEvents: checkpoints,
        incidentEvents: incidents,
        resumeEvents: resumes,
      };
    },
  }, args);
}
