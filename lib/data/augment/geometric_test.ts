/** Tests of geometric.ts and of the boxes in sample.ts. */

import assert from "node:assert/strict";
import { Random } from "../../runtime/mod.ts";
import { flip, perspective, rotation, scale, shear, translation } from "./geometric.ts";
import { mapPoint, rotating, scaling, translating } from "./homography.ts";
import { pictureFrom } from "./picture.ts";
import { Sample } from "./sample.ts";
import { chain, type Transform } from "./transform.ts";

/** Black, with a filled white rectangle that carries a box. */
function rectangleSample(side: number, left: number, top: number, right: number, bottom: number): Sample {
  const pixels = new Uint8Array(3 * side * side);
  for (let y = top; y < bottom; y++) pixels.fill(255, 3 * (side * y + left), 3 * (side * y + right));
  return new Sample(pictureFrom(pixels, side, side, 3), [{ classId: 7, weight: 1 }], [
    { classId: 7, weight: 1, left, top, right, bottom },
  ]);
}

/** The rectangle around the pixels that are at least half white. */
function pixelHull(sample: Sample) {
  const { data, width, height } = sample.render();
  let left = width, top = height, right = 0, bottom = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = 4 * (width * y + x);
      if (data[at]! * data[at + 3]! < 127 * 255) continue;
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y + 1);
    }
  }
  return { left, top, right, bottom };
}

const everything = chain(
  flip({ horizontal: 0.5, vertical: 0.5 }),
  rotation({ degrees: 180 }),
  scale({ lowest: 0.5, highest: 1.6 }),
  shear({ degrees: 20 }),
  perspective({ strength: 0.15 }),
  translation({ share: 0.3 }),
);
const alone: Transform[] = [flip(), rotation({ degrees: 60 }), scale(), shear(), perspective(), translation()];

Deno.test("boxes agree with the pixels after any geometric transform, clipped to the frame", async () => {
  let compared = 0, cut = 0;
  for (let trial = 0; trial < 300; trial++) {
    const random = Random.seeded("boxes", trial);
    const side = 64;
    const left = 4 + random.int(30), top = 4 + random.int(30);
    const sample = rectangleSample(side, left, top, left + 10 + random.int(18), top + 10 + random.int(18));
    await (trial % 2 ? everything : alone[(trial / 2) % alone.length]!).apply([sample], random);
    const [box] = sample.frameBoxes({ visibility: 0.3 });
    if (!box) continue;
    const found = pixelHull(sample);
    // A corner sharper than a pixel loses its tip in the pixels, never in the box.
    const slack = trial % 2 ? 2.5 : 1.5;
    for (const key of ["left", "top", "right", "bottom"] as const) {
      assert.ok(
        Math.abs(box[key] - found[key]) <= slack,
        `trial ${trial} ${key}: box ${box[key]}, pixels ${found[key]}`,
      );
      assert.ok(box[key] >= -1e-9 && box[key] <= side + 1e-9);
    }
    compared++;
    if (box.left < 1e-9 || box.top < 1e-9 || box.right > side - 1e-9 || box.bottom > side - 1e-9) cut++;
  }
  assert.ok(compared > 200 && cut > 20, `${compared} compared, ${cut} cut by the frame`);
});

Deno.test("a box that stays inside is exactly the hull of its four mapped corners", () => {
  for (let trial = 0; trial < 200; trial++) {
    const random = Random.seeded("corners", trial);
    const sample = new Sample(pictureFrom(new Uint8Array(3 * 100 * 100), 100, 100, 3), [], [
      { classId: 1, weight: 1, left: 40, top: 35, right: 60, bottom: 70 },
    ]);
    const tilt = random.uniform(-0.001, 0.001);
    const maps = [
      rotating(random.uniform(-0.1, 0.1)),
      scaling(random.uniform(0.8, 1.1), random.uniform(0.8, 1.1)),
      [1, 0.05, 0, 0, 1, 0, tilt, -tilt, 1] as const,
      translating(random.uniform(-5, 5), random.uniform(-5, 5)),
    ];
    const corners = ([[40, 35], [60, 35], [60, 70], [40, 70]] as [number, number][]).map((corner) =>
      maps.reduce((point, map) => mapPoint(map, ...point), corner)
    );
    for (const map of maps) sample.transform(map);
    const [box] = sample.frameBoxes();
    const xs = corners.map(([x]) => x), ys = corners.map(([, y]) => y);
    const expected = { left: Math.min(...xs), top: Math.min(...ys), right: Math.max(...xs), bottom: Math.max(...ys) };
    for (const key of ["left", "top", "right", "bottom"] as const) {
      assert.ok(Math.abs(box![key] - expected[key]) < 1e-9, `trial ${trial}: ${key}`);
    }
  }
});

