/** Tests of sample_shots.ts. */

import assert from "node:assert/strict";
import { InputError, Random } from "../../runtime/mod.ts";
import { sampleShots } from "./sample_shots.ts";

const labels = Array.from({ length: 40 }, (_, i) => i < 3 ? 2 : i % 2); // classes of 19, 18 and 3 pictures
const draw = (shots: number | "all", seed?: number, groups?: number[]) =>
  sampleShots(labels, shots, Random.seeded("shots", seed ?? 0), groups);
const countOf = (indices: number[], label: number) => indices.filter((i) => labels[i] === label).length;

Deno.test("each class has so many pictures, or all of them; none comes twice", () => {
  const drawn = draw(8);
  assert.deepEqual([0, 1, 2].map((label) => countOf(drawn, label)), [8, 8, 3]);
  assert.equal(new Set(drawn).size, drawn.length);
  assert.deepEqual(draw("all"), labels.map((_, i) => i));
});

Deno.test("the same seed draws the same, another one others, and few shots are among more", () => {
  assert.deepEqual(draw(4), draw(4));
  assert.notDeepEqual(draw(4), draw(4, 1));
  const more = new Set(draw(8));
  assert.ok(draw(4).every((index) => more.has(index)));
});

Deno.test("pictures of different groups come first", () => {
  const groups = labels.map((_, i) => i % 8); // of class 0 and 1 four groups each
  for (let seed = 0; seed < 5; seed++) {
    const drawn = draw(4, seed, groups).filter((i) => labels[i] !== 2);
    assert.equal(new Set(drawn.map((i) => groups[i])).size, 8);
    assert.equal(countOf(draw(6, seed, groups), 0), 6); // more than there are groups
  }
});

Deno.test("shots and groups that make no sense are refused", () => {
  assert.throws(() => draw(0), InputError);
  assert.throws(() => draw(1.5), InputError);
  assert.throws(() => draw(1, 0, [1]), /expected 40 groups, one a picture, found 1/);
});
