/** Tests of cache.ts, decode.ts and record.ts. */

import assert from "node:assert/strict";
import { join } from "node:path";
import sharp from "sharp";
import { InputError, lockFolder, sha256, WorkError } from "../../runtime/mod.ts";
import { datasetPaths } from "../manifest.ts";
import { openCache } from "./cache.ts";
import { decodePicture } from "./decode.ts";
import { makeDataset } from "./fixture.ts";

Deno.test("a cached picture has the pixels that sharp decodes, alpha included", async () => {
  await using data = await makeDataset();
  using cache = await openCache(data.rows, { ...data, size: 64, workers: 1 });
  assert.equal(cache.decoded, data.rows.length);
  for (const row of data.rows) {
    const picture = cache.read(row);
    const expected = await sharp(join(data.dataFolder, "processed", row.image)).ensureAlpha().raw().toBuffer();
    assert.deepEqual([picture.width, picture.height, picture.opaque], [row.width, row.height, !row.transparent]);
    assert.deepEqual([...picture.data], [...expected], row.id);
  }
});

Deno.test("a larger picture is shrunk into the size, aspect kept; its content's rectangle is what is not transparent", async () => {
  await using data = await makeDataset({ classes: 1, perClass: 1 });
  const path = join(data.dataFolder, "bar.png");
  const bar = { create: { width: 40, height: 20, channels: 4 as const, background: "#ff0000" } };
  const bytes = await sharp({ create: { width: 200, height: 100, channels: 4, background: "#00000000" } })
    .composite([{ input: await sharp(bar).png().toBuffer(), left: 60, top: 40 }]).png().toBuffer();
  await Deno.writeFile(path, bytes);
  const picture = await decodePicture(path, sha256(bytes), 50);
  assert.deepEqual([picture.width, picture.height, picture.channels], [50, 25, 4]);
  for (const [index, value] of [15, 10, 25, 15].entries()) {
    assert.ok(Math.abs(picture.content[index]! - value) <= 2, `content ${picture.content}`);
  }
});

Deno.test("sixteen bits, greys and palettes come out as eight-bit RGB", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const grey = sharp({ create: { width: 8, height: 8, channels: 3, background: { r: 80, g: 80, b: 80 } } });
    const files = {
      "deep.png": await grey.clone().toColourspace("rgb16").png().toBuffer(),
      "grey.png": await grey.clone().toColourspace("b-w").png().toBuffer(),
      "palette.png": await grey.clone().png({ palette: true }).toBuffer(),
    };
    for (const [name, bytes] of Object.entries(files)) {
      await Deno.writeFile(join(folder, name), bytes);
      const picture = await decodePicture(join(folder, name), sha256(bytes), 8);
      assert.deepEqual([picture.channels, picture.pixels.length], [3, 192], name);
      assert.ok(picture.pixels.every((value) => Math.abs(value - 80) <= 1), `${name}: ${picture.pixels.slice(0, 3)}`);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a second opening decodes nothing, also for some of the rows", async () => {
  await using data = await makeDataset();
  (await openCache(data.rows, { ...data, size: 32, workers: 1 }))[Symbol.dispose]();
  using whole = await openCache(data.rows, { ...data, size: 32, workers: 1 });
  assert.equal(whole.decoded, 0);
  using some = await openCache(data.rows.slice(3, 5), { ...data, size: 32, workers: 1 });
  assert.equal(some.decoded, 0);
  using other = await openCache(data.rows, { ...data, size: 16, workers: 1 });
  assert.equal(other.decoded, data.rows.length, "another size is another cache");
});

Deno.test("a changed picture is decoded again and the others are taken over", async () => {
  await using data = await makeDataset();
  (await openCache(data.rows, { ...data, size: 32, workers: 1 }))[Symbol.dispose]();
  const bytes = await sharp({ create: { width: 9, height: 9, channels: 3, background: "#123456" } }).png().toBuffer();
  await Deno.writeFile(join(data.dataFolder, "processed", data.rows[4]!.image), bytes);
  const rows = data.rows.map((row, index) => index === 4 ? { ...row, imageSha256: sha256(bytes) } : row);
  using cache = await openCache(rows, { ...data, size: 32, workers: 1 });
  assert.equal(cache.decoded, 1);
  assert.deepEqual([...cache.read(rows[4]!).data.subarray(0, 4)], [0x12, 0x34, 0x56, 255]);
  assert.throws(() => cache.read(data.rows[4]!), /expected picture 0002_001, found none/);
});

