/** `reports/results.json`: what every notebook found, for machines. */

import { join } from "node:path";
import { z } from "zod";
import { exists, InputError, readJson, writeAtomic } from "../runtime/mod.ts";
import { approachSchema, type RecordedApproach } from "./leaderboard.ts";
import type { KeyFigure } from "./key_figure.ts";
import type { Provenance } from "./provenance.ts";

const figureSchema = z.object({
  name: z.string(),
  value: z.number(),
  unit: z.string().optional(),
  n: z.number().optional(),
  ci95: z.tuple([z.number(), z.number()]).optional(),
  split: z.string().optional(),
  decimals: z.number(),
});

const notebookSchema = z.object({
  status: z.enum(["ok", "failed"]),
  title: z.string(),
  /** Time of the whole notebook. */
  seconds: z.number(),
  /** The run that made the entry: notebooks run at different times stand side by side. */
  profile: z.string(),
  seed: z.number(),
  commit: z.string().nullable(),
  date: z.string(),
  report: z.string(),
  /** The failing cell (counted from 1) and its one-line cause. */
  failure: z.object({ cell: z.number(), cause: z.string() }).optional(),
  figures: z.array(figureSchema),
  /** Rows of the leaderboard; older files have none. */
  approaches: z.array(approachSchema).default([]),
});

const resultsSchema = z.object({
  profile: z.string(),
  seed: z.number(),
  commit: z.string().nullable(),
  versions: z.object({ library: z.string(), deno: z.string(), packages: z.record(z.string(), z.string()) }),
  machine: z.string(),
  date: z.string(),
  notebooks: z.record(z.string(), notebookSchema),
});

export type NotebookResult = z.output<typeof notebookSchema>;
/** The whole file; what stands outside `notebooks` describes the last run. */
export type Results = z.output<typeof resultsSchema>;

/** Reads the results of earlier runs; nothing there is an empty start. Throws InputError for a file of another form. */
export async function readResults(folder: string): Promise<Readonly<Record<string, NotebookResult>>> {
  const path = join(folder, "results.json");
  if (!await exists(path)) return {};
  const parsed = resultsSchema.safeParse(await readJson(path));
  if (parsed.success) return parsed.data.notebooks;
  const { path: place, message } = parsed.error.issues[0]!;
  throw new InputError(
    `${path}: ${
      place.join(".") || "the file"
    }: expected results of earlier runs (remove the file to start anew), found: ${message}`,
  );
}

/** Joins earlier entries with new ones (new ones win), in the order of the names. */
export function mergeResults(
  earlier: Readonly<Record<string, NotebookResult>>,
  fresh: Readonly<Record<string, NotebookResult>>,
  provenance: Provenance,
): Results {
  const notebooks = Object.entries({ ...earlier, ...fresh }).sort(([a], [b]) => a < b ? -1 : 1);
  return { ...provenance, notebooks: Object.fromEntries(notebooks) };
}

/** Writes results.json whole. */
export async function writeResults(folder: string, results: Results): Promise<void> {
  await writeAtomic(join(folder, "results.json"), JSON.stringify(results, null, 2) + "\n");
}

/** The entry of one notebook. */
export function makeResult(
  entry: {
    readonly title: string;
    readonly seconds: number;
    readonly report: string;
    readonly failure?: { readonly cell: number; readonly cause: string } | undefined;
    readonly figures: readonly KeyFigure[];
    readonly approaches?: readonly RecordedApproach[] | undefined;
    readonly provenance: Provenance;
  },
): NotebookResult {
  const { title, seconds, report, failure, figures, approaches = [], provenance: { profile, seed, commit, date } } =
    entry;
  return {
    status: failure ? "failed" : "ok",
    title,
    seconds: Math.round(seconds * 10) / 10,
    ...{ profile, seed, commit, date, report },
    ...(failure ? { failure: { cell: failure.cell, cause: failure.cause } } : {}),
    figures: figureSchema.array().parse(figures),
    approaches: approachSchema.array().parse(approaches),
  };
}
