/** Tests of decode.ts: formats and their oddities, and everything that is no usable picture. */

import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import sharp from "sharp";
import { InputError } from "../runtime/mod.ts";
import { decodeFile } from "./decode.ts";
import { figure, figureSvg } from "./test_pictures.ts";

const only = async (bytes: Uint8Array, frames = 1) => {
  const file = await decodeFile(bytes, frames);
  assert.equal(file.pictures.length, 1);
  return { ...file, picture: file.pictures[0]! };
};

/** The channels of the pixel at (x, y). */
const pixel = ({ data, width }: { data: Uint8Array; width: number }, x: number, y: number) => [
  ...data.subarray((y * width + x) * 4, (y * width + x) * 4 + 4),
];

type Rgba = readonly [number, number, number, number];
const red: Rgba = [255, 0, 0, 255], blue: Rgba = [0, 0, 255, 255], white: Rgba = [255, 255, 255, 255];

/** Two halves, left and right, so that no picture is blank. */
function halves(width: number, height: number, left: Rgba, right: Rgba) {
  const data = new Uint8Array(width * height * 4);
  for (let i = 0; i < width * height; i++) data.set(i % width < width / 2 ? left : right, i * 4);
  return sharp(data, { raw: { width, height, channels: 4 } });
}

Deno.test("JPEG, PNG, WebP, GIF, AVIF and TIFF decode to 8-bit RGBA", async () => {
  for (const format of ["jpeg", "png", "webp", "gif", "avif", "tiff"] as const) {
    const bytes = await figure(1, { background: "#fff" }).removeAlpha().toFormat(format).toBuffer();
    const { picture } = await only(bytes);
    assert.deepEqual([picture.width, picture.height, picture.transparent], [96, 96, false], format);
    assert.equal(picture.data.length, 96 * 96 * 4);
    for (const [index, expected] of [255, 255, 255, 255].entries()) {
      assert.ok(Math.abs(pixel(picture, 0, 0)[index]! - expected) <= 6, `${format}: ${pixel(picture, 0, 0)}`);
    }
  }
});

Deno.test("only small plain pictures may be stored as they are", async () => {
  const verbatim = async (bytes: Uint8Array) => (await decodeFile(bytes)).verbatim;
  assert.equal(await verbatim(await figure(1).webp().toBuffer()), "webp");
  assert.equal(await verbatim(await figure(1).png().toBuffer()), "png");
  assert.equal(await verbatim(await figure(1).flatten().jpeg().toBuffer()), "jpg");
  assert.equal(await verbatim(await figure(1, { size: 417 }).png().toBuffer()), undefined);
  assert.equal(await verbatim(await figure(1).gif().toBuffer()), undefined);
  assert.equal(await verbatim(await figure(1).flatten().jpeg().withMetadata({ orientation: 6 }).toBuffer()), undefined);
  assert.equal(await verbatim(await figure(1).png().withIccProfile("p3").toBuffer()), undefined);
});

Deno.test("a picture larger than 416 px is fitted with its alpha, its aspect kept", async () => {
  const { picture, exact } = await only(await halves(1000, 500, red, [0, 0, 255, 136]).png().toBuffer());
  assert.deepEqual([picture.width, picture.height, picture.transparent, exact], [416, 208, true, false]);
  assert.deepEqual(pixel(picture, 5, 100), [255, 0, 0, 255]);
  assert.deepEqual(pixel(picture, 400, 100), [0, 0, 255, 136]);
});

Deno.test("EXIF orientation 6 turns the picture clockwise", async () => {
  const bytes = await halves(40, 20, red, blue).flatten().jpeg({ quality: 100, chromaSubsampling: "4:4:4" })
    .withMetadata({ orientation: 6 }).toBuffer();
  const { picture } = await only(bytes);
  assert.deepEqual([picture.width, picture.height], [20, 40]);
  assert.ok(pixel(picture, 10, 4)[0]! > 200, "the left half is on top now");
  assert.ok(pixel(picture, 10, 36)[2]! > 200);
});

Deno.test("CMYK becomes RGB", async () => {
  const bytes = await halves(32, 32, red, blue).flatten().toColourspace("cmyk").jpeg({ quality: 95 })
    .toBuffer();
  assert.equal((await sharp(bytes).metadata()).space, "cmyk");
  const { picture, verbatim } = await only(bytes);
  assert.equal(verbatim, undefined);
  const [r, , b, alpha] = pixel(picture, 4, 16);
  assert.ok(r! > 180 && b! < 90 && alpha === 255, String(pixel(picture, 4, 16)));
});

Deno.test("16 bits a channel become 8", async () => {
  const bytes = await halves(32, 32, [0x80, 0x40, 0x20, 255], white).toColourspace("rgb16").png().toBuffer();
  assert.equal((await sharp(bytes).metadata()).depth, "ushort");
  const { picture, verbatim } = await only(bytes);
  assert.equal(verbatim, undefined);
  assert.deepEqual(pixel(picture, 4, 4), [0x80, 0x40, 0x20, 255]);
});