Deno.test("a cache that is cut off, damaged or something else is mended to the same bytes", async () => {
  await using data = await makeDataset();
  const open = () => openCache(data.rows, { ...data, size: 32, workers: 1 });
  const first = await open();
  first[Symbol.dispose]();
  const good = await Deno.readFile(first.path);
  const harms: [string, (bytes: Uint8Array) => Uint8Array, number][] = [
    ["cut in a picture", (bytes) => bytes.slice(0, -7), 1],
    ["one bit in the last picture", (bytes) => (bytes[bytes.length - 9]! ^= 4, bytes), 1],
    ["one bit in the first record's head", (bytes) => (bytes[20]! ^= 1, bytes), data.rows.length],
    ["another kind of file", () => new TextEncoder().encode("hello, I am no cache at all"), data.rows.length],
    ["empty", () => new Uint8Array(), data.rows.length],
  ];
  for (const [harm, change, decoded] of harms) {
    await Deno.writeFile(first.path, change(good.slice()));
    using cache = await open();
    assert.equal(cache.decoded, decoded, harm);
    assert.deepEqual(await Deno.readFile(first.path), good, harm);
  }
});

Deno.test("a build that was killed goes on behind its last whole record, with the same file in the end", async () => {
  await using data = await makeDataset();
  const open = () => openCache(data.rows, { ...data, size: 32, workers: 1 });
  const first = await open();
  first[Symbol.dispose]();
  const good = await Deno.readFile(first.path);
  for (const share of [0.001, 0.1, 0.37, 0.8, 0.999]) {
    await Deno.remove(first.path);
    await Deno.writeFile(`${first.path}.part`, good.slice(0, Math.floor(share * good.length)));
    using cache = await open();
    if (share > 0.5) assert.ok(cache.decoded < data.rows.length / 2, `${cache.decoded} decoded after ${share}`);
    assert.deepEqual(await Deno.readFile(first.path), good);
  }
});

Deno.test("a stored picture that is missing, changed or broken is named", async () => {
  await using data = await makeDataset();
  const row = data.rows[2]!, path = join(data.dataFolder, "processed", row.image);
  const open = (rows = data.rows) => openCache(rows, { ...data, size: 32, workers: 1 });
  const fails = (rows: typeof data.rows, pattern: RegExp) =>
    assert.rejects(open(rows), (error: Error) => error.message.includes(row.image) && pattern.test(error.message));
  const bytes = await Deno.readFile(path);
  await Deno.writeFile(path, bytes.slice(0, 60));
  await fails(data.rows, /expected the picture that the manifest names/);
  const cut = data.rows.with(2, { ...row, imageSha256: sha256(bytes.slice(0, 60)) });
  await fails(cut, /expected a picture, found/);
  await Deno.writeFile(path, new Uint8Array());
  await fails(data.rows.with(2, { ...row, imageSha256: sha256(new Uint8Array()) }), /expected a picture, found/);
  await Deno.remove(path);
  await fails(data.rows, /expected a stored picture, found nothing there/);
  await Deno.writeFile(path, bytes);
  (await open())[Symbol.dispose]();
});

Deno.test("openCache() refuses sizes and rows that make no sense, and a second writer", async () => {
  await using data = await makeDataset({ classes: 1, perClass: 2 });
  await assert.rejects(openCache([], { ...data, size: 32 }), InputError);
  for (const size of [0, 2.5, 5000]) {
    await assert.rejects(openCache(data.rows, { ...data, size }), /expected a size of 1 … 4096 pixels/);
  }
  // A lock of another process: held by a child until it is told to end.
  const { cache } = datasetPaths(data.dataFolder);
  const held = await lockFolder(cache);
  held.release();
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `const f = await Deno.open(Deno.args[0], {write: true}); await f.lock(true); console.log("locked"); await Deno.stdin.read(new Uint8Array(1));`,
      "--",
      join(cache, ".lock"),
    ],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  await assert.rejects(openCache(data.rows, { ...data, size: 32, workers: 1 }), WorkError);
  await child.stdin.close();
  await reader.cancel();
  await child.status;
});
