import assert from "node:assert/strict";
import { splitHash } from "../data/mod.ts";
import { learnedFrom } from "./same_split.ts";

Deno.test("a card is of a data set with as many pictures of the same species, and of no other", () => {
  const rows = { train: [1, 2, 3], validation: [4], test: [5, 6] } as never;
  const dataset = { rows, classes: [{ dex: 1 }, { dex: 4 }], splitMode: "as built" } as never;
  const card = (pictures: object, dex = [1, 4], split = "as built") =>
    ({ trainedOn: { pictures, split }, classes: { dex } }) as never;
  const counts = { train: 3, validation: 1, test: 2 };
  assert.ok(learnedFrom(card(counts), dataset));
  assert.ok(!learnedFrom(card({ ...counts, test: 3 }), dataset));
  assert.ok(!learnedFrom(card(counts, [1, 7]), dataset));
  assert.ok(!learnedFrom(card(counts, [1, 4], "naive"), dataset));
});

Deno.test("a card that knows its split's hash is of these very pictures in these very parts, whatever their number", () => {
  const row = (sha256: string, split: "train" | "validation" | "test") => ({ sha256, split });
  const rows = { train: [row("a", "train")], validation: [row("b", "validation")], test: [row("c", "test")] };
  const dataset = (of: object) => ({ rows: of, classes: [{ dex: 1 }], splitMode: "as built" }) as never;
  const pictures = { train: 1, validation: 1, test: 1 };
  const hash = splitHash(Object.values(rows).flat());
  const card = { trainedOn: { pictures, split: "as built", splitHash: hash }, classes: { dex: [1] } } as never;
  assert.ok(learnedFrom(card, dataset(rows)));
  assert.ok(!learnedFrom(card, dataset({ ...rows, test: [row("d", "test")] })));
  const exchanged = { train: [row("b", "train")], validation: [row("a", "validation")], test: rows.test };
  assert.ok(!learnedFrom(card, dataset(exchanged)));
});
