/** Tests of splits.ts. */

import assert from "node:assert/strict";
import { Random } from "../runtime/mod.ts";
import { splits } from "./manifest.ts";
import { assignSplits, countSplits, splitBalance, splitHash, type Splittable } from "./splits.ts";

/** Pictures of one species in groups of these sizes. */
function species(dex: number, sizes: readonly number[]): Splittable[] {
  return sizes.flatMap((size, group) =>
    Array.from({ length: size }, (_, k) => ({
      id: `${dex}_${group}_${k}`,
      dex,
      group: `${dex}-g${group}`,
      key: `${dex}-${group}-${k}`,
    }))
  );
}

const counts = (pictures: readonly Splittable[], seed: number) => {
  const result = assignSplits(pictures, { seed });
  return countSplits(pictures.map((picture) => ({ split: result.get(picture.id)! })));
};

Deno.test("100 single pictures split exactly 70 / 15 / 15, whatever the seed", () => {
  for (let seed = 0; seed < 20; seed++) {
    assert.deepEqual(counts(species(1, Array(100).fill(1)), seed), { train: 70, validation: 15, test: 15 });
  }
});

Deno.test("groups are never divided and every split has one when there are three groups or more", () => {
  const random = Random.seeded("sizes");
  for (let dex = 1; dex <= 150; dex++) {
    const sizes = Array.from({ length: 3 + random.int(12) }, () => 1 + random.int(random.pick([2, 4, 20])));
    const pictures = species(dex, sizes);
    const result = assignSplits(pictures, { seed: dex });
    for (const members of Map.groupBy(pictures, (picture) => picture.group).values()) {
      assert.equal(new Set(members.map((picture) => result.get(picture.id))).size, 1);
    }
    const found = countSplits(pictures.map((picture) => ({ split: result.get(picture.id)! })));
    for (const split of splits) assert.ok(found[split] > 0, `${sizes}: ${JSON.stringify(found)}`);
  }
});

Deno.test("a large group is for train, so that the shares stay near", () => {
  for (let seed = 0; seed < 20; seed++) {
    assert.deepEqual(counts(species(1, [14, 1, 1, 1, 1, 1, 1]), seed), { train: 14, validation: 3, test: 3 });
  }
});

Deno.test("two groups are for train and test, one group is for train", () => {
  for (let seed = 0; seed < 20; seed++) {
    assert.deepEqual(counts(species(1, [3, 1]), seed), { train: 3, validation: 0, test: 1 });
    assert.deepEqual(counts(species(1, [4]), seed), { train: 4, validation: 0, test: 0 });
  }
});

Deno.test("the splits depend on the seed, not on the order of the pictures", () => {
  const pictures = [...species(1, [3, 1, 2, 1, 1, 1, 4]), ...species(2, Array(30).fill(1))];
  const one = assignSplits(pictures, { seed: 7 });
  const shuffled = assignSplits(Random.seeded(1).shuffle(pictures), { seed: 7 });
  for (const { id } of pictures) assert.equal(shuffled.get(id), one.get(id));
  const other = assignSplits(pictures, { seed: 8 });
  assert.ok(pictures.some(({ id }) => other.get(id) !== one.get(id)));
});

Deno.test("a new picture moves few of the others", () => {
  const pictures = species(1, Array(200).fill(1));
  const before = assignSplits(pictures.slice(1), { seed: 1 });
  const after = assignSplits(pictures, { seed: 1 });
  const moved = pictures.slice(1).filter(({ id }) => before.get(id) !== after.get(id)).length;
  assert.ok(moved <= 3, `${moved} of 199 moved`);
});

Deno.test("the naive mode divides groups", () => {
  const pictures = species(1, Array(20).fill(5));
  const result = assignSplits(pictures, { seed: 1, mode: "naive" });
  const divided = [...Map.groupBy(pictures, (picture) => picture.group).values()]
    .filter((members) => new Set(members.map(({ id }) => result.get(id))).size > 1).length;
  assert.ok(divided >= 10, `${divided} of 20 groups divided`);
  assert.deepEqual(countSplits(pictures.map(({ id }) => ({ split: result.get(id)! }))), {
    train: 70,
    validation: 15,
    test: 15,
  });
});

Deno.test("splitBalance() counts pictures, shares and species without a split", () => {
  const rows = [["train", 1], ["train", 1], ["test", 1], ["train", 2]] as const;
  const balance = splitBalance(rows.map(([split, dex]) => ({ split, dex })));
  assert.deepEqual(balance.images, { train: 3, validation: 0, test: 1 });
  assert.deepEqual(balance.shares, { train: 0.75, validation: 0, test: 0.25 });
  assert.deepEqual(balance.speciesWithout, { train: 0, validation: 2, test: 1 });
  assert.ok(Math.abs(balance.meanTrainDeviation - (0.7 - 2 / 3 + 0.3) / 2) < 1e-12);
});

Deno.test("a split's hash is of pictures and their splits, not of their order, source or name", () => {
  const rows = [
    { sha256: "a", split: "train", source: "sprites", id: "0001_001" },
    { sha256: "b", split: "test", source: "sprites", id: "0001_002" },
  ] as const;
  const elsewhere = rows.map((row) => ({ ...row, source: "folder:/elsewhere", id: `${row.id}x` }));
  assert.equal(splitHash(rows), splitHash(elsewhere.toReversed()));
  assert.notEqual(splitHash(rows), splitHash([rows[0], { ...rows[1], split: "train" }]));
  assert.notEqual(splitHash(rows), splitHash([rows[0], { ...rows[1], sha256: "c" }]));
});
