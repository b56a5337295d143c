/** Tests of batches.ts, render.ts and sampler.ts. */

import assert from "node:assert/strict";
import { join } from "node:path";
import sharp from "sharp";
import { InputError, Random, sha256 } from "../../runtime/mod.ts";
import { fullAugmentation, mixup, mosaic, scale } from "../augment/mod.ts";
import { chain } from "../augment/transform.ts";
import { datasetPaths } from "../manifest.ts";
import { BatchLoader, type BatchLoaderOptions, forEvaluation } from "./batches.ts";
import { openCache, type PictureCache } from "./cache.ts";
import { makeDataset, type SmallDataset } from "./fixture.ts";
import type { Batch } from "./render.ts";
import { curriculum, linearPacing } from "./curriculum.ts";
import { classBalanced, groupBalanced, inOrder, shuffled } from "./sampler.ts";

async function withCache(
  work: (data: SmallDataset, cache: PictureCache) => Promise<void>,
  perClass = 4,
): Promise<void> {
  await using data = await makeDataset({ perClass });
  using cache = await openCache(data.rows, { ...data, size: 48, workers: 1 });
  await work(data, cache);
}

async function collect(batches: AsyncIterable<Batch>, count = Infinity): Promise<Batch[]> {
  const result: Batch[] = [];
  for await (const batch of batches) {
    result.push(batch);
    if (result.length >= count) break;
  }
  return result;
}

const heavy: BatchLoaderOptions = {
  batchSize: 5,
  size: 24,
  seed: 3,
  augmentation: chain(fullAugmentation(), mosaic({ probability: 0.3 }), mixup({ probability: 0.3 })),
  workers: 0,
};

Deno.test("an epoch shows every picture once, in another order each epoch, the last batch ragged", async () => {
  await withCache(async ({ rows }, cache) => {
    using loader = new BatchLoader(cache, rows, { batchSize: 5, size: 16, workers: 0 });
    assert.equal(loader.stepsPerEpoch, 3);
    const epochs = [await collect(loader.epoch(0)), await collect(loader.epoch(1))];
    for (const batches of epochs) {
      assert.deepEqual(batches.map(({ shape }) => shape), [[5, 3, 16, 16], [5, 3, 16, 16], [2, 3, 16, 16]]);
      assert.deepEqual(batches.flatMap(({ ids }) => ids).sort(), rows.map(({ id }) => id).sort());
      for (const { ids, labels, images, shape } of batches) {
        assert.equal(images.length, shape[0] * 3 * 16 * 16);
        assert.ok(images.every((value) => value >= 0 && value <= 1));
        assert.deepEqual([...labels], ids.map((id) => rows.find((row) => row.id === id)!.classId));
      }
    }
    assert.notDeepEqual(epochs[0]!.flatMap(({ ids }) => ids), epochs[1]!.flatMap(({ ids }) => ids));
    using dropping = new BatchLoader(cache, rows, { batchSize: 5, size: 16, workers: 0, dropLast: true });
    assert.deepEqual((await collect(dropping.epoch(0))).map(({ ids }) => ids.length), [5, 5]);
  });
});

Deno.test("batches are bit for bit the same with no worker, one and three, and with any prefetch", async () => {
  await withCache(async ({ rows }, cache) => {
    using plain = new BatchLoader(cache, rows, heavy);
    const expected = await collect(plain.stream(), 5);
    for (const [workers, prefetch] of [[1, 1], [3, 7]] as const) {
      using loader = new BatchLoader(cache, rows, { ...heavy, workers, prefetch });
      assert.deepEqual(await collect(loader.stream(), 5), expected, `${workers} workers`);
    }
    using other = new BatchLoader(cache, rows, { ...heavy, seed: 4 });
    assert.notDeepEqual((await collect(other.stream(), 1))[0]!.images, expected[0]!.images);
  });
});

Deno.test("a loader that begins at a step continues exactly what another one left", async () => {
  await withCache(async ({ rows }, cache) => {
    using first = new BatchLoader(cache, rows, heavy);
    const all = await collect(first.stream(), 7);
    assert.deepEqual(all.map(({ epoch, step }) => [epoch, step]), [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2], [
      2,
      0,
    ]]);
    for (const from of [1, 3, 5]) {
      using second = new BatchLoader(cache, rows, heavy);
      assert.deepEqual(await collect(second.stream({ from }), 7 - from), all.slice(from));
    }
    using third = new BatchLoader(cache, rows, heavy);
    assert.deepEqual(await collect(third.epoch(1, { from: 2 })), [all[5]]);
    assert.deepEqual(await collect(third.epoch(1, { from: 3 })), []);
  });
});

