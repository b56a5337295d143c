/** A small classifier, trained, pruned and fine-tuned: the package says what it is, and knows what it knew. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { buildSmallData } from "../../../tests/experiment/small_data.ts";
import { countOperations } from "../../evaluate/mod.ts";
import { openDataset, openModel, readPackage, trainExperiment, trainingConfigSchema } from "../../experiment/mod.ts";
import { fromFile } from "../../onnx/mod.ts";
import { smallPackage } from "../targets/export_fixture.ts";
import { pruneModel } from "./prune_model.ts";

const folder = await Deno.makeTempDir({ prefix: "pokedex_prune_" });
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));
const dataFolder = await buildSmallData(folder), runsFolder = join(folder, "runs");
const shared = { runsFolder, threads: 1, workers: 0 };
const { model: trained } = await trainExperiment({
  ...{ ...shared, data: await openDataset({ dataFolder, species: 3 }), profile: "test", seed: 1 },
  config: trainingConfigSchema.parse({
    name: "small",
    model: { family: "residual", width: 0.25, depth: 0.5, size: 32 },
    data: { view: "content", background: [114, 114, 114], augmentation: [{ name: "flip" }] },
    optimizer: { name: "adamw", weightDecay: 0.01 },
    schedule: { kind: "oneCycle", learningRate: 0.01 },
    training: { epochs: 8, batch: 6, validateEvery: 8, monitor: "top1" },
    prediction: { views: "mirror" },
  }),
});
const model = trained!.folder;
const fineTune = { ...shared, epochs: 10, batch: 6, learningRate: 0.05, augmentation: "none" as const };

Deno.test("half of the multiplications: the package's graph has them, the card says so, its figures are measured", async () => {
  const out = join(folder, "half");
  const { model: made, pruned } = await pruneModel({
    model,
    out,
    share: 0.5,
    multiple: 4,
    least: 4,
    dataFolder,
    fineTune,
  });
  const graph = await fromFile(join(out, "model.onnx")), { macs } = countOperations(graph);
  const { pruning, metrics, decode, name } = (await readPackage(out)).card;
  assert.equal(name, "half");
  assert.deepEqual(pruning, {
    from: { name: trained!.card.name, sha256: trained!.card.file.sha256 },
    ...{ importance: "taylor", macs: Math.round(pruned.macs), macsLeft: macs, epochs: made!.card.trainedOn.epochs },
    ...{ parameters: pruned.parameters, parametersLeft: countOperations(graph).parameters },
  });
  assert.equal(countOperations(await fromFile(join(model, "model.onnx"))).macs, pruned.macs);
  assert.ok(macs <= 0.5 * pruned.macs && macs > 0.4 * pruned.macs, `${macs} of ${pruned.macs}`);
  assert.equal(decode.views, "mirror");
  assert.ok(metrics.test!.top1 >= trained!.card.metrics.test!.top1 - 0.2, `top-1 ${metrics.test!.top1}`);
  await using opened = await openModel(out, { threads: 1 });
  assert.equal(opened.classes.length, 3);
});

Deno.test("an interrupted fine-tuning writes no package and goes on to the same file", async () => {
  const settings = { model, dataFolder, importance: "l1" as const, share: 0.6, multiple: 4, least: 4 },
    tune = { ...fineTune, epochs: 2 };
  const whole = await pruneModel({
    ...settings,
    out: join(folder, "whole"),
    fineTune: { ...tune, runsFolder: join(folder, "r1") },
  });
  const stop = new AbortController(), cutRuns = join(folder, "r2");
  const callbacks = [{
    onStep: ({ result }: { result: { step: number } }) => void (result.step === 1 && stop.abort()),
  }];
  const cut = { ...tune, runsFolder: cutRuns, signal: stop.signal, callbacks };
  const out = join(folder, "cut");
  assert.equal((await pruneModel({ ...settings, out, fineTune: cut })).model, undefined);
  const resumed = await pruneModel({ ...settings, out, fineTune: { ...tune, runsFolder: cutRuns, resume: "auto" } });
  assert.equal(resumed.model!.card.file.sha256, whole.model!.card.file.sha256);
});

Deno.test("pruned only: without figures; weights as asked for", async () => {
  const out = join(folder, "plain");
  const { model: made } = await pruneModel({ model, out, share: 0.7, multiple: 4, least: 4, weights: "float16" });
  assert.deepEqual([made!.card.metrics, made!.card.weights, made!.card.pruning!.epochs], [{}, "float16", 0]);
});

Deno.test("wrong shares, small layers, detectors' fine-tuning and folded scales are refused in one line", async () => {
  const out = join(folder, "refused"), settings = { model, out, multiple: 4, least: 4 };
  for (const share of [0, 1, -1, NaN]) {
    await assert.rejects(pruneModel({ ...settings, share }), /prune: expected a share between 0 and 1, found/);
  }
  await assert.rejects(
    pruneModel({ ...settings, share: 0.001 }),
    /prune: expected a share of multiplications of at least 0\.\d+, found 0\.001/,
  );
  await assert.rejects(
    pruneModel({ ...settings, share: 0.5, least: 4096 }),
    /expected channels that can be taken away/,
  );
  await assert.rejects(
    pruneModel({ ...settings, share: 0.5, importance: "batchNorm" }),
    /folded into the filters; take l2/,
  );
  const other = await smallPackage(folder, "unnamed");
  await assert.rejects(
    pruneModel({ model: other, out, share: 0.6, importance: "l2", dataFolder, fineTune }),
    /expected a classifier with "logits"/,
  );
});
