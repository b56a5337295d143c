/** Tests of transform.ts, mixing.ts, registry.ts and presets.ts. */

import assert from "node:assert/strict";
import { InputError, Random } from "../../runtime/mod.ts";
import { brightness } from "./photometric.ts";
import { flip } from "./geometric.ts";
import { letterbox } from "./letterbox.ts";
import { mixup, mosaic } from "./mixing.ts";
import { pictureFrom } from "./picture.ts";
import { fullAugmentation, lightAugmentation } from "./presets.ts";
import { reviveTransform, type TransformName, transforms } from "./registry.ts";
import { Sample } from "./sample.ts";
import { chain, describeTransform, oneOf, sometimes, type Transform, unchanged } from "./transform.ts";

const side = 32;

/** Random pictures, every second one with transparent parts. */
function batch(count: number, seed = "batch"): Sample[] {
  return Array.from({ length: count }, (_, index) => {
    const random = Random.seeded(seed, index);
    const pixels = Uint8Array.from(
      { length: 4 * side * side },
      (_, at) => at % 4 === 3 ? (index % 2 ? 255 : random.pick([0, 128, 255])) : random.int(256),
    );
    return new Sample(pictureFrom(pixels, side, side, 4), [{ classId: index, weight: 1 }], [
      { classId: index, weight: 1, left: 4, top: 6, right: 28, bottom: 30 },
    ]);
  });
}

function plainBatch(values: readonly number[]): Sample[] {
  return values.map((value, classId) =>
    new Sample(pictureFrom(new Uint8Array(3 * side * side).fill(value), side, side, 3), [{ classId, weight: 1 }], [
      { classId, weight: 1, left: 0, top: 0, right: side, bottom: side },
    ])
  );
}

async function outcome(transform: Transform, samples: Sample[], seed: number) {
  return (await transform.apply(samples, Random.seeded("outcome", seed))).map((sample) => ({
    pixels: sample.render().data,
    opaque: sample.render().opaque,
    boxes: sample.frameBoxes(),
    targets: sample.targets,
  }));
}

const each: [string, Transform][] = [
  ...Object.entries(transforms).map(([name, make]): [string, Transform] => [name, (make as () => Transform)()]),
  ["light", lightAugmentation()],
  ["full", fullAugmentation()],
];
const mixing = ["mosaic", "mixup", "scene"];

for (const [name, transform] of each) {
  Deno.test(`${name}: the same stream gives the same pixels, boxes and labels, also from its description`, async () => {
    const first = await outcome(transform, batch(6), 1);
    assert.deepEqual(await outcome(transform, batch(6), 1), first);
    const revived = reviveTransform(JSON.parse(JSON.stringify(describeTransform(transform))));
    assert.deepEqual(await outcome(revived, batch(6), 1), first);
    if (name !== "unchanged" && name !== "plain") assert.notDeepEqual(await outcome(transform, batch(6), 2), first);
    for (const { targets, opaque, pixels } of first) {
      assert.ok(Math.abs(targets.reduce((sum, { weight }) => sum + weight, 0) - 1) < 1e-9);
      assert.equal(opaque, pixels.every((value, at) => at % 4 !== 3 || value === 255), "opaque tells the truth");
    }
  });
}

for (const [name, transform] of each.filter(([name]) => !mixing.includes(name))) {
  Deno.test(`${name}: what happens to a picture does not depend on its neighbours`, async () => {
    const full = await outcome(transform, batch(6), 3);
    const replaced = batch(6);
    replaced[0] = batch(1, "another")[0]!;
    replaced[5] = batch(1, "third")[0]!;
    const others = await outcome(transform, replaced, 3);
    assert.deepEqual(others.slice(1, 5), full.slice(1, 5));
  });
}