Deno.test("turning by 45 degrees and back leaves the box as it was, not the hull of a hull", () => {
  const sample = rectangleSample(64, 20, 24, 44, 40);
  for (const angle of [Math.PI / 4, -Math.PI / 4]) {
    sample.transform(translating(-32, -32));
    sample.transform(rotating(angle));
    sample.transform(translating(32, 32));
  }
  const [box] = sample.frameBoxes();
  for (const [key, value] of Object.entries({ left: 20, top: 24, right: 44, bottom: 40 })) {
    assert.ok(Math.abs(box![key as "left"] - value) < 1e-9);
  }
});

Deno.test("a box is dropped below the visible share and kept above it, also over several renderings", () => {
  const visible = (shift: number, visibility: number, rendered: boolean) => {
    const sample = rectangleSample(40, 0, 10, 20, 30);
    sample.transform(translating(-shift / 2, 0));
    if (rendered) sample.render();
    sample.transform(translating(-shift / 2, 0));
    return sample.frameBoxes({ visibility }).length;
  };
  for (const rendered of [false, true]) {
    assert.equal(visible(14, 0.25, rendered), 1); // 30 % left
    assert.equal(visible(16, 0.25, rendered), 0); // 20 % left
    assert.equal(visible(30, 0, rendered), 0); // nothing left
  }
});

Deno.test("what left the frame before a rendering does not come back with its box", () => {
  const sample = rectangleSample(40, 0, 0, 40, 40);
  sample.transform(translating(-20, 0));
  sample.render();
  sample.transform(translating(20, 0));
  const [box] = sample.frameBoxes();
  assert.deepEqual([box!.left, box!.right], [20, 40]);
});

Deno.test("each geometric transform keeps within the range that its options name", async () => {
  const centre = async (transform: Transform, seed: number) => {
    const sample = rectangleSample(100, 45, 45, 55, 55);
    await transform.apply([sample], Random.seeded(seed));
    const { left, top, right, bottom } = sample.frameBoxes()[0]!;
    return { x: (left + right) / 2, y: (top + bottom) / 2, width: right - left, height: bottom - top };
  };
  const seen = { x: [] as number[], width: [] as number[] };
  for (let seed = 0; seed < 200; seed++) {
    const moved = await centre(translation({ share: 0.2 }), seed);
    assert.ok(Math.abs(moved.x - 50) <= 20 + 1e-9 && Math.abs(moved.y - 50) <= 20 + 1e-9);
    seen.x.push(moved.x);
    const scaled = await centre(scale({ lowest: 0.5, highest: 2 }), seed);
    assert.ok(scaled.width >= 5 - 1e-9 && scaled.width <= 20 + 1e-9);
    seen.width.push(scaled.width);
    const turned = await centre(rotation({ degrees: 30 }), seed);
    // Width of a turned square: side * (|cos| + |sin|).
    assert.ok(turned.width <= 10 * (Math.cos(Math.PI / 6) + 0.5) + 1e-9);
  }
  assert.ok(Math.min(...seen.x) < 33 && Math.max(...seen.x) > 67, "the range is used");
  const smaller = seen.width.filter((width) => width < 10).length;
  assert.ok(smaller > 70 && smaller < 130, `as often smaller as larger: ${smaller} of 200`);
});

Deno.test("perspective() refuses a strength that could cross the corners", () => {
  assert.throws(() => perspective({ strength: 0.25 }), /expected a strength in 0 … 0.25/);
});
