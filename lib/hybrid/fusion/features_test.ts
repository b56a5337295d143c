import assert from "node:assert/strict";
import { tensor, toNumbers } from "../../runtime/mod.ts";
import {
  type EmbeddedPictures,
  expectSameKind,
  featuresHash,
  type HybridFeatures,
  joinFeatures,
  type VisualFeatures,
  withClasses,
} from "./features.ts";

const split = { name: "train", hash: "0123456789abcdef" };
const seen: VisualFeatures = {
  visual: [tensor("float32", [3, 1], [1, 2, 3])],
  ...{ labels: Int32Array.of(0, 1, 0), pictures: ["a", "b", "c"], dex: [25, 4], split },
  model: { name: "net", identity: "n".repeat(64) },
};
const told: EmbeddedPictures = {
  embedding: tensor("float32", [3, 2], [10, 11, 20, 21, 30, 31]),
  ...{ labels: Int32Array.of(1, 1, 0), pictures: ["c", "a", "b"], dex: [4, 25], split },
  model: { name: "clip", identity: "c".repeat(64) },
};

Deno.test("embeddings are brought into the order of the picture network's pictures and classes", () => {
  const { embedding, visual, labels, dex, models } = joinFeatures(seen, told);
  assert.deepEqual(toNumbers(embedding), [20, 21, 30, 31, 10, 11]);
  assert.equal(visual, seen.visual);
  assert.deepEqual([...labels], [0, 1, 0]);
  assert.deepEqual(dex, [25, 4]);
  assert.deepEqual([models.visual.name, models.embedding.name], ["net", "clip"]);
});

Deno.test("features of other splits, pictures, classes or species are refused in a line that names both models", () => {
  const cases: [Partial<EmbeddedPictures>, RegExp][] = [
    [
      { split: { name: "train", hash: "fedcba9876543210" } },
      /^features of net and clip: expected one split, train of split 0123456789ab, found train of split fedcba987654$/,
    ],
    [{ split: { ...split, name: "test" } }, /net and clip: .* found test of split/],
    [{ dex: [4, 26] }, /net and clip: expected the same 2 species, found no species 25 of the second/],
    [{ dex: [4, 25, 26] }, /net and clip: expected the same 2 species, found 3/],
    [{ pictures: ["c", "a", "d"] }, /net and clip: expected picture b of both, found none/],
    [{ labels: Int32Array.of(1, 0, 0) }, /net and clip: expected picture a to show species 25, found 4/],
    [{ pictures: ["a", "a", "b"] }, /features of clip: expected a row a picture, found several/],
    [{ embedding: tensor("float32", [2, 2], [1, 2, 3, 4]) }, /clip: expected features \[3, width\] and 3 labels/],
    [{ labels: Int32Array.of(1, 2, 0) }, /clip: expected labels below 2, found 2/],
  ];
  for (const [change, message] of cases) assert.throws(() => joinFeatures(seen, { ...told, ...change }), { message });
});

Deno.test("train and validation of other models or another split are refused, naming both", () => {
  const train = joinFeatures(seen, told);
  const validation: HybridFeatures = { ...train, split: { ...split, name: "validation" } };
  expectSameKind(train, validation);
  const other = { ...train.models, embedding: { name: "siglip", identity: "s".repeat(64) } };
  assert.throws(
    () => expectSameKind(train, { ...validation, models: other }),
    /features of train and validation: expected one embedding model, found clip \(c{12}\) and siglip \(s{12}\)/,
  );
  assert.throws(
    () => expectSameKind(train, { ...validation, split: { name: "validation", hash: "fedcba9876543210" } }),
    /expected one split, found 0123456789ab and fedcba987654/,
  );
  assert.throws(() => expectSameKind(train, withClasses(validation, [4, 25])), /classes in one order, found others/);
  expectSameKind(train, withClasses(withClasses(validation, [4, 25]), [25, 4]));
  assert.throws(() => withClasses(validation, [25]), /expected species of the 1 classes, found 4 on picture b/);
});

Deno.test("hashes change with what counts", () => {
  const train = joinFeatures(seen, told), hash = featuresHash(train);
  assert.equal(featuresHash({ ...train }), hash);
  const changed = [
    { ...train, embedding: tensor("float32", [3, 2], [20, 21, 30, 31, 10, 12]) },
    { ...train, pictures: ["a", "b", "d"] },
    { ...train, labels: Int32Array.of(0, 1, 1) },
    { ...train, models: { ...train.models, visual: { name: "net", identity: "m".repeat(64) } } },
  ];
  for (const other of changed) assert.notEqual(featuresHash(other), hash);
});
