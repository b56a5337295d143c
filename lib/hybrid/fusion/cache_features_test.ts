/** Features of a small data set's split: of the right pictures, kept, and joined with an encoder's. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { buildSmallData } from "../../../tests/experiment/small_data.ts";
import { openDataset } from "../../experiment/mod.ts";
import { toModel } from "../../onnx/mod.ts";
import { openSession } from "../../runtime/mod.ts";
import { backboneFeatures } from "../backbone.ts";
import { embeddedPictures, type PictureNetwork, visualFeatures } from "./cache_features.ts";
import { joinFeatures } from "./features.ts";
import { colourEncoder as encoder, PICTURE, smallNetworks } from "./networks_fixture.ts";

const folder = await Deno.makeTempDir({ prefix: "pokedex_features_" });
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));
const data = await openDataset({ dataFolder: await buildSmallData(folder), species: 3 });
const { backbone: { source: graph } } = smallNetworks();
const network = {
  card: {
    name: "net",
    file: { sha256: "n".repeat(64) },
    input: {
      ...{ name: "images", layout: "NCHW", size: PICTURE, channels: "RGB", mean: [0, 0, 0], std: [1, 1, 1] },
      ...{ fit: "letterbox", view: "content", background: [114, 114, 114] },
    },
    trainedOn: { background: [114, 114, 114], boxes: "frame" },
  },
  classes: [3, 1, 2].map((dex) => ({ dex })),
  path: graph,
} as unknown as PictureNetwork;

Deno.test("features of a split are those of its pictures, worked out once; joined with an encoder's they are one set", async () => {
  const kept = join(folder, "features"), options = { folder: kept, batch: 5, threads: 1 };
  const seen = await visualFeatures(network, data, "train", options);
  const n = data.rows.train.length;
  assert.deepEqual(seen.visual.map(({ shape }) => shape), [[n, 16], [n, 32], [n, 64]]);
  assert.deepEqual(Array.from(seen.labels, (label) => seen.dex[label]), data.rows.train.map(({ dex }) => dex));
  // One picture by itself, drawn again: another batch, the same numbers.
  const single = await visualFeatures(
    network,
    { ...data, rows: { ...data.rows, train: [data.rows.train[3]!] } },
    "train",
  );
  const own = seen.visual[2]!.data.subarray(3 * 64, 4 * 64);
  single.visual[2]!.data.forEach((value, i) => assert.ok(Math.abs(value - own[i]!) < 1e-4));
  await using session = await openSession(toModel(backboneFeatures(graph as Exclude<typeof graph, string>)));
  assert.equal(session.outputs.length, 3);

  // The second time nothing is computed: a network that could not be read is not asked.
  const again = await visualFeatures({ ...network, path: join(folder, "none.onnx") }, data, "train", options);
  assert.deepEqual(again, seen);
  await assert.rejects(visualFeatures({ ...network, path: join(folder, "none.onnx") }, data, "test", options));

  const told = await embeddedPictures(encoder, data, "train");
  const joined = joinFeatures(seen, told);
  assert.deepEqual(joined.embedding.shape, [n, 3]);
  assert.deepEqual([joined.models.visual.name, joined.models.embedding.name], ["net", "colours"]);
  const test = await embeddedPictures(encoder, data, "test");
  assert.throws(() => joinFeatures(seen, test), /features of net and colours: expected one split, train of split/);
});