Deno.test("a curriculum's epochs are the same wherever the reading begins, with all steps in each", async () => {
  await withCache(async ({ rows }, cache) => {
    const options: BatchLoaderOptions = {
      ...{ batchSize: 4, size: 16, seed: 1, workers: 1 },
      sampler: curriculum({ difficulty: rows.map((_, i) => i), pacing: linearPacing({ start: 0.3, epochs: 2 }) }),
    };
    using first = new BatchLoader(cache, rows, options), second = new BatchLoader(cache, rows, options);
    const steps = first.stepsPerEpoch, all = await collect(first.stream(), 3 * steps);
    const different = [0, 1, 2].map((epoch) =>
      new Set(all.slice(epoch * steps, (epoch + 1) * steps).flatMap(({ ids }) => ids)).size
    );
    // Of each of three species with four pictures ⌈0.3 · 4⌉, ⌈0.65 · 4⌉ and all.
    assert.deepEqual(different, [6, 9, 12]);
    assert.deepEqual(await collect(second.epoch(1, { from: 1 })), all.slice(steps + 1, 2 * steps));
  });
});

Deno.test("without augmentation the pixels are the letterboxed picture's, the same in every epoch", async () => {
  await withCache(async ({ rows }, cache) => {
    using loader = new BatchLoader(cache, rows, {
      ...forEvaluation,
      batchSize: 12,
      size: 48,
      background: [255, 0, 0],
      workers: 0,
    });
    const [first] = await collect(loader.epoch(0)), [second] = await collect(loader.epoch(9));
    assert.deepEqual(first!.ids, rows.map(({ id }) => id));
    assert.deepEqual(second!.images, first!.images);
    for (const [index, row] of rows.entries()) {
      const picture = cache.read(row);
      const longer = Math.max(picture.width, picture.height);
      const at = (x: number, y: number) => [0, 1, 2].map((c) => first!.images[((3 * index + c) * 48 + y) * 48 + x]!);
      // The middle is the species' disc, the same in the picture and in the tensor.
      const centre = 4 * (Math.floor(picture.height / 2) * picture.width + Math.floor(picture.width / 2));
      for (const [c, value] of at(24, 24).entries()) {
        assert.ok(Math.abs(value - picture.data[centre + c]! / 255) < 0.05, row.id);
      }
      if (longer - picture.height >= 4) assert.deepEqual(at(24, 0), [1, 0, 0], `${row.id}: background above`);
      if (longer - picture.width >= 4) assert.deepEqual(at(0, 24), [1, 0, 0], `${row.id}: background beside`);
    }
  });
});

Deno.test("the fixed background belongs to the picture: it changes with the id and not with epoch or place", async () => {
  await withCache(async ({ rows }, cache) => {
    const clear = rows.filter(({ transparent }) => transparent);
    const corner = (batch: Batch, index: number) => [0, 1, 2].map((c) => batch.images[(3 * index + c) * 24 * 24]);
    using forward = new BatchLoader(cache, clear, { ...forEvaluation, batchSize: 6, size: 24, workers: 0 });
    using backward = new BatchLoader(cache, clear.toReversed(), {
      ...forEvaluation,
      batchSize: 6,
      size: 24,
      workers: 0,
    });
    const [a] = await collect(forward.epoch(0)), [b] = await collect(backward.epoch(5));
    for (let index = 0; index < 6; index++) assert.deepEqual(corner(a!, index), corner(b!, 5 - index));
    assert.ok(new Set(clear.map((_, index) => corner(a!, index).join())).size > 1);
  });
});

Deno.test("epochs decode nothing: they go on when the stored pictures are gone", async () => {
  await withCache(async ({ rows, dataFolder }, cache) => {
    await Deno.remove(datasetPaths(dataFolder).images, { recursive: true });
    using loader = new BatchLoader(cache, rows, { ...heavy, workers: 1 });
    assert.equal((await collect(loader.stream(), 7)).length, 7);
    using reopened = await openCache(rows, { dataFolder, size: 48, workers: 1 });
    assert.equal(reopened.decoded, 0);
  });
});

