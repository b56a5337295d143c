/** Tests of batches.ts. */

import assert from "node:assert/strict";
import { smallBatch } from "../small_network.ts";
import { type BatchSource, groupBatches, nominalBatch } from "./batches.ts";

Deno.test("nominalBatch() accumulates as Ultralytics' trainer does", () => {
  // python3: max(round(nbs / batch), 1), batch * accumulate / nbs
  const table = [[64, 16, 4, 1], [64, 24, 3, 1.125], [64, 48, 1, 0.75], [64, 128, 1, 2], [40, 16, 2, 0.8], [
    56,
    16,
    4,
    64 / 56,
  ]];
  for (const [nominal, batch, accumulate, decayFactor] of table) {
    assert.deepEqual(nominalBatch({ nominal: nominal!, batch: batch! }), {
      accumulate,
      decayFactor,
      images: batch! * accumulate!,
    });
  }
  assert.throws(
    () => nominalBatch({ nominal: 64, batch: 0 }),
    /nominalBatch: batch: expected a whole number from 1, found 0/,
  );
});

Deno.test("groupBatches() makes steps of whole groups, from any step on, and leaves out the rest of an epoch", async () => {
  const source: BatchSource = async function* (epoch, from) {
    for (let i = from; i < 7; i++) yield { batch: smallBatch(10 * epoch + i, 1), images: 1 + i };
  };
  const grouped = groupBatches(source, 3);
  const all = await Array.fromAsync(grouped(2, 0));
  assert.deepEqual(all.map(({ images }) => images), [1 + 2 + 3, 4 + 5 + 6]);
  assert.deepEqual(all[1]!.batch, [23, 24, 25].map((number) => smallBatch(number, 1)));
  assert.deepEqual(await Array.fromAsync(grouped(2, 1)), all.slice(1));
});
