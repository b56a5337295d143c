/** Hard examples: what a validation tells, shares and frequencies of draws, resume. */

import assert from "node:assert/strict";
import { Random } from "../../runtime/mod.ts";
import { HardExamples, hardnessOf } from "./hard_examples.ts";
import { inOrder, shuffled } from "./sampler.ts";

/** 20 classes of 10 pictures: picture i is of class i / 10. */
const labels = Array.from({ length: 200 }, (_, index) => Math.floor(index / 10));
const classOf = (index: number) => labels[index]!;
const draw = (
  hard: HardExamples,
  epoch: number,
  of: readonly number[] = labels,
) => [...hard.sampler(of, Random.seeded("hard", epoch), epoch) as Uint32Array];
const batches = (order: number[], size: number) =>
  Array.from({ length: Math.ceil(order.length / size) }, (_, i) => order.slice(i * size, (i + 1) * size));

Deno.test("hardnessOf counts the wrong pairs both ways and takes the mean of each class's finite losses", () => {
  const found = hardnessOf({
    labels: [0, 0, 1, 1, 2, 2],
    predicted: [1, 0, 0, 2, 2, 2],
    losses: [2, 1, 3, Infinity, 0.5, NaN],
    classes: 4,
  });
  assert.deepEqual(found, { pairs: [[0, 1, 2], [1, 2, 1]], classes: [1.5, 3, 0.5, 0] });
  assert.deepEqual(hardnessOf({ labels: [0, 0, 1], predicted: [1, 0, 1], classes: 2 }).classes, [0.5, 0]);
  assert.throws(
    () => hardnessOf({ labels: [0], predicted: [], classes: 1 }),
    /hardnessOf: expected 1 predictions, found 0/,
  );
});

Deno.test("before a record, and with a share of 0, the order is the base sampler's", () => {
  const base = [...shuffled(labels, Random.seeded("hard", 5)) as Uint32Array];
  assert.deepEqual(draw(new HardExamples({ share: 0.5, batch: 10 }), 5), base);
  const none = new HardExamples({ share: 0, batch: 10, delay: 1 });
  none.record(0, { pairs: [[1, 2, 1]] });
  assert.deepEqual(draw(none, 5), base);
});

Deno.test("a share of every batch is pairs of classes that are taken for each other, side by side, as often as their weights say", () => {
  const hard = new HardExamples({ share: 0.5, batch: 8, base: inOrder, delay: 1 });
  hard.record(0, { pairs: [[3, 7, 30], [11, 12, 10], [5, 99, 1000]] }); // class 99 has no pictures
  let first = 0, all = 0;
  for (let epoch = 1; epoch <= 20; epoch++) {
    const order = draw(hard, epoch);
    assert.equal(order.length, 200);
    for (const [i, batch] of batches(order, 8).entries()) {
      assert.deepEqual(
        batch.slice(4),
        Array.from({ length: 4 }, (_, k) => 4 * i + k),
        "the rest is the base's, in its order",
      );
      for (const at of [0, 2]) {
        const pair = batch.slice(at, at + 2).map(classOf);
        assert.ok(["3,7", "11,12"].includes(String(pair)), `${pair}`);
        all++;
        if (pair[0] === 3) first++;
      }
    }
  }
  // 1,000 draws with probability 3/4: four standard deviations are 0.055.
  assert.ok(Math.abs(first / all - 0.75) < 0.055, `${first} of ${all}`);
});

Deno.test("a hard class's groups come in turns, and its pictures before any comes again", () => {
  const own = [0, 0, 0, 0, 1, 2, 2, 2], groups = ["a", "a", "a", "b", "c", "d", "d", "d"];
  const hard = new HardExamples({ share: 1, batch: 8, groups, delay: 1 });
  hard.record(0, { pairs: [[0, 1, 1]] });
  const zeros = draw(hard, 1, own).filter((index) => own[index] === 0);
  assert.equal(zeros.length, 4);
  assert.equal(zeros.filter((index) => groups[index] === "a").length, 2);
  assert.equal(new Set(zeros.filter((index) => groups[index] === "a")).size, 2);
});

