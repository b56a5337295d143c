/** Tests of analyze.ts, colour_statistics.ts and contact_sheet.ts. */

import assert from "node:assert/strict";
import sharp from "sharp";
import { analyzeDataset, pictureKind } from "./analyze.ts";
import { colourStatistics, hueAndChroma } from "./colour_statistics.ts";
import { contactSheet, pictureSheet } from "./contact_sheet.ts";
import { openCache } from "./loader/mod.ts";
import { makeDataset } from "./loader/fixture.ts";
import type { ManifestRow } from "./manifest.ts";

function row(dex: number, n: number, change: Partial<ManifestRow> = {}): ManifestRow {
  const id = `${String(dex).padStart(4, "0")}_${String(n).padStart(3, "0")}`, hash = "0".repeat(64);
  return {
    ...{ id, dex, classId: dex - 1, split: "train", group: id, source: "sprites", path: `a/${n}.png`, sha256: hash },
    ...{ image: `images/${id}.webp`, width: 10, height: 20, transparent: true, imageSha256: hash, jpegSha256: hash },
    ...{ fingerprint: "" },
    ...change,
  };
}

Deno.test("the analysis counts classes, splits, sources, sizes and groups", () => {
  const rows = [
    row(2, 1, { group: "x" }),
    row(2, 2, { group: "x", split: "test", width: 70 }),
    row(2, 3, { group: "y", split: "validation", source: "folder:p", path: "0002/web-6c6445c0.webp" }),
    row(1, 1, { width: 31, height: 5, transparent: false }),
  ];
  const analysis = analyzeDataset(rows);
  assert.deepEqual([analysis.images, analysis.classes], [4, 2]);
  assert.deepEqual(analysis.splits, { train: 2, validation: 1, test: 1 });
  assert.deepEqual(analysis.perClass, [
    { dex: 1, classId: 0, images: 1, groups: 1, train: 1, validation: 0, test: 0 },
    { dex: 2, classId: 1, images: 3, groups: 2, train: 1, validation: 1, test: 1 },
  ]);
  assert.deepEqual(analysis.sources, [
    { source: "sprites", kind: "a", images: 3, train: 2, validation: 0, test: 1 },
    { source: "folder:p", kind: "web", images: 1, train: 0, validation: 1, test: 0 },
  ]);
  const { effectiveClasses, ...balance } = analysis.balance;
  assert.deepEqual(balance, { smallest: 1, median: 2, largest: 3, mean: 2 });
  // exp(H(1/4, 3/4)) = 4 / 3^(3/4)
  assert.ok(Math.abs(effectiveClasses - 4 / 3 ** 0.75) < 1e-12);
  assert.deepEqual(analysis.sizes, {
    smallest: [10, 5],
    median: [20.5, 20],
    largest: [70, 20],
    longerSide: { step: 32, counts: [3, 0, 1] },
    transparent: 3,
  });
  assert.deepEqual(analysis.groups, {
    count: 3,
    sizes: [2, 1],
    imagesWithNearDuplicate: 2,
    largest: [{ group: "x", dex: 2, images: 2 }],
  });
  assert.throws(() => analyzeDataset([]), RangeError);
});

Deno.test("equal classes are as varied as their number", () => {
  const rows = [1, 2, 3, 4, 5].flatMap((dex) => [row(dex, 1), row(dex, 2)]);
  assert.ok(Math.abs(analyzeDataset(rows).balance.effectiveClasses - 5) < 1e-12);
});

Deno.test("pictureKind() keeps what tells kinds apart and drops numbers, hashes and the species' name", () => {
  const kinds: [number, string, string][] = [
    [25, "0025/web-6c6445c0.webp", "web"],
    [25, "0025/web-eacfeafe.webp", "web"],
    [25, "0025/black-white-shiny.webp", "black-white-shiny"],
    [25, "pokemon/versions/generation-v/shiny/25.gif", "pokemon/versions/generation-v/shiny"],
    [122, "gen8/regular/mr-mime-galar.png", "gen8/regular/galar"],
    [7, "0007/12.png", "(unnamed)"],
    [7, "0007/face.png", "face"],
    [7, "a.b/c_003.png", "a.b/c"],
  ];
  for (const [dex, path, kind] of kinds) assert.equal(pictureKind({ path, dex }), kind, path);
});

