/** Tests of scene.ts: boxes against the pixels themselves. */

import assert from "node:assert/strict";
import { Random } from "../../runtime/mod.ts";
import { pictureFrom } from "./picture.ts";
import { Sample } from "./sample.ts";
import { scene } from "./scene.ts";

const side = 64;

/** Cut-outs in pure colours, each a disc, a ring or a bar somewhere in its frame; the class is the colour. */
const COLOURS = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]] as const;

function cutOuts(seed: number): Sample[] {
  return COLOURS.map((colour, classId) => {
    const random = Random.seeded("cut-out", seed, classId);
    const [x, y, r] = [random.uniform(20, 44), random.uniform(20, 44), random.uniform(8, 18)];
    const inside = [
      (u: number, v: number) => Math.hypot(u, v) < r,
      (u: number, v: number) => Math.hypot(u, v) < r && Math.hypot(u, v) > r / 2,
      (u: number, v: number) => Math.abs(u) < r && Math.abs(v) < r / 4,
      (u: number, v: number) => Math.abs(u) + Math.abs(v) < r,
    ][classId]!;
    const pixels = new Uint8Array(4 * side * side);
    for (let i = 0; i < side * side; i++) {
      if (inside(i % side + 0.5 - x, Math.floor(i / side) + 0.5 - y)) pixels.set([...colour, 255], 4 * i);
    }
    // The label's own box is the whole frame, as in the YOLO data set.
    return new Sample(pictureFrom(pixels, side, side, 4), [{ classId, weight: 1 }], [
      { classId, weight: 1, left: 0, top: 0, right: side, bottom: side },
    ]);
  });
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

Deno.test("boxes bound the pixels with an alpha from 16 exactly, and no such pixel lies outside all boxes", async () => {
  let objects = 0;
  for (let seed = 0; seed < 25; seed++) {
    const scenes = await scene({ overlap: 0, kinds: [] }).apply(cutOuts(seed), Random.seeded("scene", seed));
    for (const result of scenes) {
      const { data } = result.render(), boxes = result.frameBoxes({ visibility: 0 });
      const seen = (x: number, y: number) => data[4 * (y * side + x) + 3]! >= 16;
      objects += boxes.length;
      for (const { left, top, right, bottom } of boxes) {
        const row = (y: number) => range(left, right).some((x) => seen(x, y));
        const column = (x: number) => range(top, bottom).some((y) => seen(x, y));
        assert.ok(row(top) && row(bottom - 1) && column(left) && column(right - 1), `seed ${seed}: a box is too large`);
      }
      for (let i = 0; i < side * side; i++) {
        const x = i % side, y = Math.floor(i / side);
        const boxed = boxes.some((box) => x >= box.left && x < box.right && y >= box.top && y < box.bottom);
        assert.ok(boxed || !seen(x, y), `seed ${seed}: (${x}, ${y}) lies outside all boxes`);
      }
    }
  }
  assert.ok(objects > 150, `${objects} objects in 100 scenes of 1 to 4`);
});

Deno.test("a box has the class of what is in it, and the sample itself is the first object", async () => {
  for (let seed = 0; seed < 10; seed++) {
    const scenes = await scene({ overlap: 0, kinds: ["plain"] }).apply(cutOuts(seed), Random.seeded("classes", seed));
    scenes.forEach((result, index) => {
      const { data, opaque } = result.render(), boxes = result.frameBoxes();
      assert.equal(opaque, true);
      assert.equal(boxes[0]!.classId, index);
      for (const { classId, left, top, right, bottom } of boxes) {
        const pure = range(top, bottom).flatMap((y) => range(left, right).map((x) => 4 * (y * side + x)))
          .filter((at) => COLOURS[classId]!.every((value, k) => Math.abs(data[at + k]! - value) <= 1));
        assert.ok(
          pure.length > 4,
          `seed ${seed}, scene ${index}: class ${classId}: ${pure.length} pixels of its colour`,
        );
      }
    });
  }
});

Deno.test("sizes, numbers and overlap stay within the options", async () => {
  const options = { fewest: 2, most: 6, smallest: 0.2, largest: 0.6, overlap: 0.3 };
  const counts = new Set<number>();
  for (let seed = 0; seed < 25; seed++) {
    for (const result of await scene(options).apply(cutOuts(seed), Random.seeded("limits", seed))) {
      const boxes = result.frameBoxes();
      counts.add(boxes.length);
      assert.ok(boxes.length >= 1 && boxes.length <= 6);
      boxes.forEach((box, i) => {
        const [w, h] = [box.right - box.left, box.bottom - box.top];
        // Two pixels for the smoothed edges.
        assert.ok(Math.max(w, h) > 0.2 * side - 2 && Math.max(w, h) < 0.6 * side + 3, `${w} x ${h}`);
        assert.ok(box.left >= 0 && box.top >= 0 && box.right <= side && box.bottom <= side);
        for (const later of boxes.slice(i + 1)) {
          const overlapX = Math.min(box.right, later.right) - Math.max(box.left, later.left);
          const overlapY = Math.min(box.bottom, later.bottom) - Math.max(box.top, later.top);
          assert.ok(Math.max(0, overlapX) * Math.max(0, overlapY) <= 0.3 * w * h + 1e-9);
        }
      });
    }
  }
  assert.ok(counts.size >= 4, `numbers of objects: ${[...counts]}`);
});

Deno.test("a class of the scene weighs as much as its boxes' area", async () => {
  for (const result of await scene({ fewest: 3 }).apply(cutOuts(1), Random.seeded("weights"))) {
    const boxes = result.frameBoxes();
    const area = (classId: number) =>
      boxes.filter((box) => box.classId === classId)
        .reduce((sum, { left, top, right, bottom }) => sum + (right - left) * (bottom - top), 0);
    const whole = COLOURS.reduce((sum, _, classId) => sum + area(classId), 0);
    for (const { classId, weight } of result.targets) assert.ok(Math.abs(weight - area(classId) / whole) < 1e-9);
  }
});

Deno.test("a sample in which nothing can be seen becomes background without boxes and keeps its class", async () => {
  const blank = new Sample(pictureFrom(new Uint8Array(4 * side * side), side, side, 4), [{ classId: 3, weight: 1 }]);
  const [result] = await scene({ most: 1 }).apply([blank], Random.seeded("blank"));
  assert.deepEqual([result!.frameBoxes(), result!.targets], [[], [{ classId: 3, weight: 1 }]]);
  assert.equal(result!.render().opaque, true);
});

Deno.test("scene() refuses options out of range", () => {
  assert.throws(() => scene({ fewest: 0 }), /fewest and most to be whole numbers, 1 ≤ fewest ≤ most, found 0 and 4/);
  assert.throws(() => scene({ smallest: 0.6, largest: 0.5 }), /0 < smallest ≤ largest ≤ 1, found 0.6 and 0.5/);
  assert.throws(() => scene({ overlap: 1.5 }), /overlap in 0 … 1, found 1.5/);
});