Deno.test("a picture of one pixel and one of a single line fill their frames", async () => {
  await using data = await makeDataset({ classes: 1, perClass: 2 });
  const rows = await Promise.all(data.rows.map(async (row, index) => {
    const [width, height] = index ? [90, 1] : [1, 1];
    const bytes = await sharp({ create: { width, height, channels: 3, background: "#ff0000" } }).png().toBuffer();
    await Deno.writeFile(join(data.dataFolder, "processed", row.image), bytes);
    return { ...row, width, height, imageSha256: sha256(bytes) };
  }));
  using cache = await openCache(rows, { ...data, size: 48, workers: 1 });
  using loader = new BatchLoader(cache, rows, {
    ...forEvaluation,
    batchSize: 2,
    size: 32,
    background: [0, 0, 0],
    workers: 0,
  });
  const [batch] = await collect(loader.epoch(0));
  const red = (index: number) => batch!.images.subarray(index * 3 * 1024, index * 3 * 1024 + 1024);
  assert.ok(red(0).every((value) => value === 1), "one pixel becomes the whole frame");
  const line = [...red(1)].map((value, at) => value > 0 ? Math.floor(at / 32) : -1).filter((y) => y >= 0);
  assert.ok(line.length >= 32 && line.every((y) => y === 15 || y === 16), `rows ${[...new Set(line)]}`);
  using heavily = new BatchLoader(cache, rows, { ...heavy, batchSize: 2 });
  assert.equal((await collect(heavily.stream(), 4)).length, 4);
});

Deno.test("normalisation subtracts the mean and divides by the deviation of each channel", async () => {
  await withCache(async ({ rows }, cache) => {
    const options = { ...forEvaluation, batchSize: 4, size: 16, workers: 0 };
    const mean = [0.485, 0.456, 0.406] as const, std = [0.229, 0.224, 0.225] as const;
    using plain = new BatchLoader(cache, rows, options);
    using normalised = new BatchLoader(cache, rows, { ...options, normalisation: { mean, std } });
    const [a] = await collect(plain.epoch(0)), [b] = await collect(normalised.epoch(0));
    for (let i = 0; i < a!.images.length; i++) {
      const c = Math.floor(i / 256) % 3;
      assert.ok(Math.abs((a!.images[i]! - mean[c]!) / std[c]! - b!.images[i]!) < 1e-5);
    }
  });
});

Deno.test("boxes are the frame or the content, and follow the augmentation", async () => {
  await withCache(async ({ rows }, cache) => {
    const options = { ...forEvaluation, batchSize: 12, size: 32, workers: 0 };
    using frame = new BatchLoader(cache, rows, options);
    for (const [box] of (await collect(frame.epoch(0)))[0]!.boxes) {
      const expected = { left: 0, top: 0, right: 32, bottom: 32 };
      for (const key of ["left", "top", "right", "bottom"] as const) {
        assert.ok(Math.abs(box![key] - expected[key]) < 1e-9);
      }
    }
    using smaller = new BatchLoader(cache, rows, { ...options, augmentation: scale({ lowest: 0.5, highest: 0.5 }) });
    for (const [box] of (await collect(smaller.epoch(0)))[0]!.boxes) {
      assert.ok(Math.abs(box!.left - 8) < 1e-9 && Math.abs(box!.bottom - 24) < 1e-9);
    }
    using content = new BatchLoader(cache, rows, { ...options, boxes: "content" });
    const [batch] = await collect(content.epoch(0));
    for (const [index, row] of rows.entries()) {
      const { content: [left, , right], width, height } = cache.record(row);
      const [box] = batch!.boxes[index]!;
      assert.equal(box!.classId, row.classId);
      assert.ok(Math.abs(box!.right - box!.left - (right - left) * 32 / Math.max(width, height)) < 1e-9);
    }
  });
});

Deno.test("classes maps class ids to dense labels and leaves other pictures out", async () => {
  await withCache(async ({ rows }, cache) => {
    using loader = new BatchLoader(cache, rows, { batchSize: 8, size: 8, classes: [2, 0], workers: 0 });
    assert.equal(loader.length, 8);
    const [batch] = await collect(loader.epoch(0));
    assert.deepEqual([...batch!.labels], batch!.ids.map((id) => id.startsWith("0003") ? 0 : 1));
    assert.throws(() => new BatchLoader(cache, rows, { batchSize: 8, size: 8, classes: [9] }), InputError);
  });
});

