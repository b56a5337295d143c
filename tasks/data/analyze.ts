/** `deno task data analyze`: what a built dataset is made of. */

import { type Command, runCommand, writeAtomic } from "../../lib/runtime/mod.ts";
import {
  analyzeDataset,
  colourStatistics,
  contactSheet,
  type DatasetAnalysis,
  datasetPaths,
  openCache,
  readManifest,
} from "../../lib/data/mod.ts";
import { progress } from "../../lib/notebook/mod.ts";

const flags = {
  data: { type: "string", help: "the folder that holds processed/", default: "data", value: "DIR" },
  sheet: { type: "string", help: "also draw one picture of each species into this .webp file", value: "FILE" },
  "no-colours": { type: "boolean", help: "leave the pixels alone: no colour statistics" },
} as const;

/** The sub-command, for `deno task data`. */
export const command: Command<typeof flags> = {
  usage: "deno task data analyze",
  about: "Counts classes, splits, sources, sizes, colours and near-duplicates of the dataset that was built.",
  flags,
  async run(values) {
    const rows = await readManifest(datasetPaths(values.data).manifest);
    const analysis = analyzeDataset(rows);
    printAnalysis(analysis);
    if (values.sheet) {
      const firsts = [...Map.groupBy(rows, ({ dex }) => dex).values()].map((members) => members[0]!);
      await writeAtomic(values.sheet, await contactSheet(firsts, { dataFolder: values.data, columns: 32, side: 48 }));
      console.error(`\ncontact sheet: ${values.sheet}`);
    }
    if (values["no-colours"]) return analysis;
    using cache = await openCache(rows, { dataFolder: values.data, size: 32, onProgress: progress("data") });
    const colours = colourStatistics(cache, rows);
    const three = (numbers: readonly number[]) => numbers.map((value) => value.toFixed(3)).join(", ");
    console.error(
      `\ncolours of what can be seen: mean ${three(colours.mean)}, deviation ${three(colours.std)} (R, G, B)`,
    );
    return { ...analysis, colours };
  },
};

/** Runs the sub-command with its arguments and ends the process. */
export function runAnalyze(args: readonly string[]): Promise<never> {
  return runCommand(command, args);
}

function printAnalysis({ images, classes, splits, balance, sources, sizes, groups }: DatasetAnalysis): void {
  const share = (count: number) => `${(100 * count / images).toFixed(1)} %`;
  const pair = ([width, height]: readonly [number, number]) => `${width} x ${height}`;
  const lines = [
    `${images} images of ${classes} species`,
    `splits: ${Object.entries(splits).map(([split, count]) => `${split} ${count} (${share(count)})`).join(", ")}`,
    `images a species: ${balance.smallest} … ${balance.largest}, median ${balance.median}, ` +
    `as varied as ${balance.effectiveClasses.toFixed(0)} equal classes`,
    `stored sizes: ${pair(sizes.smallest)} … ${pair(sizes.largest)}, median ${pair(sizes.median)}; ` +
    `${sizes.transparent} transparent (${share(sizes.transparent)})`,
    `near-duplicate groups: ${groups.count}, largest ${groups.sizes.length}; ` +
    `${groups.imagesWithNearDuplicate} images have a near-duplicate (${share(groups.imagesWithNearDuplicate)})`,
    "",
    `${"kind".padEnd(40)}${["images", "train", "validation", "test"].map((head) => head.padStart(11)).join("")}`,
    ...sources.slice(0, 30).map(({ source, kind, images, train, validation, test }) =>
      `${(source.startsWith("folder:") ? kind : `${source} ${kind}`).slice(0, 39).padEnd(40)}${
        [images, train, validation, test].map((count) => String(count).padStart(11)).join("")
      }`
    ),
    ...(sources.length > 30 ? [`… and ${sources.length - 30} more kinds`] : []),
  ];
  console.error(lines.join("\n"));
}

if (import.meta.main) await runAnalyze(Deno.args);
