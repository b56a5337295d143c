/** A whole hybrid on drawn pictures: it is written as a folder that answers as measured, again to the same bits after a stop. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { buildSmallData } from "../../../tests/experiment/small_data.ts";
import { judgeClassification } from "../../evaluate/mod.ts";
import { openDataset } from "../../experiment/mod.ts";
import { sha256File } from "../../runtime/mod.ts";
import type { PictureNetwork } from "./cache_features.ts";
import { smallConfig } from "./fixture.ts";
import { HybridClassifier, MEMBERS, readHybrid } from "./hybrid_classifier.ts";
import { hybridFeatures } from "./hybrid_features.ts";
import { colourEncoder as encoder, PICTURE, smallNetworks } from "./networks_fixture.ts";
import { trainHybrid, type TrainHybridOptions } from "./train_hybrid.ts";

const folder = await Deno.makeTempDir({ prefix: "pokedex_hybrid_" });
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));
const data = await openDataset({ dataFolder: await buildSmallData(folder), species: 3 });
const network = {
  card: {
    ...{ name: "net", file: { sha256: "1".repeat(64) } },
    input: {
      ...{ name: "images", layout: "NCHW", size: PICTURE, channels: "RGB", mean: [0, 0, 0], std: [1, 1, 1] },
      ...{ fit: "letterbox", view: "content", background: [114, 114, 114] },
    },
    trainedOn: { background: [114, 114, 114], boxes: "frame" },
  },
  classes: data.classes,
  path: smallNetworks().backbone.source,
} as unknown as PictureNetwork;

const config = smallConfig({ prototypes: true }, {
  training: { epochs: 6, batch: 8, monitor: "nll", validateEvery: 2 },
});
const train = (runs: string, rest: Partial<TrainHybridOptions> = {}) =>
  trainHybrid({
    ...{ config, data, network, encoder, runsFolder: join(folder, runs), profile: "test", seed: 1, threads: 1 },
    ...rest,
  });

Deno.test("the folder answers as well as was measured, and a call that was stopped ends with the same bits", async () => {
  const { hybrid } = await train("whole");
  const { folder: place, figures } = hybrid!;
  await using read = await HybridClassifier.open(await readHybrid(place), { threads: 1 });
  const test = await hybridFeatures({ network, encoder }, data, "test", { folder: join(data.dataFolder, "features") });
  const { probabilities } = await read.classify(test);
  const judged = judgeClassification(probabilities, test.labels);
  assert.deepEqual([figures.hybrid.test.n, figures.hybrid.test.top1], [judged.n, judged.top1.share]);

  const stop = new AbortController(), trainings: number[] = [];
  const cut = await train("cut", {
    signal: stop.signal,
    onProgress: ({ label, done }) => {
      if (/train/.test(label ?? "") && trainings.push(done) === 3) stop.abort();
    },
  });
  assert.equal(cut.hybrid, undefined);
  const again = await train("cut");
  for (const member of MEMBERS) {
    const file = (from: string) => sha256File(join(from, `${member}.onnx`));
    assert.equal(await file(again.hybrid!.folder), await file(place), member);
  }
});

Deno.test("settings of one modality, and a second phase without the encoder's files, are refused", async () => {
  const visual = { ...config, fusion: { ...config.fusion, kind: "visual" as const } };
  await assert.rejects(
    train("none", { config: visual }),
    /fusion\.kind: expected a fusion of both modalities, found "visual"/,
  );
  await assert.rejects(
    train("whole", { unfrozen: true }),
    /colours: expected an encoder in a folder for the second phase/,
  );
});
