/** Tests of analyze.ts. */

import assert from "node:assert/strict";
import { join } from "node:path";
import sharp from "sharp";
import { buildDataset, openSource } from "../../lib/data/mod.ts";
import { Random } from "../../lib/runtime/mod.ts";
import { speciesNames } from "../../lib/species/mod.ts";

/** Builds a dataset of three species with four drawn pictures each. */
async function buildSmall(folder: string): Promise<void> {
  for (const dex of ["0001", "0002", "0003"]) {
    await Deno.mkdir(join(folder, "raw", dex), { recursive: true });
    for (let n = 0; n < 4; n++) {
      const random = Random.seeded(dex, n);
      const shapes = Array.from(
        { length: 8 },
        () =>
          `<rect x="${random.int(60)}" y="${random.int(60)}" width="${4 + random.int(30)}" height="${
            4 + random.int(30)
          }" ` +
          `fill="hsl(${random.int(360)} 80% 50%)"/>`,
      ).join("");
      await sharp(new TextEncoder().encode(`<svg width="80" height="80">${shapes}</svg>`)).png()
        .toFile(join(folder, "raw", dex, `drawn-${n}.png`));
    }
  }
  const source = await openSource(`folder:${join(folder, "raw")}`);
  await buildDataset({ source, out: join(folder, "data"), names: speciesNames, workers: 1 });
}

async function analyze(...args: string[]) {
  const task = join(import.meta.dirname!, "analyze.ts");
  const output = await new Deno.Command(Deno.execPath(), { args: ["run", "-A", "--no-check", task, ...args] }).output();
  const [stdout, stderr] = [output.stdout, output.stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code: output.code, stdout: stdout!, stderr: stderr! };
}

Deno.test("data analyze --json prints one document with the counts and the colours, and draws a sheet", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_analyze_" });
  try {
    await buildSmall(folder);
    const data = join(folder, "data"), sheet = join(folder, "sheet.webp");
    const { code, stdout, stderr } = await analyze("--data", data, "--json", "--sheet", sheet);
    assert.equal(code, 0, stderr);
    const { images, classes, splits, sources, colours } = JSON.parse(stdout);
    assert.deepEqual([images, classes], [12, 3]);
    assert.equal(splits.train + splits.validation + splits.test, 12);
    assert.deepEqual(sources.map(({ kind, images }: { kind: string; images: number }) => [kind, images]), [[
      "drawn",
      12,
    ]]);
    assert.equal(colours.images, 12);
    assert.match(stderr, /12 images of 3 species/);
    assert.equal((await sharp(sheet).metadata()).width, 3 * 52 + 4);
    const quick = await analyze("--data", data, "--json", "--no-colours");
    assert.equal(JSON.parse(quick.stdout).colours, undefined);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("data analyze without a dataset is one line that says how to make one", async () => {
  const { code, stdout, stderr } = await analyze("--data", "/nowhere");
  assert.deepEqual([code, stdout], [2, ""]);
  assert.match(
    stderr,
    /^error: \/nowhere\/processed\/yolo_dataset\/manifest.jsonl: expected a manifest, found nothing there; run "deno task data build"\n$/,
  );
});