Deno.test("hueAndChroma() gives the hues that CSS names", () => {
  const colours: [number, number, number, number, number][] = [
    [255, 0, 0, 0, 255],
    [255, 255, 0, 60, 255],
    [0, 128, 0, 120, 128],
    [0, 255, 255, 180, 255],
    [0, 0, 255, 240, 255],
    [255, 0, 255, 300, 255],
    [255, 165, 0, 38.8, 255], // orange
    [90, 90, 90, 0, 0],
  ];
  for (const [red, green, blue, hue, chroma] of colours) {
    const found = hueAndChroma(red, green, blue);
    assert.ok(Math.abs(found[0] - hue) < 0.05 && found[1] === chroma, `${[red, green, blue]}: ${found}`);
  }
});

Deno.test("colour statistics agree with sharp's own on opaque pictures and ignore what is transparent", async () => {
  await using data = await makeDataset({ classes: 2, perClass: 4 });
  using cache = await openCache(data.rows, { ...data, size: 64, workers: 1 });
  const opaque = data.rows.filter(({ transparent }) => !transparent);
  const ours = colourStatistics(cache, opaque);
  const each = await Promise.all(opaque.map(({ image }) => sharp(`${data.dataFolder}/processed/${image}`).stats()));
  for (let c = 0; c < 3; c++) {
    const mean = each.reduce((sum, { channels }) => sum + channels[c]!.mean / 255, 0) / each.length;
    const square = each.reduce((sum, { channels: { [c]: channel } }) =>
      sum + (channel!.stdev ** 2 + channel!.mean ** 2) / 255 ** 2, 0) / each.length;
    assert.ok(Math.abs(ours.mean[c]! - mean) < 1e-6);
    // sharp divides by n - 1.
    assert.ok(Math.abs(ours.std[c]! - Math.sqrt(square - mean ** 2)) < 1e-3);
    assert.ok(
      Math.abs(
        ours.histograms[c]!.reduce((sum, share) =>
          sum + share
        ) - 1,
      ) < 1e-9,
    );
  }
  // The transparent pictures show nothing but the disc: hsl(100 90% 50%) for species 1, hsl(200 90% 50%) for species 2.
  const clear = colourStatistics(cache, data.rows.filter(({ transparent }) => transparent));
  assert.ok(clear.hues[10]! + clear.hues[9]! > 0.45 && clear.hues[20]! + clear.hues[19]! > 0.45, `${clear.hues}`);
  const [first] = clear.classColours;
  for (const [c, value] of [89, 242, 13].entries()) {
    assert.ok(Math.abs(first!.colour[c]! - value) < 3, `${first!.colour}`);
  }
});

Deno.test("a contact sheet shows the pictures in rows, on its background", async () => {
  await using data = await makeDataset({ classes: 1, perClass: 5 });
  const bytes = await contactSheet(data.rows, {
    ...data,
    columns: 3,
    side: 20,
    gap: 2,
    background: "#00ff00",
    format: "png",
  });
  const { data: pixels, info } = await sharp(bytes).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  assert.deepEqual([info.width, info.height], [3 * 22 + 2, 2 * 22 + 2]);
  const at = (x: number, y: number) => [...pixels.subarray(3 * (y * info.width + x), 3 * (y * info.width + x) + 3)];
  assert.deepEqual(at(0, 0), [0, 255, 0]);
  // The middle of each of the five pictures is their disc, hsl(100 90% 50%); the sixth place is empty.
  for (let index = 0; index < 5; index++) {
    const [red, green, blue] = at(2 + index % 3 * 22 + 10, 2 + Math.floor(index / 3) * 22 + 10);
    assert.ok(
      Math.abs(red! - 89) < 25 && green! > 215 && green! < 252 && blue! < 45,
      `${index}: ${[red, green, blue]}`,
    );
  }
  assert.deepEqual(at(2 + 2 * 22 + 10, 2 + 22 + 10), [0, 255, 0]);
  using cache = await openCache(data.rows, { ...data, size: 20, workers: 1 });
  const sheet = await pictureSheet(data.rows.map((row) => cache.read(row)), { columns: 5, side: 16, gap: 0 });
  assert.deepEqual(await sharp(sheet).metadata().then(({ width, height, format }) => [width, height, format]), [
    80,
    16,
    "webp",
  ]);
});

Deno.test("a contact sheet of nothing, of too much or of a broken picture is refused with its name", async () => {
  await using data = await makeDataset({ classes: 1, perClass: 1 });
  await assert.rejects(contactSheet([], data), /expected 1 … 4096 pictures, found 0/);
  await Deno.writeTextFile(`${data.dataFolder}/processed/${data.rows[0]!.image}`, "no picture");
  await assert.rejects(contactSheet(data.rows, data), /0001_001.jpg: expected a picture/);
});