Deno.test("grey, with and without alpha, and palette pictures become RGBA", async () => {
  const grey = await halves(16, 16, [0x77, 0x77, 0x77, 255], white).removeAlpha().toColourspace("b-w").png().toBuffer();
  assert.deepEqual(pixel((await only(grey)).picture, 2, 2), [0x77, 0x77, 0x77, 255]);
  const greyAlpha = await halves(16, 16, [0x77, 0x77, 0x77, 255], [255, 255, 255, 0]).toColourspace("b-w").png()
    .toBuffer();
  assert.deepEqual(pixel((await only(greyAlpha)).picture, 2, 2), [0x77, 0x77, 0x77, 255]);
  assert.equal(pixel((await only(greyAlpha)).picture, 12, 2)[3], 0);
  const palette = await halves(16, 16, red, [0, 0, 255, 0]).png({ palette: true }).toBuffer();
  assert.deepEqual(pixel((await only(palette)).picture, 2, 2), [255, 0, 0, 255]);
});

Deno.test("a PNG named .jpg is judged by its content", async () => {
  assert.equal((await only(await figure(3).png().toBuffer())).verbatim, "png");
});

Deno.test("SVG is rasterised to fill 416 px", async () => {
  const { picture, exact } = await only(new TextEncoder().encode(figureSvg(1, { size: 30 })));
  assert.deepEqual([picture.width, picture.height, picture.transparent, exact], [416, 416, true, false]);
});

/** An animated GIF of squares that stand at the given places; equal numbers give equal frames (repeated ones are merged by the encoder). */
async function animation(places: readonly number[]): Promise<Uint8Array> {
  const size = 40;
  const data = new Uint8Array(size * size * places.length * 4);
  for (const [frame, place] of places.entries()) {
    for (let y = 10; y < 20; y++) {
      for (let x = place; x < place + 10; x++) data.set([200, 30, 60, 255], ((frame * size + y) * size + x) * 4);
    }
  }
  return await sharp(data, { raw: { width: size, height: size * places.length, channels: 4, pageHeight: size } })
    .gif({ delay: places.map(() => 100) }).toBuffer();
}

Deno.test("of an animation the frames are taken that differ most, not the first ones", async () => {
  const { pictures } = await decodeFile(await animation([0, 1, 2, 28, 3, 15]), 3);
  assert.deepEqual(pictures.map((picture) => picture.frame), [0, 3, 5]);
  assert.deepEqual([pictures[1]!.width, pictures[1]!.height], [40, 40]);
  assert.equal(pixel(pictures[1]!, 30, 15)[3], 255);
  assert.equal(pixel(pictures[1]!, 5, 15)[3], 0);
});

Deno.test("frames that hardly differ are taken once, and frames: 1 takes the first", async () => {
  assert.deepEqual((await decodeFile(await animation([5, 6, 5, 20, 5]), 4)).pictures.map((each) => each.frame), [0, 3]);
  assert.deepEqual((await decodeFile(await animation([5, 20]), 1)).pictures.map((each) => each.frame), [0]);
});

Deno.test("a picture with nothing on it is still a picture", async () => {
  const bytes = await sharp({ create: { width: 20, height: 20, channels: 4, background: "#0000" } }).png().toBuffer();
  assert.equal((await only(bytes)).picture.transparent, true);
});

/** A PNG whose header claims another size. */
async function claiming(width: number, height: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(await figure(1).png().toBuffer());
  const view = new DataView(bytes.buffer);
  view.setUint32(16, width);
  view.setUint32(20, height);
  view.setUint32(29, crc32(bytes.subarray(12, 29)));
  return bytes;
}

const text = (content: string) => new TextEncoder().encode(content);
const refused: Record<string, [make: () => Uint8Array | Promise<Uint8Array>, cause: RegExp]> = {
  "a zero-byte file": [() => new Uint8Array(), /found an empty file/],
  "text": [() => text("not a picture at all"), /expected a picture, found "not a pictur"/],
  "an HTML page": [() => text("<!doctype html><html><body>404</body></html>"), /expected/],
  "a truncated PNG": [async () => (await figure(1).png().toBuffer()).subarray(0, 900), /png picture, found damage/],
  "a truncated JPEG": [
    async () => (await figure(1).flatten().jpeg().toBuffer()).subarray(0, 900),
    /jpeg picture, found damage/,
  ],
  "a truncated WebP": [async () => (await figure(1).webp().toBuffer()).subarray(0, 900), /expected/],
  "a PNG with a damaged middle": [
    async () => (await figure(1).png().toBuffer()).fill(0x55, 300, 900),
    /png picture, found damage/,
  ],
  "a header and nothing else": [() => text("\x89PNG\r\n\x1a\n"), /expected/],
  "one pixel": [
    () => sharp({ create: { width: 1, height: 1, channels: 3, background: "red" } }).png().toBuffer(),
    /^1 x 1 pixels: expected at least 8 px a side/,
  ],
  "20,000 x 20,000 pixels": [() => claiming(20_000, 20_000), /^20000 x 20000 pixels: expected at most 64 million/],
  "20,000 x 100 pixels": [
    async () => await halves(20_000, 100, red, blue).png().toBuffer(),
    /^20000 x 100 pixels: expected a shape that leaves 8 px/,
  ],
  "an endless SVG": [
    () => text(`<svg xmlns="http://www.w3.org/2000/svg" width="1000000" height="1000000"></svg>`),
    /expected/,
  ],
};

for (const [name, [make, cause]] of Object.entries(refused)) {
  Deno.test(`${name} is refused in one line`, async () => {
    await assert.rejects(async () => decodeFile(await make()), (error: Error) => {
      assert.ok(error instanceof InputError, String(error));
      assert.match(error.message, cause);
      assert.ok(!error.message.includes("\n") && error.message.length < 300, error.message);
      return true;
    });
  });
}
