/** Tests of train_and_judge.ts and seen_pictures.ts, on drawn pictures. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { ranksOf } from "../evaluate/mod.ts";
import { listRuns } from "../track/mod.ts";
import { openDataset } from "./dataset.ts";
import { makeSmallData, smallConfig } from "./fixture.ts";
import { seenPictures } from "./seen_pictures.ts";
import { reviewTrained, trainAndJudge } from "./train_and_judge.ts";

const small = await makeSmallData();
Deno.test.afterAll(async () => await small[Symbol.asyncDispose]());
const data = await openDataset({ dataFolder: small.dataFolder, species: 3 });

Deno.test("trainAndJudge() goes on with an interrupted run of the same settings only, and its figures are the card's", async () => {
  const runsFolder = join(small.folder, "runs");
  const common = { data, profile: "test", seed: 7, threads: 1, workers: 0, runsFolder } as const;
  const interrupt = new AbortController();
  const callbacks = [{ onStep: () => interrupt.abort() }];
  await assert.rejects(
    trainAndJudge({ ...common, config: smallConfig(), signal: interrupt.signal, callbacks }),
    /expected a finished training, found one interrupted/,
  );
  const other = await trainAndJudge({ ...common, config: smallConfig({ epochs: 1 }) });
  const found = await trainAndJudge({ ...common, config: smallConfig() });
  await using _other = other.model;
  await using model = found.model;
  const runs = await listRuns(runsFolder);
  assert.equal(runs.length, 2, "the interrupted one was gone on with, not the one with other settings");
  assert.deepEqual([other.run.resumes.length, found.run.resumes.length], [0, 1]);
  const reviewed = await reviewTrained({ ...common, config: smallConfig() });
  await using _reviewed = reviewed!.model;
  assert.deepEqual([reviewed!.run.id, reviewed!.test.report], [found.run.id, found.test.report]);
  assert.equal(await reviewTrained({ ...common, config: smallConfig({ epochs: 9 }) }), undefined);
  const { labels, raw, probabilities, judged, report } = found.test;
  assert.equal(labels.length, data.rows.test.length);
  assert.equal(report.top1, model.card.metrics.test!.top1);
  assert.equal(judged.top1.share, report.top1);
  assert.deepEqual(ranksOf(raw, labels), ranksOf(probabilities, labels), "the temperature changes no answer");
  assert.equal(found.validation.report.n, data.rows.validation.length);

  const ids = found.test.facts.map(({ id }) => id).reverse().slice(0, 3);
  const view = { card: model.card, dex: data.classes.map(({ dex }) => dex) };
  const seen = await seenPictures(data, "test", ids, view);
  assert.deepEqual(seen.map(({ width, height }) => [width, height]), ids.map(() => [32, 32]));
  const [alone] = await seenPictures(data, "test", [ids[1]!], view);
  assert.deepEqual(alone!.data, seen[1]!.data, "pictures stand in the order of their ids");
  await assert.rejects(seenPictures(data, "test", ["0001_999"], view), /expected picture 0001_999 in test, found none/);
});
