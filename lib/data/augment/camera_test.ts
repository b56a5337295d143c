/** Tests of camera.ts, environment.ts and occlusion.ts. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import sharp from "sharp";
import { Random } from "../../runtime/mod.ts";
import { defocus, discBlur, jpeg, lineBlur, motionBlur, noise, resolution } from "./camera.ts";
import { background, lighting, plain, shadow } from "./environment.ts";
import { erasing, occlusion } from "./occlusion.ts";
import { type Picture, pictureFrom } from "./picture.ts";
import { Sample } from "./sample.ts";
import type { Transform } from "./transform.ts";

function randomPixels(width: number, height: number): Picture {
  const random = Random.seeded("pixels");
  return pictureFrom(Uint8Array.from({ length: 3 * width * height }, () => random.int(256)), width, height, 3);
}

function plainPicture(value: number, side = 64): Picture {
  return pictureFrom(new Uint8Array(3 * side * side).fill(value), side, side, 3);
}

async function apply(transform: Transform, picture: Picture, seed: number | string = 1): Promise<Picture> {
  const sample = new Sample({ ...picture, data: picture.data.slice() }, [{ classId: 0, weight: 1 }]);
  await transform.apply([sample], Random.seeded(seed));
  return sample.render();
}

/** sharp's convolution, the kernel divided by its sum. */
async function convolved(picture: Picture, side: number, kernel: number[]): Promise<Uint8Array> {
  return await sharp(Buffer.from(picture.data), { raw: { width: picture.width, height: picture.height, channels: 4 } })
    .removeAlpha().convolve({ width: side, height: side, kernel, scale: kernel.reduce((a, b) => a + b) }).raw()
    .toBuffer();
}

Deno.test("defocus is a mean over a soft-edged disc, as sharp's convolve() gives it", async () => {
  const picture = randomPixels(24, 20);
  // Weights clamp(r + 1/2 - d, 0, 1) at the distances 0, 1, √2, 2, √5, √8, written out.
  const discs: [number, number[]][] = [
    [0.6, [1, 0.1, 0, 0, 0, 0]],
    [2, [1, 1, 1, 0.5, 2.5 - Math.sqrt(5), 0]],
    [2.4, [1, 1, 1, 0.9, 2.9 - Math.sqrt(5), 2.9 - Math.sqrt(8)]],
  ];
  for (const [radius, [a, b, c, d, e, f]] of discs as [number, [number, number, number, number, number, number]][]) {
    const kernel = [...[f, e, d, e, f], ...[e, c, b, c, e], ...[d, b, a, b, d], ...[e, c, b, c, e], ...[f, e, d, e, f]];
    const expected = await convolved(picture, 5, kernel);
    const blurred = discBlur(picture, radius);
    for (let y = 2; y < 18; y++) {
      for (let x = 2; x < 22; x++) {
        for (let k = 0; k < 3; k++) {
          const i = 24 * y + x;
          assert.ok(Math.abs(blurred.data[4 * i + k]! - expected[3 * i + k]!) <= 1, `radius ${radius} at (${x}, ${y})`);
        }
      }
    }
  }
});

Deno.test("motion blur is a mean over a line, as sharp's convolve() gives it", async () => {
  const picture = randomPixels(24, 20);
  const lines: [number, number, number[]][] = [
    [4, 0, Array.from({ length: 25 }, (_, i) => Math.floor(i / 5) === 2 ? 1 : 0)],
    [0, 4, Array.from({ length: 25 }, (_, i) => i % 5 === 2 ? 1 : 0)],
    [4, 4, Array.from({ length: 25 }, (_, i) => i % 6 === 0 ? 1 : 0)],
  ];
  for (const [dx, dy, kernel] of lines) {
    const expected = await convolved(picture, 5, kernel);
    const blurred = lineBlur(picture, dx, dy);
    for (let y = 2; y < 18; y++) {
      for (let x = 2; x < 22; x++) {
        const i = 24 * y + x;
        assert.ok(Math.abs(blurred.data[4 * i]! - expected[3 * i]!) <= 1, `(${x}, ${y}) along ${dx}, ${dy}`);
      }
    }
  }
});

Deno.test("blurs leave a plain picture as it is, and a transparent surrounding without colour of its own", async () => {
  for (const transform of [defocus({ radius: 0.1 }), motionBlur({ length: 0.3 }), resolution()]) {
    assert.ok((await apply(transform, plainPicture(90))).data.every((value, at) => at % 4 === 3 || value === 90));
    const red = new Uint8Array(4 * 32 * 32);
    for (let i = 0; i < 32 * 32; i++) {
      const inside = i % 32 > 8 && i % 32 < 20;
      red.set(inside ? [255, 0, 0, 255] : [0, 255, 0, 0], 4 * i);
    }
    const { data, opaque } = await apply(transform, pictureFrom(red, 32, 32, 4));
    assert.equal(opaque, false);
    for (let at = 0; at < data.length; at += 4) {
      // Eight bits of a premultiplied colour say little at a small alpha.
      if (data[at + 3]! < 40) continue;
      assert.ok(data[at]! > 245 && data[at + 1]! < 10, `${transform.name}: ${data.subarray(at, at + 4)}`);
    }
  }
});

