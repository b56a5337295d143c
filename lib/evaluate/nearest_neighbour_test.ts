/** Tests of nearest_neighbour.ts and features.ts. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import sharp from "sharp";
import { type ManifestRow, type PictureCache, type Split } from "../data/mod.ts";
import { Random } from "../runtime/mod.ts";
import { averagedPixels, colourHistogram, type Features, pixelFeatures } from "./features.ts";
import { nearestNeighbour } from "./nearest_neighbour.ts";
import { wilsonInterval } from "./interval.ts";

function row(index: number, classId: number, split: Split): ManifestRow {
  const hash = String(index).padStart(64, "0");
  return {
    ...{ id: `0001_${index}`, dex: classId + 1, classId, split, group: `g${index}`, source: "s", path: `${index}.png` },
    ...{ sha256: hash, image: `images/${index}.png`, width: 1, height: 1, transparent: false },
    ...{ imageSha256: hash, jpegSha256: hash, fingerprint: "" },
  };
}

/** A cache of pictures that are in memory. */
function cacheOf(pictures: readonly { width: number; height: number; data: Uint8ClampedArray }[]): PictureCache {
  const read = ({ imageSha256 }: Pick<ManifestRow, "imageSha256">) => pictures[Number(imageSha256)]!;
  return { read } as unknown as PictureCache;
}

function randomPicture(random: Random, width: number, height: number) {
  return {
    width,
    height,
    data: Uint8ClampedArray.from({ length: 4 * width * height }, (_, at) => at % 4 === 3 ? 255 : random.int(256)),
  };
}

Deno.test("the neighbour found is the one that comparing all distances finds", () => {
  for (const dimension of [3, 16, 37, 200]) {
    const random = Random.seeded("vectors", dimension);
    const rows = Array.from({ length: 160 }, (_, index) => row(index, random.int(5), index % 4 ? "train" : "test"));
    // Steps of 1/4 are exact in float32, and give ties, of which the first counts.
    const values = Float32Array.from({ length: 160 * dimension }, () => random.int(dimension < 10 ? 4 : 9) / 4);
    const found = nearestNeighbour({ name: "random", dimension, values }, rows);
    let correct = 0;
    for (const [q, query] of found.queries.entries()) {
      let best = Infinity, nearest = -1;
      for (let c = 0; c < 160; c++) {
        if (rows[c]!.split !== "train") continue;
        let distance = 0;
        for (let k = 0; k < dimension; k++) {
          distance += (values[query * dimension + k]! - values[c * dimension + k]!) ** 2;
        }
        if (distance < best) [best, nearest] = [distance, c];
      }
      assert.equal(found.neighbours[q], nearest, `dimension ${dimension}, query ${q}`);
      if (rows[nearest]!.classId === rows[query]!.classId) correct++;
    }
    assert.deepEqual([found.n, found.correct, found.top1], [40, correct, correct / 40]);
    assert.deepEqual(found.top1Ci95, wilsonInterval(correct, 40));
  }
});

Deno.test("another assignment of splits changes what is compared with what", () => {
  const features: Features = { name: "place", dimension: 1, values: Float32Array.from([0, 10, 1, 11, 9]) };
  const rows = [row(0, 0, "train"), row(1, 1, "train"), row(2, 0, "test"), row(3, 1, "test"), row(4, 0, "test")];
  const given = nearestNeighbour(features, rows);
  assert.deepEqual([...given.neighbours], [0, 1, 1]);
  assert.equal(given.top1, 2 / 3);
  const swapped = nearestNeighbour(features, rows, { splitOf: ({ split }) => split === "test" ? "train" : "test" });
  assert.deepEqual([...swapped.queries], [0, 1]);
  assert.deepEqual([...swapped.neighbours], [2, 3]);
  assert.throws(
    () => nearestNeighbour(features, rows, { on: "validation" }),
    /expected pictures in train and validation/,
  );
  assert.throws(() => nearestNeighbour(features, rows.slice(1)), /expected 4 vectors of 1, found 5/);
});

Deno.test("the distance between pixel features is the distance between the pixels", () => {
  const random = Random.seeded("parseval");
  const pictures = [randomPicture(random, 40, 24), randomPicture(random, 7, 19), randomPicture(random, 16, 16)];
  const rows = pictures.map((_, index) => row(index, 0, "train"));
  for (const side of [8, 16]) {
    const { values, dimension } = pixelFeatures(cacheOf(pictures), rows, { side });
    assert.equal(dimension, 3 * side * side);
    const planes = pictures.map((picture) => averagedPixels(picture, side));
    const distance = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, k) => sum + (value - b[k]!) ** 2, 0);
    for (const [i, j] of [[0, 1], [0, 2], [1, 2]] as const) {
      const ours = distance(
        values.subarray(i * dimension, (i + 1) * dimension),
        values.subarray(j * dimension, (j + 1) * dimension),
      );
      assert.ok(Math.abs(ours / distance(planes[i]!, planes[j]!) - 1) < 1e-4);
    }
  }
});

Deno.test("averagedPixels() is what sharp's box shrinking gives, over grey and letterboxed", async () => {
  const picture = randomPicture(Random.seeded("shrink"), 64, 32);
  for (let i = 0; i < 64 * 32; i += 3) picture.data[4 * i + 3] = 0;
  const over = await sharp(Buffer.from(picture.data), { raw: { width: 64, height: 32, channels: 4 } })
    .flatten({ background: { r: 127.5, g: 127.5, b: 127.5 } }).raw().toBuffer();
  const planes = averagedPixels(picture, 16);
  for (let y = 0; y < 16; y++) {
    for (let x = 0; x < 16; x++) {
      let mean = 0;
      // 64 x 32 in 16 x 16: cells of 4 x 4 pixels in the rows 4 … 11.
      if (y >= 4 && y < 12) {
        for (let v = 0; v < 4; v++) {
          for (let u = 0; u < 4; u++) mean += over[3 * (64 * (4 * (y - 4) + v) + 4 * x + u)]! / 16;
        }
      } else mean = 127.5;
      assert.ok(Math.abs(255 * planes[16 * y + x]! - mean) < 0.6, `cell ${x}, ${y}`);
    }
  }
});

Deno.test("a small picture is enlarged cell by cell", () => {
  const data = Uint8ClampedArray.from([255, 0, 0, 255, 0, 255, 0, 255]);
  const planes = averagedPixels({ width: 2, height: 1, data }, 4);
  assert.deepEqual([...planes.subarray(4, 8)], [1, 1, 0, 0]);
  assert.deepEqual([...planes.subarray(16 + 4, 16 + 8)], [0, 0, 1, 1]);
  assert.deepEqual([...planes.subarray(0, 4)], [0.5, 0.5, 0.5, 0.5]);
});

Deno.test("a colour histogram holds roots of shares by alpha and sees no transparent pixel", () => {
  const data = Uint8ClampedArray.from([255, 0, 0, 255, 250, 10, 20, 255, 0, 0, 255, 170, 0, 255, 0, 0]);
  const histogram = colourHistogram({ width: 4, height: 1, data }, 2);
  assert.ok(Math.abs(histogram[4]! - Math.sqrt(0.75)) < 1e-6, "three quarters red");
  assert.ok(Math.abs(histogram[1]! - Math.sqrt(0.25)) < 1e-6, "a quarter blue");
  assert.equal(histogram[2], 0, "the hidden green does not count");
});
