/** The data set that trainings of a profile work with. */

import { join } from "node:path";
import { buildDataset, datasetPaths, openSource, readManifest, type SplitMode } from "../../lib/data/mod.ts";
import { type Dataset, openDataset, parseSource, type Profile } from "../../lib/experiment/mod.ts";
import { progress } from "../../lib/notebook/mod.ts";
import { exists, InputError } from "../../lib/runtime/mod.ts";
import { speciesNames } from "../../lib/species/mod.ts";

/** The data set of the profile, built first where there is none; split anew where `splitMode` says how. */
export async function dataOf(
  { name, species, source: usual, seed }: Profile,
  { folder = join("data", name), source, splitMode }: {
    readonly folder: string | undefined;
    readonly source: string | undefined;
    readonly splitMode?: SplitMode | undefined;
  },
): Promise<Dataset> {
  const { manifest } = datasetPaths(folder);
  const wanted = source === undefined ? usual : parseSource(source, "--source", Deno.cwd());
  if (!(await exists(manifest))) {
    console.error(`${folder}: no data set yet; building it from ${wanted}`);
    await buildDataset({
      source: await openSource(wanted),
      out: folder,
      names: speciesNames,
      seed,
      species,
      onProgress: progress("build"),
    });
  } else if (source !== undefined) {
    const found = new Set((await readManifest(manifest)).map((row) => row.source));
    if (!found.has(wanted)) {
      throw new InputError(
        `--source: expected ${[...found].join(", ")}, which ${folder} was built from, found "${source}"; ` +
          `give --data another folder`,
      );
    }
  }
  const resplit = splitMode && { mode: splitMode, seed };
  return await openDataset({ dataFolder: folder, species, ...(resplit ? { resplit } : {}), warn: console.error });
}
