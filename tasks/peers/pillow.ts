/** Building a dataset beside Pillow doing the same work with as many processes. */

import { join } from "node:path";
import { buildDataset } from "../../lib/data/mod.ts";
import { defaultWorkers, InputError } from "../../lib/runtime/mod.ts";
import { speciesNames } from "../../lib/species/mod.ts";
import type { ComparisonOptions } from "../bench/command.ts";
import { median } from "../bench/data.ts";
import { sampleSource } from "../bench/raw_pictures.ts";
import { type BenchRow, benchRow } from "../bench/row.ts";
import { command, peerPython } from "./python.ts";

const rounds = 3;

export async function comparePillow({ source, images, onProgress }: ComparisonOptions): Promise<BenchRow[]> {
  const python = await peerPython(["pillow==12.0.0"]);
  const sample = await sampleSource(source, images);
  // Pillow reads no SVG.
  const items = (await sample.list()).items.filter((item) => !item.path.endsWith(".svg")).map((item) => ({
    ...item,
    frames: 1,
  }));
  if (items.length === 0) throw new InputError(`${sample.name}: expected pictures, found none`);
  const raster = { name: sample.name, list: () => Promise.resolve({ items, skipped: [] }) };
  const workers = defaultWorkers();
  const ours: number[] = [], theirs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const folder = await Deno.makeTempDir({ prefix: "pokedex-peers-" });
    try {
      const list = join(folder, "files.json");
      await Deno.writeTextFile(list, JSON.stringify(items.map((item) => item.file)));
      const script = join(import.meta.dirname!, "pillow_build.py");
      const out = await command(
        python,
        [script, list, join(folder, "theirs"), String(workers)],
        "expected Pillow to run",
      );
      theirs.push(items.length / Number(out));
      const report = await buildDataset({ source: raster, out: join(folder, "ours"), names: speciesNames, workers });
      ours.push(items.length / report.seconds);
      onProgress({ label: "pillow", done: round + 1, total: rounds, unit: "rounds" });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
  const name = `build, ${items.length} files of ${sample.name.replace(/:.*/, "")}, ${workers} processes`;
  return [benchRow("data", name, "img/s", median(ours), { pillow: median(theirs) })];
}