Deno.test("several sizes take turns, every sizeEvery steps, from the seed alone", async () => {
  await withCache(async ({ rows }, cache) => {
    const options: BatchLoaderOptions = { batchSize: 1, size: [8, 16, 24], sizeEvery: 2, workers: 0 };
    using loader = new BatchLoader(cache, rows, options);
    const sizes = (await collect(loader.epoch(0))).map(({ shape }) => shape[2]);
    assert.deepEqual(sizes.filter((_, i) => i % 2 === 0), sizes.filter((_, i) => i % 2 === 1));
    assert.ok(new Set(sizes).size > 1);
    using again = new BatchLoader(cache, rows, options);
    assert.deepEqual((await collect(again.epoch(0, { from: 5 }))).map(({ shape }) => shape[2]), sizes.slice(5));
  });
});

Deno.test("classBalanced draws every class equally often and every picture before any again", () => {
  const labels = [...Array(90).fill(0), ...Array(9).fill(1), 2];
  const order = [...classBalanced(labels, Random.seeded(1)) as Uint32Array];
  assert.equal(order.length, 100);
  const counts = [0, 1, 2].map((label) => order.filter((index) => labels[index] === label).length);
  assert.ok(counts.every((count) => count === 33 || count === 34), `${counts}`);
  assert.equal(new Set(order.filter((index) => labels[index] === 0)).size, counts[0]);
  assert.equal(new Set(order.filter((index) => labels[index] === 1)).size, 9);
  assert.deepEqual([...inOrder([5, 5, 5], Random.seeded(1)) as Uint32Array], [0, 1, 2]);
  assert.deepEqual(
    [...shuffled(labels, Random.seeded(2)) as Uint32Array].sort((a, b) => a - b),
    labels.map((_, i) => i),
  );
});

Deno.test("groupBalanced draws every class equally often, in it every group, in it every picture before any again", () => {
  // class 0: a group of 60 frames and two drawings; class 1: one group of six
  const labels = [...Array(62).fill(0), ...Array(6).fill(1)];
  const groups = [...Array(60).fill("frames"), "drawing", "other", ...Array(6).fill("one")];
  const order = [...groupBalanced(groups)(labels, Random.seeded(1)) as Uint32Array];
  assert.equal(order.length, 68);
  const count = (name: string) => order.filter((index) => groups[index] === name).length;
  assert.deepEqual([count("frames") + count("drawing") + count("other"), count("one")], [34, 34]);
  for (const name of ["frames", "drawing", "other"]) {
    assert.ok([11, 12].includes(count(name)), `${name} ${count(name)}`);
  }
  assert.equal(new Set(order.filter((index) => groups[index] === "frames")).size, count("frames"));
  const six = order.filter((index) => groups[index] === "one");
  assert.equal(new Set(six.slice(0, 6)).size, 6);
  assert.throws(
    () => groupBalanced(["a"])([0, 1], Random.seeded(1)),
    /groupBalanced: expected a group for each of 2 pictures, found 1/,
  );
});

Deno.test("a loader names an option out of range, and a cache that vanished or was damaged under it", async () => {
  await withCache(async ({ rows }, cache) => {
    const make = (options: Partial<BatchLoaderOptions>) => () =>
      new BatchLoader(cache, rows, { batchSize: 4, size: 8, ...options });
    assert.throws(make({ batchSize: 0 }), /batchSize: expected a whole number in 1/);
    assert.throws(make({ size: 0.5 }), /size: expected a whole number/);
    assert.throws(make({ size: [] }), /size: expected at least one/);
    assert.throws(
      make({ batchSize: 100, dropLast: true }),
      /expected at least 100 pictures for one full batch, found 12/,
    );
    assert.throws(
      () => new BatchLoader(cache, [{ ...rows[0]!, imageSha256: "0".repeat(64) }], { batchSize: 1, size: 8 }),
      /expected picture 0001_001, found none/,
    );
    const bytes = await Deno.readFile(cache.path);
    bytes[bytes.length - 5]! ^= 1;
    await Deno.writeFile(cache.path, bytes);
    for (const workers of [0, 1]) {
      using loader = new BatchLoader(cache, rows, { batchSize: 12, size: 8, workers });
      await assert.rejects(collect(loader.epoch(0)), /expected the picture .* found other data/);
    }
  });
});
