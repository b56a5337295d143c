import assert from "node:assert/strict";
import { findLeaks, resplit } from "./leakage.ts";
import type { ManifestRow } from "./manifest.ts";

/** Ten groups of six pictures each. */
const rows: ManifestRow[] = Array.from({ length: 60 }, (_, index) => ({
  id: `0001_${String(index + 1).padStart(3, "0")}`,
  dex: 1,
  classId: 0,
  split: "train",
  group: `0001-g${String(Math.floor(index / 6) + 1).padStart(2, "0")}`,
  source: "folder:raw",
  path: `0001/${index}.png`,
  sha256: index.toString(16).padStart(64, "0"),
  image: `images/0001_${index}.webp`,
  width: 10,
  height: 10,
  transparent: false,
  imageSha256: "0".repeat(64),
  jpegSha256: "0".repeat(64),
  fingerprint: "",
}));

Deno.test("the grouped split leaks nothing", () => {
  for (const seed of [1, 2, 3]) {
    const split = resplit(rows, { seed, mode: "grouped" });
    assert.deepEqual(findLeaks(split, "test"), []);
    assert.deepEqual(findLeaks(split, "validation"), []);
    assert.equal(split.filter((row) => row.split === "train").length, 42);
  }
});

Deno.test("the naive split leaks, and every leak names a training picture of its group", () => {
  const split = resplit(rows, { seed: 1, mode: "naive" });
  const judged = split.filter((row) => row.split === "test");
  const leaks = findLeaks(split);
  // With 42 of 60 pictures in train, a picture has none of its five fellows there with probability about 0.3^5.
  assert.ok(leaks.length >= judged.length - 1 && judged.length === 9, `${leaks.length} of ${judged.length}`);
  for (const { row, seen } of leaks) {
    assert.equal(seen.group, row.group);
    assert.equal(seen.split, "train");
    assert.notEqual(seen.id, row.id);
  }
});
