/** Curricula against counts and formulas done by hand. */

import assert from "node:assert/strict";
import { Random } from "../../runtime/mod.ts";
import {
  curriculum,
  difficultyByLoss,
  difficultyByStyle,
  exponentialPacing,
  linearPacing,
  rootPacing,
} from "./curriculum.ts";
import { groupBalanced, inOrder } from "./sampler.ts";

const draw = (
  sampler: ReturnType<typeof curriculum>,
  labels: number[],
  epoch?: number,
) => [...sampler(labels, Random.seeded("curriculum", epoch ?? 0), epoch) as Uint32Array];

Deno.test("pacing functions have the values of their formulas, and everything from the last epoch on", () => {
  const linear = linearPacing({ start: 0.2, epochs: 8 });
  assert.deepEqual([0, 2, 4, 8, 100].map((epoch) => Number(linear(epoch).toFixed(12))), [0.2, 0.4, 0.6, 1, 1]);
  const root = rootPacing({ start: 0.6, epochs: 4 });
  // √0.36, √0.52, √0.68, √0.84, 1
  assert.deepEqual([0, 1, 2, 3, 4, 9].map((epoch) => Number((root(epoch) ** 2).toFixed(12))), [
    ...[0.36, 0.52, 0.68, 0.84, 1, 1],
  ]);
  const exponential = exponentialPacing({ start: 0.1, factor: 2, every: 3 });
  assert.deepEqual([0, 2, 3, 6, 9, 12].map(exponential), [0.1, 0.1, 0.2, 0.4, 0.8, 1]);
});

Deno.test("an epoch draws from the easiest share of each class only, each picture as often, as many draws as pictures", () => {
  // Class 0: ten pictures of difficulty 0 … 9; class 1: five of 9 … 5; class 2: one.
  const difficulty = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 8, 7, 6, 5, 3];
  const labels = [...Array(10).fill(0), ...Array(5).fill(1), 2];
  const sampler = curriculum({ difficulty, pacing: linearPacing({ start: 0.2, epochs: 4 }) });
  const sets = [0, 1, 2, 4].map((epoch) => {
    const order = draw(sampler, labels, epoch);
    assert.equal(order.length, 16);
    return [...new Set(order)].sort((a, b) => a - b);
  });
  assert.deepEqual(sets, [
    [0, 1, 14, 15], // 0.2: two of ten, one of five, one of one
    [0, 1, 2, 3, 13, 14, 15], // 0.4: four, two, one
    [0, 1, 2, 3, 4, 5, 12, 13, 14, 15], // 0.6: six, three, one
    labels.map((_, index) => index),
  ]);
  const counts = new Map<number, number>();
  for (const index of draw(sampler, labels, 0)) counts.set(index, (counts.get(index) ?? 0) + 1);
  assert.deepEqual([...counts.values()], [4, 4, 4, 4]);
});

Deno.test("pictures of one difficulty come in together, and an epoch without number is the first", () => {
  const sampler = curriculum({ difficulty: [0, 0, 0, 1, 1], pacing: linearPacing({ start: 0.2, epochs: 10 }) });
  assert.deepEqual([...new Set(draw(sampler, [0, 0, 0, 0, 0]))].sort(), [0, 1, 2]);
});

Deno.test("orders follow from seed and epoch alone", () => {
  const sampler = curriculum({ difficulty: [0, 1, 2, 3], pacing: rootPacing({ start: 0.5, epochs: 3 }) });
  assert.deepEqual(draw(sampler, [0, 0, 1, 1], 2), draw(sampler, [0, 0, 1, 1], 2));
});

Deno.test("the base sampler gets the pictures that are in: groups stay balanced", () => {
  const labels = Array(12).fill(0), difficulty = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1];
  const groups = ["a", "a", "a", "a", "a", "a", "a", "b", "c", "c", "c", "c"];
  const sampler = curriculum({
    difficulty,
    pacing: linearPacing({ start: 0.5, epochs: 2 }),
    base: (indices) => groupBalanced(indices.map((index) => groups[index]!)),
  });
  const order = draw(sampler, labels, 0);
  const count = (group: string) => order.filter((index) => groups[index] === group).length;
  // Eight draws a pass, four of each group; then half a pass more.
  assert.deepEqual([count("a"), count("b"), count("c")], [6, 6, 0]);
});

Deno.test("styles have the difficulty of the whole name, else of the last folder, else the other one", () => {
  const rows = ["0001/official-artwork/1.png", "0001/animated/back/1.gif", "0001/icons/back/1.png", "0001/home/1.png"]
    .map((path) => ({ path, dex: 1 }));
  const table = { "official-artwork": 0, "animated/back": 0.9, back: 0.7 };
  assert.deepEqual([...difficultyByStyle(rows, table, { other: 0.4 })], [0, 0.9, 0.7, 0.4]);
});

Deno.test("difficulty by loss is the rank, the same for the same loss; what is not a number is the hardest", () => {
  assert.deepEqual([...difficultyByLoss([0.5, 0.1, NaN, 0.5, 0.2])], [0.5, 0, 1, 0.5, 0.25]);
  assert.deepEqual([...difficultyByLoss([7])], [0]);
});

Deno.test("what makes no sense is one line that says what was expected", () => {
  const labels = [0, 0], pacing = linearPacing({ start: 0.5, epochs: 2 });
  const refused = (work: () => unknown, message: RegExp) => assert.throws(work, message);
  refused(() => linearPacing({ start: 0, epochs: 2 }), /linearPacing: start: expected a share above 0.*found 0/);
  refused(() => rootPacing({ start: 0.5, epochs: 0 }), /rootPacing: epochs: expected a number above 0, found 0/);
  refused(() => exponentialPacing({ start: 0.5, factor: 1, every: 2 }), /factor: expected a number above 1, found 1/);
  refused(() => draw(curriculum({ difficulty: [0], pacing }), labels), /a difficulty for each of 2 pictures, found 1/);
  refused(
    () => draw(curriculum({ difficulty: [0, NaN], pacing }), labels),
    /expected numbers, found NaN for picture 1/,
  );
  refused(
    () => draw(curriculum({ difficulty: [0, 1], pacing: () => 2 }), labels),
    /pacing: expected a share .* found 2/,
  );
  const none = () => () => inOrder([], Random.seeded(1));
  refused(() => draw(curriculum({ difficulty: [0, 1], pacing, base: none }), labels), /base: .* found an empty one/);
  const rows = [{ path: "0001/home/1.png", dex: 1 }];
  refused(() => difficultyByStyle(rows, { home: 2 }), /home: expected a number in 0 … 1, found 2/);
  refused(() => difficultyByStyle(rows, { hoem: 0.5 }), /expected styles of the pictures \(such as home\), found hoem/);
});
