/** Verifies a built dataset: everything that its manifest says, and everything that a trainer relies on. */

import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { defaultWorkers, describeError, type ProgressListener, readJson, reason, WorkerPool } from "../runtime/mod.ts";
import { datasetPaths, type ManifestRow, readManifest, splits } from "./manifest.ts";
import { isFingerprint } from "./fingerprint.ts";
import { findCrossSpecies, groupNearDuplicates } from "./near_duplicates.ts";
import { lastDex } from "./source.ts";
import { countSplits, sharesFor, type SplitCounts } from "./splits.ts";
import type { VerifyJob } from "./verify_worker.ts";

/** Something wrong with a dataset. */
export interface Problem {
  /** A short name of the fault, e.g. "image-size". */
  readonly kind: string;
  readonly file: string;
  readonly cause: string;
}

export interface VerifyReport {
  /** True when there is no problem; warnings do not count. */
  readonly ok: boolean;
  /** Species with pictures. */
  readonly classes: number;
  readonly images: number;
  readonly splits: SplitCounts;
  readonly problems: readonly Problem[];
  /** What deserves a look but may be right, e.g. two species with one picture. */
  readonly warnings: readonly Problem[];
}

export interface VerifyOptions {
  /** The data folder, see `datasetPaths`. */
  readonly folder: string;
  /** How many species must have pictures; by default as many as the build had, by `metadata/build.json`. */
  readonly classes?: number;
  readonly workers?: number;
  readonly onProgress?: ProgressListener;
}

const rowsPerJob = 50;

/**
 * Checks a dataset and lists what is wrong, with file and cause: number of classes, names of splits, shares of every
 * species, size and decodability of every picture, format and class of every label, pictures and labels in pairs,
 * groups in one split only, no near-duplicate across splits, manifest and disk in agreement, data.yaml.
 * Throws InputError when there is no readable manifest to begin with.
 */
export async function verifyDataset({
  folder,
  classes,
  workers = defaultWorkers(),
  onProgress = () => {},
}: VerifyOptions): Promise<VerifyReport> {
  const paths = datasetPaths(folder);
  const rows = await readManifest(paths.manifest);
  const problems: Problem[] = [
    ...checkRows(rows, paths.manifest),
    ...checkClasses(rows, classes ?? await builtClasses(paths.metadata), paths.manifest),
    ...checkShares(rows, paths.manifest),
    ...checkLeaks(rows, paths.manifest),
    ...await checkDataYaml(paths.dataYaml),
    ...await checkFolders(rows, paths),
  ];
  using pool = new WorkerPool<VerifyJob, Problem[]>(new URL("./verify_worker.ts", import.meta.url), {
    size: workers,
    name: "verify",
  });
  const jobs = Array.from({ length: Math.ceil(rows.length / rowsPerJob) }, (_, index): VerifyJob => ({
    folder,
    rows: rows.slice(index * rowsPerJob, (index + 1) * rowsPerJob),
  }));
  let done = 0;
  for await (const found of pool.map(jobs)) {
    problems.push(...found);
    done = Math.min(rows.length, done + rowsPerJob);
    onProgress({ label: "verify", done, total: rows.length, unit: "images" });
  }
  const comparable = rows.filter((row) => isFingerprint(row.fingerprint));
  const warnings = findCrossSpecies(comparable).map(({ a, b, score }): Problem => ({
    kind: "cross-species",
    file: a,
    cause: `looks like ${b} of another species (${score} bits apart): one label may be wrong`,
  }));
  return {
    ok: problems.length === 0,
    classes: new Set(rows.map((row) => row.dex)).size,
    images: rows.length,
    splits: countSplits(rows),
    problems,
    warnings,
  };
}

/** Each row by itself, and no two with one id. */
function checkRows(rows: readonly ManifestRow[], file: string): Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  const fault = (row: ManifestRow, cause: string) =>
    problems.push({ kind: "manifest-row", file, cause: `${row.id}: ${cause}` });
  for (const row of rows) {
    if (seen.has(row.id)) fault(row, "expected an id once, found it again");
    seen.add(row.id);
    if (row.dex > lastDex) fault(row, `expected a dex number 1 … ${lastDex}, found ${row.dex}`);
    if (row.classId !== row.dex - 1) fault(row, `expected class ${row.dex - 1}, found ${row.classId}`);
    if (Number(row.id.slice(0, 4)) !== row.dex) fault(row, `expected an id that begins with ${row.dex}`);
    if (!isFingerprint(row.fingerprint)) fault(row, `expected a fingerprint, found "${row.fingerprint}"`);
    if (!new RegExp(`^images/${row.id}\\.(webp|png|jpg)$`).test(row.image)) {
      fault(row, `expected images/${row.id}.webp, .png or .jpg, found ${row.image}`);
    }
  }
  return problems;
}

/** The number of species with pictures when the dataset was built; all of them when that is not known. */
async function builtClasses(metadata: string): Promise<number> {
  try {
    return z.object({ classes: z.int() }).parse(await readJson(join(metadata, "build.json"))).classes;
  } catch {
    return lastDex;
  }
}

function checkClasses(rows: readonly ManifestRow[], expected: number, file: string): Problem[] {
  const present = new Set(rows.map((row) => row.dex));
  if (present.size === expected) return [];
  const missing = Array.from({ length: lastDex }, (_, index) => index + 1).filter((dex) => !present.has(dex));
  const which = missing.length <= 10 ? missing.join(", ") : `${missing.slice(0, 10).join(", ")}, …`;
  return [{
    kind: "class-count",
    file,
    cause: `expected ${expected} classes, found ${present.size}; without pictures: ${which || "none"}`,
  }];
}

