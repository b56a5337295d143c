/** Tests of analyze.ts. */

import assert from "node:assert/strict";
import { join } from "node:path";
import sharp from "sharp";
import { makeDataset } from "../../lib/data/loader/fixture.ts";

async function analyze(...args: string[]) {
  const task = new URL("./analyze.ts", import.meta.url).pathname;
  const output = await new Deno.Command(Deno.execPath(), { args: ["run", "-A", "--no-check", task, ...args] }).output();
  const [stdout, stderr] = [output.stdout, output.stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code: output.code, stdout: stdout!, stderr: stderr! };
}

Deno.test("data analyze --json prints one document with the counts and the colours, and draws a sheet", async () => {
  await using data = await makeDataset({ classes: 3, perClass: 4 });
  const sheet = join(data.dataFolder, "sheet.webp");
  const { code, stdout, stderr } = await analyze("--data", data.dataFolder, "--json", "--sheet", sheet);
  assert.equal(code, 0, stderr);
  const { images, classes, splits, colours } = JSON.parse(stdout);
  assert.deepEqual([images, classes, splits], [12, 3, { train: 9, validation: 0, test: 3 }]);
  assert.equal(colours.images, 12);
  assert.match(stderr, /12 images of 3 species/);
  assert.equal((await sharp(sheet).metadata()).width, 3 * 52 + 4);
  const quick = await analyze("--data", data.dataFolder, "--json", "--no-colours");
  assert.equal(JSON.parse(quick.stdout).colours, undefined);
});

Deno.test("data analyze without a dataset is one line that says how to make one", async () => {
  const { code, stdout, stderr } = await analyze("--data", "/nowhere");
  assert.deepEqual([code, stdout], [2, ""]);
  assert.match(
    stderr,
    /^error: \/nowhere\/processed\/yolo_dataset\/manifest.jsonl: expected a manifest, found nothing there; run "deno task data build"\n$/,
  );
});
