import assert from "node:assert/strict";
import { Random, tensor } from "../../runtime/mod.ts";
import { normalizeRows } from "../cosines.ts";
import { embeddingMap } from "./embedding_map.ts";
import { nearestRows } from "./nearest.ts";

Deno.test("the nearest rows come first, of equal ones the first in order", async () => {
  const among = tensor("float32", [4, 2], Float32Array.of(0, 1, 1, 0, 0.6, 0.8, 1, 0));
  const [found] = await nearestRows(tensor("float32", [1, 2], Float32Array.of(1, 0)), among, 3);
  assert.deepEqual(found!.map(({ index }) => index), [1, 3, 2]);
  assert.deepEqual(found!.map(({ cosine }) => Math.fround(cosine)), [1, 1, Math.fround(0.6)]);
});

Deno.test("the map keeps groups together, is the same for a seed, and tells how far it is", async () => {
  const random = Random.seeded("map", 0), groups = 3, each = 20, width = 16;
  const centres = Array.from({ length: groups * width }, () => random.normal());
  const rows = Float32Array.from({ length: groups * each * width }, (_, i) => {
    const group = Math.floor(i / (each * width));
    return centres[group * width + i % width]! + 0.1 * random.normal();
  });
  const features = normalizeRows(tensor("float32", [groups * each, width], rows));
  const told: number[] = [];
  const map = await embeddingMap(features, { seed: 1, onProgress: ({ done, total }) => told.push(done / total!) });
  const again = await embeddingMap(features, { seed: 1 });
  assert.deepEqual(map, again);
  assert.equal(told.at(-1), 1);
  const place = (i: number) => [map.x[i]!, map.y[i]!] as const;
  const nearestOf = (i: number) => {
    const [x, y] = place(i);
    const others = Array.from({ length: groups * each }, (_, j) => j).filter((j) => j !== i);
    return others.reduce((best, j) =>
      Math.hypot(place(j)[0] - x, place(j)[1] - y) < Math.hypot(place(best)[0] - x, place(best)[1] - y) ? j : best
    );
  };
  const kept = Array.from({ length: groups * each }, (_, i) => i)
    .filter((i) => Math.floor(nearestOf(i) / each) === Math.floor(i / each)).length;
  assert.ok(kept >= groups * each - 1, `${kept} of ${groups * each} have a neighbour of their group`);
  await assert.rejects(embeddingMap(tensor("float32", [2, 2], new Float32Array(4))), /expected more rows than the 15/);
});
