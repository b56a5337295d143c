/** Batches of several pictures a class: counts done by hand. */

import assert from "node:assert/strict";
import { Random } from "../../runtime/mod.ts";
import { positivePairs, type PositivePairsOptions } from "./positive_pairs.ts";

const draw = (
  options: PositivePairsOptions,
  labels: readonly number[],
  seed = 1,
) => [...positivePairs(options)(labels, Random.seeded("pairs", seed)) as Uint32Array];
const parts = (order: number[], size: number) =>
  Array.from({ length: order.length / size }, (_, i) => order.slice(i * size, (i + 1) * size));

/** 12 classes, class c of 3 + c groups, each of two pictures: of styles "drawing" and "sprite" in turn. */
const table = Array.from(
  { length: 12 },
  (_, c) =>
    Array.from(
      { length: 3 + c },
      (_, g) => [0, 1].map(() => ({ label: c, group: `${c}-${g}`, style: g % 2 ? "sprite" : "drawing" })),
    ),
).flat(2);
const labels = table.map(({ label }) => label), groups = table.map(({ group }) => group);
const styles = table.map(({ style }) => style);

Deno.test("every batch has P classes of K pictures, of different groups, and an epoch the nearest number of whole batches", () => {
  for (const [batch, perClass] of [[8, 2], [12, 3], [9, 3]] as const) {
    const order = draw({ batch, perClass, groups }, labels);
    assert.equal(order.length, Math.round(labels.length / batch) * batch);
    for (const part of parts(order, batch)) {
      const byClass = Map.groupBy(part, (index) => labels[index]!);
      assert.equal(byClass.size, batch / perClass);
      for (const own of byClass.values()) {
        assert.equal(own.length, perClass);
        assert.equal(new Set(own.map((index) => groups[index])).size, perClass);
      }
    }
  }
});

Deno.test("classes come in turns, and a class's groups before any comes again", () => {
  const order = draw({ batch: 8, groups }, labels);
  for (const twelve of parts(order.slice(0, 192), 24)) {
    assert.equal(new Set(twelve.map((index) => labels[index])).size, 12);
  }
  const own = order.filter((index) => labels[index] === 11).slice(0, 14).map((index) => groups[index]);
  assert.equal(new Set(own).size, 14);
});

Deno.test("two pictures of a class are of different styles while groups of both are left", () => {
  const order = draw({ batch: 8, groups, styles }, labels);
  const firstRound = parts(order.slice(0, 24), 2);
  for (const pair of firstRound) assert.equal(new Set(pair.map((index) => styles[index])).size, 2);
  const plain = parts(draw({ batch: 8, groups }, labels).slice(0, 24), 2);
  assert.ok(plain.some(([a, b]) => styles[a!] === styles[b!]), "without styles some are not");
});

Deno.test("a class with fewer groups or pictures than asked for gives them again", () => {
  // Class 0: one group of three; class 1: one picture; class 2: two groups.
  const own = [0, 0, 0, 1, 2, 2], ownGroups = ["a", "a", "a", "b", "c", "d"];
  const order = draw({ batch: 9, perClass: 3, groups: ownGroups }, own);
  const byClass = Map.groupBy(order, (index) => own[index]!);
  assert.deepEqual(byClass.get(0)!.toSorted(), [0, 1, 2], "the pictures of its group in turns");
  assert.deepEqual(byClass.get(1), [3, 3, 3]);
  assert.deepEqual(new Set(byClass.get(2)), new Set([4, 5]));
});

Deno.test("few classes fill a batch with each several times, and the same seed gives the same order", () => {
  const order = draw({ batch: 8 }, [0, 0, 0, 1, 1, 1]);
  assert.equal(order.filter((index) => index < 3).length, 4);
  assert.deepEqual(draw({ batch: 8, groups, styles }, labels, 7), draw({ batch: 8, groups, styles }, labels, 7));
  assert.notDeepEqual(draw({ batch: 8, groups, styles }, labels, 7), draw({ batch: 8, groups, styles }, labels, 8));
});

Deno.test("settings that do not go together are refused", () => {
  assert.throws(() => positivePairs({ batch: 9 }), /batch: expected a multiple of perClass 2, found 9/);
  assert.throws(() => positivePairs({ batch: 8, perClass: 1 }), /perClass: expected a whole number from 2, found 1/);
  assert.throws(() => positivePairs({ batch: 2, perClass: 4 }), /batch: expected a whole number from 4, found 2/);
  assert.throws(() => draw({ batch: 8, groups: ["a"] }, labels), /positivePairs: expected a group for each of 204/);
  assert.throws(() => draw({ batch: 8, styles: ["a"] }, labels), /expected a style for each of 204 pictures, found 1/);
});
