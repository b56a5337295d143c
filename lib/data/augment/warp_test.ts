/** Tests of homography.ts, polygon.ts and warp.ts. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import sharp from "sharp";
import { Random } from "../../runtime/mod.ts";
import {
  about,
  compose,
  type Homography,
  invert,
  magnification,
  mapPoint,
  rotating,
  scaling,
  shearing,
  toQuadrilateral,
  translating,
} from "./homography.ts";
import { halve, type Picture, pictureFrom } from "./picture.ts";
import { area, clipToFrame, hull, mapPolygon, rectanglePolygon } from "./polygon.ts";
import { warp } from "./warp.ts";

function randomPicture(random: Random, width: number, height: number, channels: 3 | 4 = 3): Picture {
  return pictureFrom(
    Uint8Array.from({ length: width * height * channels }, () => random.int(256)),
    width,
    height,
    channels,
  );
}

function near(actual: readonly number[], expected: readonly number[], tolerance = 1e-9): void {
  for (const [i, value] of expected.entries()) {
    assert.ok(Math.abs(actual[i]! - value) <= tolerance, `${actual} is not near ${expected}`);
  }
}

Deno.test("compose() applies its first map first and invert() leads back", () => {
  const map = compose(compose(scaling(2, 3), rotating(0.3)), translating(5, -1));
  const [cos, sin] = [Math.cos(0.3), Math.sin(0.3)];
  near(mapPoint(map, 1, 1), [2 * cos - 3 * sin + 5, 2 * sin + 3 * cos - 1]);
  const perspective: Homography = [1.1, 0.2, 3, -0.1, 0.9, 4, 0.001, -0.002, 1];
  near(mapPoint(invert(perspective), ...mapPoint(perspective, 17, 23)), [17, 23]);
  assert.throws(() => invert(scaling(0)), /expected an invertible map/);
});

Deno.test("toQuadrilateral() sends the four corners where it was told and refuses crossed ones", () => {
  const corners = [[1, 2], [9, 0], [11, 8], [-1, 7]] as const;
  const map = toQuadrilateral(20, 10, corners);
  near(mapPoint(map, 0, 0), [1, 2]);
  near(mapPoint(map, 20, 0), [9, 0]);
  near(mapPoint(map, 20, 10), [11, 8]);
  near(mapPoint(map, 0, 10), [-1, 7]);
  assert.throws(() => toQuadrilateral(1, 1, [[0, 0], [1, 1], [1, 0], [0, 1]]), /expected convex corners/);
});

Deno.test("magnification() is the root of the area ratio of a small square", () => {
  const map: Homography = [1.1, 0.2, 3, -0.1, 0.9, 4, 0.004, -0.002, 1];
  const square = rectanglePolygon({ left: 9.99, top: 6.99, right: 10.01, bottom: 7.01 });
  near([magnification(map, 10, 7)], [Math.sqrt(area(mapPolygon(square, map)) / 0.02 ** 2)], 1e-6);
});

Deno.test("a quarter turn moves every pixel as sharp's rotate(90) does", async () => {
  const picture = randomPicture(Random.seeded("turn"), 12, 12);
  const turned = warp(picture, about(6, 6, rotating(Math.PI / 2)), 12, 12);
  const expected = await sharp(Buffer.from(picture.data), { raw: { width: 12, height: 12, channels: 4 } })
    .rotate(90).raw().toBuffer();
  assert.deepEqual([...turned.data], [...expected]);
  assert.equal(turned.opaque, true);
});

Deno.test("a mirrored picture is sharp's flop() and a moved one keeps its pixels", async () => {
  const picture = randomPicture(Random.seeded("mirror"), 9, 7, 4);
  const mirrored = warp(picture, about(4.5, 3.5, scaling(-1, 1)), 9, 7);
  const expected = await sharp(Buffer.from(picture.data), { raw: { width: 9, height: 7, channels: 4 } })
    .flop().raw().toBuffer();
  for (let at = 0; at < expected.length; at += 4) {
    assert.equal(mirrored.data[at + 3], expected[at + 3]);
    if (expected[at + 3] !== 0) near([...mirrored.data.subarray(at, at + 3)], [...expected.subarray(at, at + 3)], 0);
  }
  const moved = warp(picture, translating(2, 1), 9, 7);
  assert.deepEqual(
    moved.data.subarray(4 * (3 * 9 + 5), 4 * (3 * 9 + 6)),
    picture.data.subarray(4 * (2 * 9 + 3), 4 * (2 * 9 + 4)),
  );
  assert.deepEqual([...moved.data.subarray(0, 4)], [0, 0, 0, 0]);
  assert.equal(moved.opaque, false);
});

Deno.test("bilinear sampling reproduces a linear ramp at any map that does not shrink", () => {
  const pixels = new Uint8Array(3 * 64 * 64);
  for (let y = 0; y < 64; y++) {
    for (let x = 0; x < 64; x++) pixels.fill(2 * x + y, 3 * (64 * y + x), 3 * (64 * y + x + 1));
  }
  const picture = pictureFrom(pixels, 64, 64, 3);
  const map = compose(about(32, 32, compose(rotating(0.4), scaling(1.3))), shearing(0.1));
  const out = warp(picture, map, 64, 64);
  let seen = 0;
  for (let y = 0; y < 64; y++) {
    for (let x = 0; x < 64; x++) {
      const [sx, sy] = mapPoint(invert(map), x + 0.5, y + 0.5);
      if (sx < 2 || sy < 2 || sx > 62 || sy > 62) continue;
      seen++;
      near([out.data[4 * (64 * y + x)]!], [2 * (sx - 0.5) + (sy - 0.5)], 0.6);
    }
  }
  assert.ok(seen > 1500, `${seen} pixels compared`);
});

Deno.test("hidden colours of transparent pixels do not leak into the edge", () => {
  // A red square; everything around it is fully transparent green.
  const pixels = new Uint8Array(4 * 32 * 32);
  for (let y = 0; y < 32; y++) {
    for (let x = 0; x < 32; x++) {
      const inside = x >= 8 && x < 24 && y >= 8 && y < 24;
      pixels.set(inside ? [255, 0, 0, 255] : [0, 255, 0, 0], 4 * (32 * y + x));
    }
  }
  for (const zoom of [0.2, 0.45, 0.8, 1.7]) {
    const out = warp(pictureFrom(pixels, 32, 32, 4), about(16, 16, compose(rotating(0.5), scaling(zoom))), 32, 32);
    let partial = 0;
    for (let at = 0; at < out.data.length; at += 4) {
      if (out.data[at + 3] === 0) continue;
      if (out.data[at + 3]! < 255) partial++;
      assert.ok(out.data[at]! >= 254 && out.data[at + 1]! <= 1, `pixel ${at / 4} at zoom ${zoom}`);
    }
    assert.ok(partial > 4, `a soft edge at zoom ${zoom}`);
  }
});

Deno.test("a picture that is enlarged to fill its frame has no see-through rim", () => {
  const picture = randomPicture(Random.seeded("rim"), 20, 20);
  for (const size of [21, 37, 40, 64, 101]) assert.equal(warp(picture, scaling(size / 20), size, size).opaque, true);
});

Deno.test("shrinking averages: a fine checkerboard becomes grey, in sharp and here", () => {
  const pixels = new Uint8Array(3 * 64 * 64);
  for (let y = 0; y < 64; y++) {
    for (let x = 0; x < 64; x++) pixels.fill((x + y) % 2 ? 255 : 0, 3 * (64 * y + x), 3 * (64 * y + x + 1));
  }
  const small = warp(pictureFrom(pixels, 64, 64, 3), scaling(0.25), 16, 16);
  for (let at = 0; at < small.data.length; at += 4) near([small.data[at]!], [127.5], 1);
});

Deno.test("halve() weighs colours by alpha", () => {
  const picture = pictureFrom(Uint8Array.from([200, 0, 0, 255, 0, 100, 0, 51, 9, 9, 9, 0, 9, 9, 9, 0]), 2, 2, 4);
  // (200 * 255 + 0 * 51) / 306, (100 * 51) / 306, alpha 306 / 4
  assert.deepEqual([...halve(picture).data], [167, 17, 0, 76]);
});

Deno.test("clipToFrame() leaves the part of a rectangle inside, and of a perspective only what is in front", () => {
  const clipped = clipToFrame(rectanglePolygon({ left: -5, top: 2, right: 6, bottom: 30 }), 10, 20);
  assert.deepEqual(hull(clipped), { left: 0, top: 2, right: 6, bottom: 20 });
  assert.equal(area(clipped), 108);
  assert.equal(hull(clipToFrame(rectanglePolygon({ left: 20, top: 0, right: 30, bottom: 5 }), 10, 20)), undefined);
  // w = 1 - x / 10: points right of x = 10 lie behind the viewer and would come back from the left.
  const folded = mapPolygon(rectanglePolygon({ left: 5, top: 1, right: 15, bottom: 2 }), [
    1,
    0,
    0,
    0,
    1,
    0,
    -0.1,
    0,
    1,
  ]);
  const visible = hull(clipToFrame(folded, 100, 100))!;
  near([visible.left, visible.top, visible.right], [10, 2, 100], 1e-6);
});
