/** `bench data`: building a dataset beside a bare sharp loop over the same files with as many workers. */

import { join } from "node:path";
import { buildDataset, type RawSource } from "../../lib/data/mod.ts";
import { defaultWorkers, WorkerPool } from "../../lib/runtime/mod.ts";
import { speciesNames } from "../../lib/species/mod.ts";
import type { BareJob } from "./bare_sharp_worker.ts";
import type { ComparisonOptions } from "./command.ts";
import { sampleSource } from "./raw_pictures.ts";
import { type BenchRow, benchRow } from "./row.ts";

/** Ours and the loop take turns, so that a machine that is busy for a while is so for both. */
const rounds = 3;

export async function benchData({ source, images, onProgress }: ComparisonOptions): Promise<BenchRow[]> {
  const sample = await sampleSource(source, images);
  const count = (await sample.list()).items.length;
  const workers = defaultWorkers();
  const builds: number[] = [], bare: number[] = [], again: number[] = [];
  onProgress({ label: "bench build", done: 0, total: rounds, unit: "rounds" });
  for (let round = 0; round < rounds; round++) {
    const folder = await Deno.makeTempDir({ prefix: "pokedex-bench-" });
    try {
      bare.push(count / await bareSeconds(sample, join(folder, "bare"), workers));
      const build = () => buildDataset({ source: sample, out: join(folder, "ours"), names: speciesNames, workers });
      builds.push(count / (await build()).seconds);
      again.push(count / (await build()).seconds);
      onProgress({ label: "bench build", done: round + 1, total: rounds, unit: "rounds" });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
  const name = `${count} files of ${sample.name.replace(/:.*/, "")}, ${workers} workers`;
  return [
    benchRow("data", `build, ${name}`, "img/s", median(builds), { "sharp-loop": median(bare) }),
    benchRow("data", `build again, nothing changed, ${name}`, "img/s", median(again), {}),
  ];
}

/** Seconds that the bare loop takes. */
export async function bareSeconds(source: RawSource, folder: string, workers: number): Promise<number> {
  await Deno.mkdir(folder, { recursive: true });
  const { items } = await source.list();
  const started = performance.now();
  using pool = new WorkerPool<BareJob, number>(new URL("./bare_sharp_worker.ts", import.meta.url), {
    size: workers,
    name: "bare sharp",
  });
  const jobs = Array.from({ length: Math.ceil(items.length / 8) }, (_, k): BareJob => {
    const files = items.slice(k * 8, k * 8 + 8).map((item) => item.file);
    return { files, targets: files.map((_, index) => join(folder, `${k * 8 + index}.jpg`)) };
  });
  for await (const _ of pool.map(jobs)) { /* only the time counts */ }
  return (performance.now() - started) / 1000;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
