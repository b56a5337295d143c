import assert from "node:assert/strict";
import { join } from "node:path";
import sharp, { type Sharp } from "sharp";
import { readPictureFile, type View } from "../../data/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { tempered } from "../../experiment/mod.ts";
import { readPicture } from "./assets/shared/picture.mjs";
import * as preprocess from "./assets/shared/preprocess.mjs";
import { shrink } from "./assets/web/shrink.mjs";

const folder = await Deno.makeTempDir({ prefix: "pokedex_preprocess_" });
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));

/** A drawing with transparent parts, in one of many formats and sizes. */
async function draw(n: number): Promise<string> {
  const random = Random.seeded("preprocess", n);
  const width = 40 + random.int(n % 4 === 0 ? 900 : 300), height = 40 + random.int(n % 4 === 1 ? 700 : 200);
  const ground = n % 3 === 0 ? `<rect width="100%" height="100%" fill="hsl(${random.int(360)} 40% 60%)"/>` : "";
  const discs = Array.from({ length: 6 }, () => {
    const [x, y, r] = [random.int(width), random.int(height), 3 + random.int(Math.ceil(width / 3))];
    return `<circle cx="${x}" cy="${y}" r="${r}" fill="hsl(${random.int(360)} 80% 50%)" fill-opacity="${
      random.uniform(0.2, 1)
    }"/>`;
  });
  const svg = new TextEncoder().encode(`<svg width="${width}" height="${height}">${ground}${discs.join("")}</svg>`);
  const [ending, image] = [
    ["png", sharp(svg).png()],
    ["webp", sharp(svg).webp({ lossless: true })],
    ["jpg", sharp(svg).flatten({ background: "#fff" }).jpeg()],
    ["png", sharp(svg).grayscale().png()],
    ["jpg", sharp(svg).flatten().jpeg().withMetadata({ orientation: 6 })],
    ["gif", sharp(svg).gif()],
  ][n % 6] as [string, Sharp];
  const path = join(folder, `${n}.${ending}`);
  await image.toFile(path);
  return path;
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  assert.equal(a.length, b.length);
  return a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);
}

const settings = { background: [114, 90, 30] as const, mean: [0.1, 0, 0.2] as const, std: [0.5, 1, 0.25] as const };

Deno.test("a package's preprocessing gives the very planes of the data loader, for every format, view and size", async () => {
  for (let n = 0; n < 48; n++) {
    const path = await draw(n), view: View = n % 2 ? "picture" : "content", size = [32, 80, 224, 61][n % 4]!;
    const { mean, std, background } = settings;
    const { planes } = await readPictureFile(path, { size, view, background, normalisation: { mean, std } });
    assert.equal(
      largestDifference(await readPicture(path, { size, view, ...settings }), planes),
      0,
      `${path} ${view} ${size}`,
    );
  }
});

Deno.test("a picture of exactly the square's size is taken as it is", async () => {
  const path = join(folder, "square.png");
  await sharp({ create: { width: 32, height: 32, channels: 4, background: "#12345680" } }).png().toFile(path);
  const { planes } = await readPictureFile(path, { size: 32, background: [0, 0, 0] });
  const found = await readPicture(path, {
    size: 32,
    view: "picture",
    background: [0, 0, 0],
    mean: [0, 0, 0],
    std: [1, 1, 1],
  });
  assert.deepEqual(found, planes);
});

Deno.test("what is no picture is refused in one line that names the file", async () => {
  const note = join(folder, "note.png"), empty = join(folder, "empty.png"), tiny = join(folder, "tiny.png");
  await Deno.writeTextFile(note, "no picture\nat all");
  await Deno.writeTextFile(empty, "");
  await sharp({ create: { width: 3, height: 3, channels: 3, background: "#fff" } }).png().toFile(tiny);
  const input = { size: 32, view: "picture", ...settings };
  for (
    const [path, message] of [
      [note, /note\.png: expected a picture, found .*unsupported/],
      [empty, /empty\.png: expected a picture, found an empty file/],
      [tiny, /tiny\.png: expected sides from 8 px .*, found 3 x 3/],
      [join(folder, "none.png"), /none\.png: expected a picture, found nothing there/],
    ] as const
  ) {
    await assert.rejects(
      readPicture(path, input),
      (error: Error) => message.test(error.message) && !/\n/.test(error.message),
    );
  }
});

Deno.test("the browser's shrinking is that of sharp to half a level in the mean and a few at edges, where a pixel can be seen", async () => {
  for (const [width, height, longest] of [[400, 300, 160], [333, 97, 64], [200, 416, 199]] as const) {
    const random = Random.seeded("shrink", width);
    const discs = Array.from(
      { length: 9 },
      () =>
        `<circle cx="${random.int(width)}" cy="${random.int(height)}" r="${9 + random.int(60)}" fill="hsl(${
          random.int(360)
        } 80% 50%)"/>`,
    );
    const svg = new TextEncoder().encode(`<svg width="${width}" height="${height}">${discs.join("")}</svg>`);
    const { data, info } = await sharp(svg).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
    const expected = await sharp(data, { raw: info }).resize(longest, longest, { fit: "inside" }).raw().toBuffer({
      resolveWithObject: true,
    });
    const found = shrink({ width, height, data: new Uint8ClampedArray(data) }, longest);
    assert.deepEqual([found.width, found.height], [expected.info.width, expected.info.height]);
    let most = 0, sum = 0, seen = 0;
    for (let at = 0; at < found.data.length; at++) {
      if (expected.data[at | 3]! <= 64) continue;
      const difference = Math.abs(found.data[at]! - expected.data[at]!);
      most = Math.max(most, difference);
      sum += difference;
      seen++;
    }
    assert.ok(seen > 1000 && most <= 16 && sum / seen <= 0.5, `${most} levels, ${sum / seen} in the mean`);
  }
});

Deno.test("the temperature is applied as the library does, and the likeliest come in order", () => {
  const values = Float32Array.of(0.5, 0.25, 0, 0.25);
  for (const temperature of [1, 0.65, 2]) {
    const expected = tempered({ values, classes: 4 }, temperature).values;
    assert.ok(largestDifference(preprocess.tempered(values, temperature), expected) < 1e-7);
  }
  // By hand: p^2 normalised is 4/6, 1/6, 0, 1/6.
  const sharpened = preprocess.tempered(values, 0.5);
  assert.ok(largestDifference(sharpened, Float32Array.of(4 / 6, 1 / 6, 0, 1 / 6)) < 1e-6);
  const names = ["a", "b", "c", "d"];
  assert.deepEqual(preprocess.likeliest(values, names, 3).map(({ name }: { name: string }) => name), ["a", "b", "d"]);
});