Deno.test("mixup blends pixels, labels and boxes with one lambda", async () => {
  const mixed = await mixup({ alpha: 1 }).apply(plainBatch([0, 50, 100, 150, 200, 250]), Random.seeded("mixup"));
  let blended = 0;
  for (const [index, sample] of mixed.entries()) {
    const value = sample.targets.reduce((sum, { classId, weight }) => sum + weight * 50 * classId, 0);
    assert.ok(Math.abs(sample.render().data[0]! - value) <= 0.51);
    assert.equal(sample.targets[0]!.classId, index);
    assert.ok(sample.targets[0]!.weight >= (sample.targets[1]?.weight ?? 0), "the heaviest class comes first");
    if (sample.targets.length === 2) blended++;
    const weights = new Map(sample.frameBoxes().map(({ classId, weight }) => [classId, weight]));
    for (const { classId, weight } of sample.targets) assert.ok(Math.abs(weights.get(classId)! - weight) < 1e-12);
  }
  assert.ok(blended >= 4, `${blended} blended`);
});

Deno.test("mixup's lambda has the variance of its Beta distribution", async () => {
  for (const alpha of [0.2, 1, 3]) {
    const lambdas: number[] = [];
    for (let seed = 0; seed < 40; seed++) {
      const samples = Array.from(
        { length: 32 },
        (_, classId) => new Sample(pictureFrom(new Uint8Array(3), 1, 1, 3), [{ classId, weight: 1 }]),
      );
      const mixed = await mixup({ alpha }).apply(samples, Random.seeded("lambda", seed));
      for (const [index, { targets }] of mixed.entries()) {
        if (targets.length === 2) lambdas.push(targets.find(({ classId }) => classId === index)!.weight);
      }
    }
    assert.ok(lambdas.every((value) => value >= 0.5 && value <= 1), "every picture is the main one of its blend");
    // Beta(a, a): mean 1/2, variance 1 / (4 (2a + 1)); folding it at 1/2 leaves the squared distance from there.
    const variance = lambdas.reduce((sum, value) => sum + (value - 0.5) ** 2, 0) / lambdas.length;
    assert.ok(Math.abs(variance * 4 * (2 * alpha + 1) - 1) < 0.12, `alpha ${alpha}: variance ${variance}`);
  }
});

Deno.test("a mosaic shows four quadrants, and labels, boxes and pixels agree on their sizes", async () => {
  const values = [10, 60, 110, 160, 210];
  for (let seed = 0; seed < 30; seed++) {
    const mixed = await mosaic().apply(plainBatch(values), Random.seeded("mosaic", seed));
    for (const [index, sample] of mixed.entries()) {
      const { data, opaque } = sample.render();
      assert.equal(opaque, true);
      const area = new Map<number, number>();
      for (let at = 0; at < data.length; at += 4) {
        const classId = values.indexOf(data[at]!);
        assert.ok(classId >= 0, `no blend: ${data[at]}`);
        area.set(classId, (area.get(classId) ?? 0) + 1 / (side * side));
      }
      assert.ok(area.has(index), "the sample itself is among them");
      assert.equal(sample.targets.length, area.size);
      for (const { classId, weight } of sample.targets) assert.ok(Math.abs(weight - area.get(classId)!) < 1e-9);
      const boxes = sample.frameBoxes({ visibility: 0 });
      assert.equal(boxes.length, 4);
      let covered = 0;
      for (const { classId, left, top, right, bottom } of boxes) {
        assert.equal(
          data[4 * (side * Math.round((top + bottom - 1) / 2) + Math.round((left + right - 1) / 2))],
          values[classId],
        );
        covered += (right - left) * (bottom - top);
      }
      assert.ok(Math.abs(covered - side * side) < 1e-6, "the boxes tile the frame");
    }
  }
});

Deno.test("sometimes() applies with its probability and oneOf() each of its transforms", async () => {
  const changed = async (transform: Transform) => {
    let count = 0;
    for (let seed = 0; seed < 20; seed++) {
      const samples = plainBatch(Array.from({ length: 50 }, () => 100));
      const bright = await transform.apply(samples, Random.seeded("often", seed));
      count += bright.filter((sample) => sample.render().data[0] !== 100).length;
    }
    return count / 1000;
  };
  // Binomial with n = 1000: four deviations are at most 0.06.
  assert.ok(Math.abs(await changed(sometimes(0.3, brightness({ strength: 0.9 }))) - 0.3) < 0.06);
  assert.ok(Math.abs(await changed(oneOf(unchanged(), brightness({ strength: 0.9 }), unchanged())) - 1 / 3) < 0.06);
  assert.equal(await changed(sometimes(0, brightness())), 0);
});