/**
 * A species' counts may miss its shares by what whole groups force: three groups of k must be split k / k / k where
 * 2.1 k would be for train, hence a slack of 1.25 times the largest group. A split may be empty only when there are too
 * few groups.
 */
function checkShares(rows: readonly ManifestRow[], file: string): Problem[] {
  const problems: Problem[] = [];
  for (const [dex, members] of Map.groupBy(rows, (row) => row.dex)) {
    const sizes = [...Map.groupBy(members, (row) => row.group).values()].map((group) => group.length);
    const counts = countSplits(members);
    const shares = sharesFor(sizes.length);
    const slack = 1.25 * Math.max(...sizes);
    for (const split of splits) {
      const target = shares[split] * members.length;
      const empty = shares[split] > 0 && counts[split] === 0;
      if (!empty && Math.abs(counts[split] - target) <= slack) continue;
      const cause = `species ${dex}: expected about ${target.toFixed(1)} of ${members.length} pictures in ${split}, ` +
        `found ${counts[split]}`;
      problems.push({ kind: "split-share", file, cause });
    }
  }
  return problems;
}

/** Groups and near-duplicates that lie in two splits. */
function checkLeaks(rows: readonly ManifestRow[], file: string): Problem[] {
  const problems: Problem[] = [];
  for (const [group, members] of Map.groupBy(rows, (row) => row.group)) {
    const found = new Set(members.map((row) => row.split));
    if (found.size > 1) {
      problems.push({
        kind: "group-divided",
        file,
        cause: `${group}: expected one split, found ${[...found].join(" and ")} (${
          members.map((row) => row.id).join(", ")
        })`,
      });
    }
    if (new Set(members.map((row) => row.dex)).size > 1) {
      problems.push({ kind: "group-mixed", file, cause: `${group}: expected pictures of one species, found several` });
    }
  }
  const comparable = rows.filter((row) => isFingerprint(row.fingerprint));
  const near = groupNearDuplicates(comparable.map(({ id, dex, fingerprint }) => ({ id, dex, fingerprint })));
  for (const members of Map.groupBy(comparable, (row) => near.get(row.id)!).values()) {
    const groups = new Set(members.map((row) => row.group));
    const found = new Set(members.map((row) => row.split));
    // A divided group has been named above.
    if (found.size > 1 && groups.size > 1) {
      const ids = members.map((row) => `${row.id} in ${row.split}`).join(", ");
      problems.push({ kind: "near-duplicate", file, cause: `expected near-duplicates in one split, found ${ids}` });
    }
  }
  return problems;
}

const dataYamlSchema = z.object({
  train: z.literal("images/train"),
  val: z.literal("images/validation"),
  test: z.literal("images/test"),
  nc: z.literal(lastDex),
  names: z.record(z.string(), z.string().min(1)).refine(
    (names) => Object.keys(names).length === lastDex && Object.keys(names).every((key, index) => key === String(index)),
    `a name for each of the classes 0 … ${lastDex - 1}`,
  ),
});

async function checkDataYaml(file: string): Promise<Problem[]> {
  let text: string;
  try {
    text = await Deno.readTextFile(file);
  } catch (error) {
    return [{ kind: "data-yaml", file, cause: `expected a file, found ${reason(error)}` }];
  }
  try {
    const parsed = dataYamlSchema.safeParse(parse(text));
    const issue = parsed.error?.issues[0];
    return issue ? [{ kind: "data-yaml", file, cause: `${issue.path.join(".") || "file"}: ${issue.message}` }] : [];
  } catch (error) {
    return [{ kind: "data-yaml", file, cause: `expected YAML, found: ${describeError(error, 200)}` }];
  }
}

/** Names on the disk that the manifest does not know (missing ones are found row by row), and pairs. */
async function checkFolders(rows: readonly ManifestRow[], paths: ReturnType<typeof datasetPaths>): Promise<Problem[]> {
  const problems: Problem[] = [];
  const known = new Set(rows.flatMap((row) => [
    paths.yoloImage(row),
    paths.yoloLabel(row),
    join(paths.processed, row.image),
  ]));
  const extra = (file: string) =>
    problems.push({ kind: "unlisted", file, cause: "expected in the manifest, not found" });
  const names: Record<"images" | "labels", Set<string>> = { images: new Set(), labels: new Set() };
  for (const kind of ["images", "labels"] as const) {
    const folder = join(paths.yolo, kind);
    for (const split of await list(folder, problems)) {
      if (!(splits as readonly string[]).includes(split)) {
        const cause = `expected ${splits.join(", ")}, found "${split}"`;
        problems.push({ kind: "split-name", file: join(folder, split), cause });
        continue;
      }
      for (const name of await list(join(folder, split), problems)) {
        const file = join(folder, split, name);
        if (!known.has(file)) extra(file);
        names[kind].add(`${split}/${name.replace(/\.[^.]*$/, "")}`);
      }
    }
  }
  for (const [kind, other] of [["images", "labels"], ["labels", "images"]] as const) {
    for (const name of names[kind]) {
      if (names[other].has(name)) continue;
      const file = join(paths.yolo, kind, `${name}.${kind === "images" ? "jpg" : "txt"}`);
      problems.push({ kind: "pair", file, cause: `expected a file of the same name in ${other}, found none` });
    }
  }
  for (const name of await list(paths.images, problems)) {
    if (!known.has(join(paths.images, name))) extra(join(paths.images, name));
  }
  return problems;
}

async function list(folder: string, problems: Problem[]): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const entry of Deno.readDir(folder)) names.push(entry.name);
  } catch (error) {
    problems.push({ kind: "folder", file: folder, cause: `expected a folder, found ${reason(error)}` });
  }
  return names.sort();
}
