import assert from "node:assert/strict";
import type { ManifestRow } from "../data/mod.ts";
import { species } from "../species/mod.ts";
import type { Dataset } from "./dataset.ts";
import { shareOfTraining } from "./training_share.ts";

const row = (dex: number, group: number, picture: number) =>
  ({
    id: `${dex}_${group}_${picture}`,
    dex,
    classId: dex - 1,
    group: `${dex}-g${group}`,
    split: "train",
  }) as ManifestRow;

/** Forty species with forty groups of two pictures each, and one with a single group. */
const train = [
  ...Array.from({ length: 40 * 40 * 2 }, (_, i) => row(1 + Math.floor(i / 80), Math.floor(i / 2) % 40, i % 2)),
  row(41, 0, 0),
];
const dataset: Dataset = {
  ...{ dataFolder: "data", classes: species.slice(0, 41), sources: [], splitMode: "as built" },
  rows: { train, validation: train.slice(0, 5), test: train.slice(0, 7) },
};
const ids = ({ rows }: Dataset) => rows.train.map(({ id }) => id);

Deno.test("a share of the training pictures has whole groups, every species, and about so many", () => {
  const half = shareOfTraining(dataset, 0.5);
  const share = half.rows.train.length / train.length;
  assert.ok(Math.abs(share - 0.5) < 5 * Math.sqrt(0.25 / 1600), `${share}`); // five deviations of 1,600 draws
  const pictures = Map.groupBy(half.rows.train, ({ group }) => group);
  assert.ok([...pictures].every(([group, rows]) => group === "41-g0" || rows.length === 2));
  for (const tiny of [half, shareOfTraining(dataset, 1e-9)]) {
    assert.equal(new Set(tiny.rows.train.map(({ dex }) => dex)).size, 41);
  }
  assert.deepEqual([half.rows.validation.length, half.rows.test.length], [5, 7]);
});

Deno.test("smaller shares are parts of larger ones; the same share again and the whole change nothing", () => {
  const [small, large] = [shareOfTraining(dataset, 0.2), shareOfTraining(dataset, 0.6)];
  const larger = new Set(ids(large));
  assert.ok(ids(small).every((id) => larger.has(id)));
  assert.deepEqual(ids(shareOfTraining(large, 0.6)), ids(large));
  assert.deepEqual(ids(shareOfTraining(large, 0.2)), ids(small));
  assert.equal(shareOfTraining(dataset, 1), dataset);
});