Deno.test("a transform added at the end of a chain leaves the draws of the others as they were", async () => {
  const short = await outcome(chain(flip(), brightness()), batch(4), 5);
  const long = await outcome(chain(flip(), brightness(), unchanged()), batch(4), 5);
  assert.deepEqual(long, short);
});

Deno.test("reviveTransform() names what is wrong in a description", () => {
  const wrong: [unknown, RegExp][] = [
    [null, /expected \{name, options\}, found null/],
    [{ name: "blur" }, /expected one of flip, rotation.*found "blur"/],
    [{ name: "toString" }, /found "toString"/],
    [{ name: "flip", options: { horizontl: 1 } }, /flip: expected horizontal, vertical, found "horizontl"/],
    [{ name: "flip", options: { horizontal: "1" } }, /flip: horizontal: expected a number, found "1"/],
    [{ name: "flip", options: { horizontal: null } }, /flip: horizontal: expected a number, found null/],
    [{ name: "flip", option: {} }, /expected name and options, found "option"/],
    [{ name: "flip", options: [] }, /expected a map of options, found \[\]/],
    [{ name: "chain", options: {} }, /chain: expected \{transforms: \[…\]\}/],
    [{ name: "oneOf", options: { transforms: [] } }, /oneOf: expected \{transforms: \[…\]\}/],
    [
      { name: "sometimes", options: { probability: 2, transform: { name: "flip" } } },
      /sometimes: expected \{probability: 0 … 1/,
    ],
    [{ name: "perspective", options: { strength: 0.4 } }, /perspective: expected a strength in 0 … 0.25, found 0.4/],
    [
      { name: "chain", options: { transforms: [{ name: "flip" }, { name: "gamma", options: { highest: 0.5 } }] } },
      /gamma: expected a highest power/,
    ],
  ];
  for (const [spec, message] of wrong) {
    assert.throws(
      () => reviveTransform(spec),
      (error: Error) => error instanceof InputError && message.test(error.message),
      JSON.stringify(spec),
    );
  }
  assert.deepEqual(reviveTransform({ name: "rotation", options: { degrees: 5 } }).options, { degrees: 5 });
  assert.equal(Object.keys(transforms).includes("rotation" satisfies TransformName), true);
});

Deno.test("letterbox() puts a picture in the middle of its square and its content's box with it", () => {
  const pixels = new Uint8Array(3 * 40 * 20).fill(200);
  const sample = letterbox(pictureFrom(pixels, 40, 20, 3), 80, 5, {
    content: { left: 10, top: 5, right: 30, bottom: 15 },
  });
  const { data, width, height } = sample.render();
  assert.deepEqual([width, height], [80, 80]);
  const alpha = (x: number, y: number) => data[4 * (80 * y + x) + 3];
  assert.deepEqual([alpha(0, 19), alpha(0, 20), alpha(79, 59), alpha(79, 60)], [0, 255, 255, 0]);
  assert.deepEqual(sample.frameBoxes(), [{ classId: 5, weight: 1, left: 20, top: 30, right: 60, bottom: 50 }]);
  const view = { left: 10, top: 5, right: 30, bottom: 15 }; // twice as wide as high: 4 pixels of the frame for each
  const [shown] = letterbox(pictureFrom(pixels, 40, 20, 3), 80, 5, { view, content: view }).frameBoxes();
  assert.deepEqual([shown!.left, shown!.top, shown!.right, shown!.bottom], [0, 20, 80, 60]);
  const whole = letterbox(pictureFrom(pixels, 40, 20, 3), 80, 5).frameBoxes();
  assert.deepEqual(whole, [{ classId: 5, weight: 1, left: 0, top: 0, right: 80, bottom: 80 }]);
});