Deno.test("noise has the mean 0 and the deviation that was drawn, and follows the normal distribution", async () => {
  const { data } = await apply(noise({ deviation: 0.1 }), plainPicture(128, 128), "colour");
  const values = Array.from({ length: 128 * 128 }, (_, i) => data[4 * i]! - 128);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  assert.ok(Math.abs(mean) < 0.05 * deviation, `mean ${mean}`);
  assert.ok(deviation >= 0.2 * 25.5 - 0.5 && deviation <= 25.5 + 0.5, `deviation ${deviation}`);
  const within = values.filter((value) => Math.abs(value - mean) <= deviation).length / values.length;
  assert.ok(Math.abs(within - 0.6827) < 0.04, `${within} within one deviation`);
  const kurtosis = values.reduce((sum, value) => sum + (value - mean) ** 4, 0) / values.length / deviation ** 4;
  assert.ok(Math.abs(kurtosis - 3) < 0.25, `kurtosis ${kurtosis}`);
});

Deno.test("jpeg() gives sharp's own JPEG of the drawn quality and keeps alpha", async () => {
  const picture = randomPixels(16, 16);
  const expected = await sharp(
    await sharp(Buffer.from(picture.data), { raw: { width: 16, height: 16, channels: 4 } })
      .removeAlpha().jpeg({ quality: 30 }).toBuffer(),
  ).raw().toBuffer();
  const { data } = await apply(jpeg({ lowest: 30, highest: 30 }), picture);
  assert.deepEqual(
    Array.from({ length: 256 }, (_, i) => data[4 * i]),
    Array.from({ length: 256 }, (_, i) => expected[3 * i]),
  );
  const half = pictureFrom(new Uint8Array(4 * 64).fill(120), 8, 8, 4);
  assert.equal((await apply(jpeg(), half)).data[3], 120);
});

Deno.test("lighting is brightest on one side, darkest on the other, and mild in the middle", async () => {
  for (let seed = 0; seed < 20; seed++) {
    const { data } = await apply(lighting({ strength: 0.4, tint: 0 }), plainPicture(120), seed);
    const values = Array.from({ length: 64 * 64 }, (_, i) => data[4 * i]!);
    const lowest = Math.min(...values), highest = Math.max(...values);
    assert.ok(lowest >= 120 * 0.6 - 1 && highest <= 120 * 1.4 + 1, `${lowest} … ${highest}`);
    assert.ok(highest - lowest > 10 && Math.abs(values[32 * 64 + 32]! - 120) <= 3);
    assert.ok(Math.abs((values[0]! + values.at(-1)!) / 2 - 120) <= 1, "opposite corners balance");
  }
});

Deno.test("a shadow only darkens, by its darkness at most, and leaves some of the picture in the light", async () => {
  let dark = 0;
  for (let seed = 0; seed < 40; seed++) {
    const { data } = await apply(shadow({ darkness: 0.5 }), plainPicture(200), seed);
    const values = Array.from({ length: 64 * 64 }, (_, i) => data[4 * i]!);
    assert.ok(values.every((value) => value >= 100 && value <= 200));
    assert.ok(values.some((value) => value > 195), `seed ${seed}: some light is left`);
    if (values.some((value) => value < 165)) dark++;
  }
  assert.ok(dark > 30, `${dark} of 40 show a shadow`);
});

Deno.test("a background shows exactly where the picture is transparent, in proportion to its transparency", async () => {
  const pixels = new Uint8Array(4 * 64);
  for (let i = 0; i < 64; i++) pixels.set([200, 100, 0, [255, 0, 51][i % 3]!], 4 * i);
  const { data, opaque } = await apply(plain({ colour: [10, 20, 30] }), pictureFrom(pixels, 8, 8, 4));
  assert.equal(opaque, true);
  assert.deepEqual([...data.subarray(0, 12)], [200, 100, 0, 255, 10, 20, 30, 255, 48, 36, 24, 255]);
  const scenes = await Promise.all([1, 1, 2].map((seed) => apply(background(), pictureFrom(pixels, 8, 8, 4), seed)));
  assert.deepEqual(scenes[0]!.data, scenes[1]!.data);
  assert.notDeepEqual(scenes[0]!.data, scenes[2]!.data);
  const opaquePicture = plainPicture(50);
  assert.deepEqual((await apply(background(), opaquePicture)).data, opaquePicture.data);
});

Deno.test("erasing() hides one upright rectangle whose area and shape are in range", async () => {
  for (let seed = 0; seed < 60; seed++) {
    const { data } = await apply(erasing({ smallest: 0.05, largest: 0.2, ratio: 0.4 }), plainPicture(1, 80), seed);
    let left = 80, right = -1, top = 80, bottom = -1, count = 0;
    for (let i = 0; i < 6400; i++) {
      if (data[4 * i] === 1 && data[4 * i + 1] === 1) continue;
      count++;
      left = Math.min(left, i % 80);
      right = Math.max(right, i % 80);
      top = Math.min(top, Math.floor(i / 80));
      bottom = Math.max(bottom, Math.floor(i / 80));
    }
    const w = right - left + 1, h = bottom - top + 1;
    assert.ok(count >= w * h - 3, "a filled rectangle");
    assert.ok(w * h >= 0.045 * 6400 && w * h <= 0.215 * 6400, `area ${w * h}`);
    assert.ok(w / h >= 0.36 && w / h <= 2.8, `${w} x ${h}`);
  }
});

Deno.test("occlusion() covers something, and no more than its share", async () => {
  for (let seed = 0; seed < 60; seed++) {
    const { data } = await apply(occlusion({ share: 0.2 }), plainPicture(3), seed);
    let covered = 0;
    for (let i = 0; i < 4096; i++) if (data[4 * i] !== 3 || data[4 * i + 1] !== 3 || data[4 * i + 2] !== 3) covered++;
    assert.ok(covered > 0 && covered <= 0.205 * 4096, `seed ${seed}: ${covered}`);
  }
});
