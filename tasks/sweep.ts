/** `deno task sweep`: many trainings of varied settings, compared on validation. */

import { join, resolve } from "node:path";
import {
  datasetIdentity,
  defaultProfile,
  parseSeed,
  projectFolder,
  readProfile,
  readSweepConfig,
  readTrainingConfig,
  runSweep,
  type SweepOptions,
  trainTrials,
} from "../lib/experiment/mod.ts";
import {
  differenceOfSwitchRows,
  plainTable,
  progress,
  sweepCaption,
  sweepPage,
  sweepRows,
} from "../lib/notebook/mod.ts";
import {
  type Device,
  DEVICES,
  InputError,
  integerFlag,
  runCommand,
  watchInterrupt,
  writeAtomic,
} from "../lib/runtime/mod.ts";
import { dataOf } from "./train/data_of.ts";

using interrupt = watchInterrupt(() =>
  console.error("\nfinishing the step, then a checkpoint; Ctrl-C again ends at once")
);

const tell: SweepOptions["onTrial"] = ({ entry: { label, seed, epochs, cause, validation }, value, done, total }) => {
  const what = `${done}/${total}  ${label} (seed ${seed}, ${epochs} epochs)`;
  const figures = validation && `${value!.toFixed(4)}, top-1 ${(100 * validation.top1).toFixed(1)} %`;
  console.error(cause === undefined ? `${what}: ${figures}` : `${what} failed: ${cause}`);
};

await runCommand({
  usage: "deno task sweep",
  about:
    "Trains many times with varied settings and compares the results on validation: a grid, random search, successive " +
    "halving, or an ablation. Writes RUNS/sweeps/NAME-HASH with a line a trial, results.json and sweep.html. The same command " +
    "goes on where it was stopped (Ctrl-C: status 130; after SIGTERM 143); changed settings are another sweep.",
  flags: {
    config: { type: "string", value: "FILE", help: "the sweep, e.g. configs/sweeps/learning_rate.yaml" },
    profile: { type: "string", value: "NAME", default: defaultProfile, help: "smoke, quick, national or blog" },
    "retry-failed": { type: "boolean", help: "also try again what failed before" },
    device: { type: "string", value: "NAME", default: "cpu", help: DEVICES.join(", ") },
    source: { type: "string", value: "NAME", help: "of a data set to be built: sprites, folder:PATH, hub:OWNER/NAME" },
    data: { type: "string", value: "DIR", help: "the data folder (default: data/PROFILE)" },
    runs: { type: "string", value: "DIR", default: "runs", help: "the folder of runs" },
    seed: { type: "string", value: "N", help: "where the sweep names none (default: the profile's)" },
    threads: { type: "string", value: "N", help: "CPU threads of a step (default: one a core)" },
    workers: { type: "string", value: "N", help: "workers that draw pictures (default: one for two cores, at most 4)" },
  },
  async run({ config: path, profile: profileName, device, ...flags }) {
    if (path === undefined) {
      throw new InputError(
        "deno task sweep: expected --config FILE, e.g. configs/sweeps/learning_rate.yaml; see --help",
      );
    }
    if (!(DEVICES as readonly string[]).includes(device)) {
      throw new InputError(`--device: expected ${DEVICES.join(", ")}, found "${device}"`);
    }
    const profile = await readProfile(profileName);
    const settings = await readSweepConfig(path, { profile: profile.name });
    const base = await readTrainingConfig(resolve(projectFolder, settings.base), { profile: profile.name });
    const data = await dataOf(profile, { folder: flags.data, source: flags.source });
    const result = await runSweep({
      ...{ settings, base, profile: profile.name, folder: join(flags.runs, "sweeps") },
      ...{ signal: interrupt.signal, retryFailed: flags["retry-failed"], onTrial: tell },
      seed: flags.seed === undefined ? profile.seed : parseSeed(flags.seed, "--seed"),
      dataset: await datasetIdentity(data),
      runTrial: trainTrials({
        ...{
          data,
          profile: profile.name,
          device: device as Device,
          onProgress: progress("train"),
          warn: console.error,
        },
        ...(flags.threads === undefined ? {} : { threads: integerFlag("threads", flags.threads, 1, 1024) }),
        ...(flags.workers === undefined ? {} : { workers: integerFlag("workers", flags.workers, 0, 64) }),
      }),
    });
    if (result.variants.length > 0) {
      console.error(`\n${plainTable(sweepRows(result), { caption: sweepCaption(result) })}`);
      if (result.differences?.length) console.error(`\n${plainTable(differenceOfSwitchRows(result))}`);
      await writeAtomic(join(result.folder, "sweep.html"), await sweepPage(result));
    }
    console.error(`\n${result.folder}`);
    if (result.state === "interrupted" && interrupt.exitStatus !== undefined) {
      if (flags.json) console.log(JSON.stringify(result, null, 2));
      Deno.exit(interrupt.exitStatus);
    }
    return { ok: result.variants.some(({ status }) => status === "done"), ...result };
  },
});
