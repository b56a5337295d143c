/** Runs the notebooks in order and writes reports, executed copies, the index and results.json. */

import { basename, join } from "node:path";
import { InputError, lockFolder, removeTemporary, writeAtomic } from "../runtime/mod.ts";
import { type CellEvent, type CellFailure, executeNotebookFile } from "./execute.ts";
import { readNotebook } from "./notebook_file.ts";
import { gatherProvenance } from "./provenance.ts";
import { collectApproaches, collectFigures, notebookTitle, renderReport } from "./report.ts";
import { renderIndex } from "./report_index.ts";
import { makeResult, mergeResults, type NotebookResult, readResults, type Results, writeResults } from "./results.ts";
import { type Profile, readProfile } from "../experiment/mod.ts";

export interface ReproduceOptions {
  /** Folder of the notebooks, `NN_name.ipynb`. */
  readonly notebooks: string;
  /** Folder of the reports. */
  readonly out: string;
  readonly profile: string;
  /** By default the profile's. */
  readonly seed?: number | undefined;
  /** Numbers or names, e.g. "01" or "01_data"; by default all. */
  readonly only?: readonly string[] | undefined;
  readonly onCell?: ((notebook: string, event: CellEvent) => void) | undefined;
  /** Told when a notebook's report is written. */
  readonly onNotebook?: ((name: string, result: NotebookResult, failure: CellFailure | undefined) => void) | undefined;
}

export interface Reproduction {
  /** Whether all notebooks ran to their end. */
  readonly ok: boolean;
  readonly results: Results;
  /** One line for each that failed: file, cell, excerpt, cause. */
  readonly failures: readonly string[];
}

/**
 * Runs notebooks. One that fails still gets its report, up to the failing cell, and the others run. Throws InputError for an
 * unknown profile or notebook, a notebook or an older results.json that cannot be read: before anything has run;
 * WorkError when another process writes into the folder.
 */
export async function reproduce(options: ReproduceOptions): Promise<Reproduction> {
  const profile = await readProfile(options.profile);
  const seed = options.seed ?? profile.seed;
  const paths = await selectNotebooks(options.notebooks, options.only);
  for (const path of paths) await readNotebook(path);
  await readResults(options.out);
  const lock = await lockFolder(options.out);
  try {
    return await runAll(paths, options, profile, seed);
  } finally {
    lock.release();
  }
}

async function runAll(
  paths: readonly string[],
  options: ReproduceOptions,
  profile: Profile,
  seed: number,
): Promise<Reproduction> {
  await removeTemporary(options.out);
  let notebooks = await readResults(options.out);
  const provenance = await gatherProvenance(profile.name, seed);
  const failures: string[] = [];
  let results = mergeResults(notebooks, {}, provenance);
  for (const path of paths) {
    const name = basename(path, ".ipynb");
    const execution = await executeNotebookFile(path, join(options.out, `${name}.ipynb`), {
      profile: profile.name,
      seed,
      cellSeconds: profile.cellMinutes * 60,
      totalSeconds: profile.notebookMinutes * 60,
      onCell: (event) => options.onCell?.(name, event),
    });
    const { notebook, failure, seconds } = execution;
    const report = `${name}.html`;
    await writeAtomic(
      join(options.out, report),
      await renderReport({ notebook, name, provenance, seconds, cellSeconds: execution.cellSeconds, failure }),
    );
    const title = notebookTitle(notebook, name);
    const result = makeResult({
      ...{ title, seconds, report, failure, provenance },
      ...{ figures: collectFigures(notebook), approaches: collectApproaches(notebook) },
    });
    if (failure) failures.push(failureLine(path, failure));
    // after each notebook, so that a run that is killed leaves what it has
    notebooks = { ...notebooks, [name]: result };
    results = mergeResults(notebooks, {}, provenance);
    await writeResults(options.out, results);
    await writeAtomic(join(options.out, "index.html"), await renderIndex(results));
    options.onNotebook?.(name, result, failure);
  }
  return { ok: failures.length === 0, results, failures };
}

/** "notebooks/01_data.ipynb: cell 4 (`const x = …`): TypeError: …" */
function failureLine(path: string, { cell, excerpt, cause }: CellFailure): string {
  return cell ? `${path}: cell ${cell} (${excerpt}): ${cause}` : `${path}: ${cause}`;
}

/** The notebooks of a folder in order, or those asked for. Throws InputError when one asked for is not there. */
export async function selectNotebooks(folder: string, only?: readonly string[]): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const entry of Deno.readDir(folder)) {
      if (/^\d\d_.+\.ipynb$/.test(entry.name)) names.push(basename(entry.name, ".ipynb"));
    }
  } catch (error) {
    throw new InputError(`${folder}: expected a folder of notebooks, found ${(error as Error).message}`, {
      cause: error,
    });
  }
  names.sort();
  if (!names.length) throw new InputError(`${folder}: expected notebooks named NN_name.ipynb, found none`);
  for (const one of only ?? []) {
    if (!names.some((name) => matches(name, one))) {
      throw new InputError(`--only: expected some of ${names.join(", ")}, found "${one}"`);
    }
  }
  return names.filter((name) => !only?.length || only.some((one) => matches(name, one)))
    .map((name) => join(folder, `${name}.ipynb`));
}

function matches(name: string, asked: string): boolean {
  return name === asked || name.split("_")[0] === asked.padStart(2, "0");
}
