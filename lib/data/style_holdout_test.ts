/** Tests of style_holdout.ts. */

import assert from "node:assert/strict";
import { findLeaks } from "./leakage.ts";
import type { ManifestRow, Split } from "./manifest.ts";
import { pictureStyle } from "./picture_style.ts";
import { holdOutStyle } from "./style_holdout.ts";

let count = 0;

function row(dex: number, style: string, split: Split, group: string): ManifestRow {
  const n = ++count;
  return {
    ...{ id: `${String(dex).padStart(4, "0")}_${String(n).padStart(3, "0")}`, dex, classId: dex - 1, split, group },
    ...{
      source: "sprites",
      path: `${style}/${n}.png`,
      sha256: "",
      image: "",
      width: 32,
      height: 32,
      transparent: true,
    },
    ...{ imageSha256: "", jpegSha256: "", fingerprint: "" },
  };
}

const rows = [
  row(1, "pixel", "train", "a"),
  row(1, "pixel", "train", "b"), // a near-duplicate of the next
  row(1, "web", "train", "b"),
  row(1, "pixel", "validation", "c"),
  row(1, "web", "test", "d"),
  row(1, "pixel", "test", "e"),
  row(2, "pixel", "train", "f"),
  row(2, "web", "validation", "g"),
  row(3, "web", "train", "h"), // the species has no other style
  row(4, "pixel", "train", "i"), // and this one none but a near-duplicate of the style
  row(4, "web", "test", "i"),
];
const ids = (found: readonly ManifestRow[]) => found.map((each) => rows.findIndex(({ id }) => id === each.id));

Deno.test("the style is only in test, and test holds only the style; groups that hold it leave training whole", () => {
  const { rows: found, pictures, leftOut } = holdOutStyle(rows, "web");
  assert.deepEqual(ids(found.filter(({ split }) => split !== "test")), [0, 3, 6]);
  assert.deepEqual(ids(found.filter(({ split }) => split === "test")), [2, 4, 7]);
  assert.ok(found.every((each) => (each.split === "test") === (pictureStyle(each) === "web")));
  assert.deepEqual(findLeaks(found), [], "no test picture has a near-duplicate in train");
  assert.deepEqual(pictures, { train: 2, validation: 1, test: 3 });
  assert.deepEqual(leftOut, { nearDuplicates: 2, otherStyles: 1, untested: 0, unlearnable: 2 });
  assert.equal(found.length + 2 + 1 + 0 + 2, rows.length, "every picture is kept or counted");
  assert.equal(rows[2]!.split, "train", "the rows that were given stay as they are");
});

Deno.test("tested: test keeps to the pictures that the whole data set tests on, with the same training", () => {
  const all = holdOutStyle(rows, "web"), own = holdOutStyle(rows, "web", { tested: "test" });
  assert.deepEqual(ids(own.rows.filter(({ split }) => split === "test")), [4]);
  const learnt = (found: readonly ManifestRow[]) => found.filter(({ split }) => split !== "test");
  assert.deepEqual(learnt(own.rows), learnt(all.rows));
  assert.deepEqual(own.leftOut, { nearDuplicates: 2, otherStyles: 1, untested: 3, unlearnable: 1 });
});

Deno.test("a style that no picture has is refused with those there are, and one that cannot be tested", () => {
  assert.throws(() => holdOutStyle(rows, "clay"), /^InputError: style: expected pixel, web, found "clay"$/);
  assert.throws(() => holdOutStyle([], "web"), /expected a style of some picture, found "web"/);
  assert.throws(
    () => holdOutStyle(rows.slice(8, 9), "web"),
    /style web: expected pictures of species that other styles teach, found none among its 1$/,
  );
});
