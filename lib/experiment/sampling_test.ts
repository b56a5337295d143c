/** Tests of sampling.ts: the sampler of a training's settings, without training. */

import assert from "node:assert/strict";
import type { ManifestRow } from "../data/mod.ts";
import { Random } from "../runtime/mod.ts";
import { smallConfig } from "./fixture.ts";
import { hardnessIn, samplerOf, trainingSampler } from "./sampling.ts";

/** Four species with eight pictures each, of which two are easy ("front"), in four groups. */
const rows = Array.from({ length: 32 }, (_, i) => {
  const dex = 1 + Math.floor(i / 8), own = i % 8;
  const path = `${own < 2 ? "front" : "back"}/${own}.png`;
  return { dex, classId: dex - 1, group: `${dex}-${own % 4}`, path } as ManifestRow;
});
const labels = rows.map(({ classId }) => classId);
const config = (data: Record<string, unknown>) => smallConfig({ batch: 4 }, { data });
const order = (sampler: ReturnType<typeof samplerOf>, epoch: number) =>
  Array.from(sampler(labels, Random.seeded("order", epoch), epoch));
const batches = (order: readonly number[]) =>
  Array.from({ length: order.length / 4 }, (_, i) => order.slice(4 * i, 4 * i + 4));

Deno.test("without switches the sampler is that of its name", () => {
  for (const name of ["shuffled", "classBalanced", "groupBalanced", "positivePairs"] as const) {
    const { sampler, hard } = trainingSampler(config({ sampler: name }), rows);
    assert.equal(hard, undefined);
    assert.deepEqual(order(sampler, 3), order(samplerOf(name, rows, { batch: 4 }), 3));
  }
});

Deno.test("positive pairs are two pictures of a species, of different groups", () => {
  for (const batch of batches(order(samplerOf("positivePairs", rows, { batch: 4 }), 0))) {
    for (const [a, b] of [batch.slice(0, 2), batch.slice(2)] as [number, number][]) {
      assert.equal(labels[a], labels[b]);
      assert.notEqual(rows[a]!.group, rows[b]!.group);
    }
  }
});

Deno.test("a curriculum begins with the easy style and has everything at its end, drawn by the settings' sampler", () => {
  const curriculum = { pacing: "linear", start: 0.25, epochs: 4, styles: { front: 0, back: 1 } };
  for (const sampler of ["shuffled", "groupBalanced"] as const) {
    const drawn = (epoch: number) => order(trainingSampler(config({ sampler, curriculum }), rows).sampler, epoch);
    assert.ok(drawn(0).every((index) => rows[index]!.path.startsWith("front")));
    assert.equal(drawn(0).length, 32);
    assert.equal(new Set(drawn(4)).size, 32);
  }
  assert.throws(
    () => trainingSampler(config({ curriculum: { ...curriculum, styles: { icons: 1 } } }), rows),
    /expected styles of the pictures \(such as front\), found icons/,
  );
});

Deno.test("the share of each batch is of species taken for each other, once a validation may have told of them", () => {
  const settings = config({ hard: { share: 0.5 } });
  const { sampler, hard } = trainingSampler(settings, rows);
  const plain = samplerOf("shuffled", rows);
  order(sampler, 0);
  // Eight batches an epoch and eight drawn ahead: an epoch and the next may be drawn before a validation ends.
  const told = {
    labels: Int32Array.from([0, 1, 2, 3]),
    distributions: {
      "probabilities/best": {
        classes: 4,
        // The second is taken for the fourth; the others are right.
        values: Float32Array.of(0.7, 0.1, 0.1, 0.1, 0.1, 0.2, 0.1, 0.6, 0.1, 0.1, 0.7, 0.1, 0.1, 0.1, 0.1, 0.7),
      },
    },
    detected: [],
    losses: {},
  };
  const hardness = hardnessIn(told, "best", { classes: 4 });
  assert.deepEqual(hardness.pairs, [[1, 3, 1]]);
  const expected = [0.7, 0.2, 0.7, 0.7].map((p) => -Math.log(p));
  hardness.classes!.forEach((loss, i) => assert.ok(Math.abs(loss - expected[i]!) < 1e-6));
  hard!.record(0, hardness);
  for (const epoch of [1, 2]) assert.deepEqual(order(sampler, epoch), order(plain, epoch));
  for (const batch of batches(order(sampler, 3))) {
    assert.deepEqual(batch.slice(0, 2).map((index) => labels[index]), [1, 3]);
  }
});