Deno.test("without pairs the classes' weights decide, without them the pictures'; beside classes the pictures' choose within one", () => {
  const frequencies = (hardness: Parameters<HardExamples["record"]>[1]) => {
    const hard = new HardExamples({ share: 1, batch: 10, delay: 1 });
    hard.record(0, hardness);
    return Array.from({ length: 10 }, (_, i) => draw(hard, i + 1)).flat();
  };
  const share = (order: number[], of: (index: number) => boolean) => order.filter(of).length / order.length;
  // 2,000 draws: four standard deviations of a share of 0.75 are 0.039.
  const classes = labels.map(() => 0).slice(0, 20).with(4, 3).with(9, 1);
  const byClass = frequencies({ classes, pairs: [[0, 1, 0]] });
  assert.ok(Math.abs(share(byClass, (index) => classOf(index) === 4) - 0.75) < 0.039);
  assert.equal(share(byClass, (index) => [4, 9].includes(classOf(index))), 1);
  const pictures = labels.map(() => 0).with(0, 3).with(199, 1).with(45, 1);
  const byPicture = frequencies({ pictures });
  assert.ok(Math.abs(share(byPicture, (index) => index === 0) - 0.6) < 0.044);
  assert.deepEqual([...new Set(byPicture)].sort((a, b) => a - b), [0, 45, 199]);
  const both = frequencies({ classes, pictures });
  assert.deepEqual([...new Set(both.filter((index) => classOf(index) === 4))], [45]);
  assert.equal(
    new Set(both.filter((index) => classOf(index) === 9)).size,
    10,
    "a class without weights: all its pictures",
  );
});

Deno.test("the last batch has its share too, and a batch of one has no pair", () => {
  const hard = new HardExamples({ share: 0.5, batch: 4, base: inOrder, delay: 1 });
  hard.record(0, { pairs: [[1, 2, 1]] });
  const order = draw(hard, 1, [0, 0, 0, 0, 1, 1, 2, 2, 0]);
  assert.deepEqual(order.map((index) => Math.floor(index)).slice(8), [4], "two from the base in each batch before");
  assert.equal(order.length, 9);
});

Deno.test("an epoch follows the record of so many epochs before, whether later ones are there or not", () => {
  const hard = new HardExamples({ share: 1, batch: 2 });
  const classesOf = (epoch: number) => [...new Set(draw(hard, epoch).map(classOf))].sort((a, b) => a - b);
  hard.record(0, { pairs: [[0, 1, 1]] });
  assert.equal(classesOf(1).length, 20, "delay 2: nothing known yet");
  assert.deepEqual(classesOf(2), [0, 1]);
  hard.record(1, { pairs: [[2, 3, 1]] });
  assert.deepEqual(classesOf(2), [0, 1]);
  assert.deepEqual(classesOf(3), [2, 3]);
  hard.record(4, { pairs: [[4, 5, 1]] });
  assert.deepEqual(classesOf(5), [2, 3]);
  assert.deepEqual(classesOf(6), [4, 5]);
});

Deno.test("a resume that loads what was saved, as JSON, draws the same orders", () => {
  const make = () => new HardExamples({ share: 0.5, batch: 10 });
  const whole = make();
  const orders: number[][] = [];
  let saved = "";
  const record = (hard: HardExamples, epoch: number) =>
    hard.record(epoch, { pairs: [[epoch, epoch + 1, 2], [epoch, epoch + 5, 1]], classes: labels.slice(0, 20) });
  for (let epoch = 0; epoch < 8; epoch++) {
    orders.push(draw(whole, epoch));
    record(whole, epoch);
    if (epoch === 3) saved = JSON.stringify(whole.save());
  }
  const resumed = make();
  resumed.load(JSON.parse(saved));
  for (let epoch = 4; epoch < 8; epoch++) {
    assert.deepEqual(draw(resumed, epoch), orders[epoch]);
    record(resumed, epoch);
  }
  assert.ok(saved.length < 1500, "only the records that are still needed are kept");
});

Deno.test("a record that comes after an order that should have followed from it is refused, with the delay that is needed", () => {
  const hard = new HardExamples({ share: 0.5, batch: 10, delay: 1 });
  draw(hard, 1);
  assert.throws(
    () => hard.record(0, { pairs: [[0, 1, 1]] }),
    /delay: expected at least 2 epochs, for epoch 1 was drawn before the record of epoch 0, found 1/,
  );
});

Deno.test("settings, weights and states that make no sense are one line", () => {
  assert.throws(() => new HardExamples({ share: 2, batch: 4 }), /share: expected a number in 0 … 1, found 2/);
  assert.throws(() => new HardExamples({ share: 0.5, batch: 0 }), /batch: expected a whole number from 1, found 0/);
  assert.throws(
    () => new HardExamples({ share: 0.5, batch: 4, delay: 0 }),
    /delay: expected a whole number from 1, found 0/,
  );
  const hard = new HardExamples({ share: 0.5, batch: 4, delay: 1 });
  assert.throws(() => hard.record(0, { classes: [1, -1] }), /HardExamples: record: classes.1: /);
  assert.throws(() => hard.record(0, { classes: [NaN] }), /HardExamples: record: classes.0: /);
  assert.throws(() => hard.load({ records: 1 }), /HardExamples: load: records: /);
  hard.record(3, { pictures: [1] });
  assert.throws(() => hard.record(2, {}), /expected a record of epoch 3 or later, found 2/);
  assert.throws(() => draw(hard, 4), /pictures: expected a weight for each of 200, found 1/);
});
