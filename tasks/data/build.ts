/** `deno task data build`: builds the YOLO dataset, or goes on where a build was stopped. */

import { buildDataset, openSource } from "../../lib/data/mod.ts";
import { progress } from "../../lib/notebook/mod.ts";
import { defaultWorkers, InputError, integerFlag, runCommand } from "../../lib/runtime/mod.ts";
import { speciesNames } from "../../lib/species/mod.ts";
import { parseSpecies } from "./species_flag.ts";

export function build(args: readonly string[]): Promise<never> {
  return runCommand({
    usage: "deno task data build",
    about: "Makes data/processed/ from raw pictures: decodes, groups near-duplicates, splits, writes a YOLO dataset. " +
      "Stopped at any moment, it goes on where it was.",
    flags: {
      source: { type: "string", value: "NAME", default: "sprites", help: "sprites, folder:PATH or hub:OWNER/NAME" },
      out: { type: "string", value: "DIR", default: "data", help: "the data folder" },
      seed: { type: "string", value: "N", default: "0", help: "decides splits and backgrounds" },
      split: { type: "string", value: "MODE", default: "grouped", help: "grouped, or naive to ignore near-duplicates" },
      species: { type: "string", value: "LIST", default: "all", help: "all, 151 (the first 151), or 1-9,25" },
      workers: { type: "string", value: "N", default: String(defaultWorkers()), help: "pictures made at a time" },
    },
    async run({ source, out, seed, split, species, workers }) {
      if (split !== "grouped" && split !== "naive") {
        throw new InputError(`--split: expected grouped or naive, found "${split}"`);
      }
      const report = await buildDataset({
        source: await openSource(source),
        out,
        names: speciesNames,
        seed: integerFlag("seed", seed, 0),
        split,
        species: parseSpecies(species),
        workers: integerFlag("workers", workers, 1, 64),
        onProgress: progress("data"),
      });
      const { images, shares } = report.balance;
      const share = (name: keyof typeof shares) => `${images[name]} ${name} (${(100 * shares[name]).toFixed(1)} %)`;
      console.error(
        `${report.images} pictures of ${report.classes} species: ${share("train")}, ${share("validation")}, ${
          share("test")
        }\n` +
          `${report.groups} near-duplicate groups, the largest of ${report.largestGroup}; ` +
          `${report.crossSpecies} pairs of different species that look the same\n` +
          `${report.made} files decoded, ${report.reused} finished before, ${report.skipped.length} skipped; ` +
          `${report.seconds.toFixed(1)} s; ${report.dataset}`,
      );
      for (const { path, cause } of report.skipped.slice(0, 10)) {
        console.error(`skipped ${JSON.stringify(path)}: ${cause}`);
      }
      if (report.skipped.length > 10) console.error(`… all are listed in metadata/skipped.jsonl`);
      return report;
    },
  }, args);
}
