/** A training from its settings to predictions, on drawn pictures. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { appendImageProbabilities } from "../models/mod.ts";
import { fromFile, toModel } from "../onnx/mod.ts";
import { openSession, Random, tensor } from "../runtime/mod.ts";
import { readRun } from "../track/mod.ts";
import { bestCheckpointPath } from "../train/mod.ts";
import { openDataset } from "./dataset.ts";
import { evaluateModel } from "./evaluate_model.ts";
import { inRuns, makeSmallData, smallConfig, trainedLosses } from "./fixture.ts";
import { judgedBatch } from "./graphs.ts";
import { buildDetector, loadPretrained } from "./network.ts";
import { openModel } from "./open_model.ts";
import { folderPictures, splitPictures } from "./picture_sets.ts";
import { predictPictures } from "./predict.ts";
import { trainExperiment, type TrainOptions } from "./train_experiment.ts";

const small = await makeSmallData();
Deno.test.afterAll(async () => await small[Symbol.asyncDispose]());
const data = await openDataset({ dataFolder: small.dataFolder, species: 3 });
const common = { data, profile: "test", seed: 7, threads: 1, workers: 0 } as const;

const losses = (runs: string, options: Partial<TrainOptions>) =>
  trainedLosses({ ...common, config: smallConfig(), runsFolder: runs, ...options });

Deno.test("two runs with one seed have the same losses to the bit, with and without workers; another seed has others", () =>
  inRuns(async (runs) => {
    const first = await losses(runs, {});
    assert.equal(first.length, 2 * Math.floor(data.rows.train.length / 4));
    assert.deepEqual(await losses(runs, { workers: 1 }), first);
    assert.notDeepEqual(await losses(runs, { seed: 8 }), first);
  }));

Deno.test("the model that is written gives what the best checkpoint gives unfolded, to 1e-4, and has no normalisation left", () =>
  inRuns(async (runs) => {
    const config = smallConfig({}, { prediction: { how: "mean" } });
    const { folder, model, difference, ways } = await trainExperiment({ ...common, config, runsFolder: runs });
    assert.ok(difference! <= 1e-4);
    assert.deepEqual(ways.map(({ way }) => way), ["mean"]);
    const network = buildDetector(config.model, { classes: 3, seed: 99 });
    const pretrained = bestCheckpointPath(folder);
    const { loaded } = await loadPretrained(network, { ...config.model, pretrained });
    assert.equal(loaded, network.graph.initialisers.filter(({ name }) => name.startsWith("conv")).length);
    appendImageProbabilities(network.graph, network.spec, { how: "mean", classProbabilities: "softmax" });
    const random = Random.seeded("pictures");
    const images = tensor("float32", [3, 3, 32, 32], Float32Array.from({ length: 9216 }, () => random.uniform()));
    await using unfolded = await openSession(toModel(network.graph));
    await using shipped = await openSession(join(folder, "model.onnx"));
    assert.deepEqual(shipped.outputs.map(({ name }) => name), ["probabilities", "boxes", "objectness", "scores"]);
    const expected = (await unfolded.run({ images }))["probabilities"]!.data as Float32Array;
    const found = (await shipped.run({ images }))["probabilities"]!.data as Float32Array;
    expected.forEach((p, i) => assert.ok(Math.abs(p - found[i]!) < 1e-4));
    const graph = await fromFile(join(folder, "model.onnx"));
    assert.equal(graph.nodes.filter(({ opType }) => opType === "BatchNormalization").length, 0);
    assert.equal(model!.card.metrics.validation!.n, data.rows.validation.length);
    assert.equal(model!.card.metrics.test!.n, data.rows.test.length);
  }));

Deno.test("a run learns to tell three colours apart; its model judges splits and folders and predicts files", () =>
  inRuns(async (runs) => {
    const config = smallConfig({ epochs: 20, validateEvery: 10 });
    const { run, folder } = await trainExperiment({ ...common, config, runsFolder: runs });
    const log = await readRun(folder);
    assert.deepEqual(
      Object.keys(log.validations[0]!.figures),
      ["top1", "top5", "mAP50", "mAP50_95", "nll", "loss", "box", "objectness", "class"],
    );
    await using model = await openModel(run, { runs, models: join(runs, "none") });
    const test = await evaluateModel(model, splitPictures(data, "test"), { latency: false });
    assert.equal(test.n, data.rows.test.length);
    assert.ok(test.top1 > 0.6, `top-1 ${test.top1}`);
    assert.ok(test.top1_ci95_groups![0] <= test.top1 && test.top1 <= test.top1_ci95_groups![1]);
    assert.equal(test.perClass.reduce((sum, { n }) => sum + n, 0), test.n);
    assert.deepEqual(test.perGeneration.map(({ generation, n }) => [generation, n]), [[1, test.n]]);
    assert.ok(test.map50! >= 0 && test.map50! <= 1);

    await Deno.mkdir(join(small.raw, "0004"), { recursive: true });
    await Deno.copyFile(join(small.raw, "0001", "drawn-0.png"), join(small.raw, "0004", "drawn.png"));
    await Deno.writeTextFile(join(small.raw, "0002", "note.png"), "no picture");
    const all = await evaluateModel(model, folderPictures(small.raw), { batch: 5 });
    assert.deepEqual([all.n, all.leftOut, all.skipped.map(({ path }) => path)], [24, 1, ["0002/note.png"]]);
    assert.equal(all.top1_ci95_groups, undefined);
    assert.ok(all.top1 > 0.6 && all.latency_ms!.p95 >= all.latency_ms!.p50);

    const files = [1, 2, 3].map((dex) => join(small.raw, `000${dex}`, "drawn-1.png"));
    const predictions = await predictPictures(model, files, { top: 2, batch: 2 });
    assert.deepEqual(predictions.map(({ image }) => image), files);
    for (const { top, box } of predictions) {
      assert.equal(top.length, 2);
      assert.ok(top[0]!.score >= top[1]!.score && top[0]!.score <= 1);
      assert.deepEqual(Object.keys(top[0]!), ["dex", "name", "score"]);
      assert.ok(box!.left >= 0 && box!.left < box!.right && box!.right <= 1);
    }
    await assert.rejects(
      predictPictures(model, [join(small.raw, "0002", "note.png")]),
      /note\.png: expected a picture/,
    );
    await assert.rejects(predictPictures(model, files, { batch: 17 }), /expected a batch of 1 … 16 pictures, found 17/);
  }));

Deno.test("a detector of 1,025 species at 416 px is judged a picture at a time, a small one in whole batches", () => {
  const { spec } = buildDetector(smallConfig().model, { classes: 3, seed: 0 });
  assert.equal(judgedBatch(spec, 16), 16);
  // 3 · (13² + 26² + 52²) = 10,647 places, each with 1,025 scores.
  const heads = [32, 16, 8].map((stride) => ({ stride, anchors: [0, 0, 0] }));
  assert.equal(judgedBatch({ heads, size: 416, classes: 1025 }, 16), 1);
});

Deno.test("TensorFlow.js, with its own gradients, takes the same two steps of a detector", () =>
  inRuns(async (runs) => {
    const config = smallConfig({ steps: 2, batch: 2 });
    const [first, second] = [await losses(runs, { config }), await losses(runs, { config, engine: "tfjs" })];
    assert.equal(second.length, 2);
    for (const [i, { loss, gradientNorm }] of second.entries()) {
      assert.ok(Math.abs(loss - first[i]!.loss) < 1e-5 * loss, `${loss}, ${first[i]!.loss}`);
      assert.ok(Math.abs(gradientNorm - first[i]!.gradientNorm) < 1e-4 * gradientNorm);
    }
  }));

Deno.test("a classifier is trained, judged, shipped, opened and asked as a detector is, without boxes", () =>
  inRuns(async (runs) => {
    const config = smallConfig({ epochs: 6 }, {
      model: { family: "residual", width: 0.1, size: 32 },
      data: { augmentation: [{ name: "mixup", options: { alpha: 0.2, probability: 0.3 } }] },
    });
    const first = await trainExperiment({ ...common, config, runsFolder: runs });
    const { folder, model, difference, ways } = first;
    assert.ok(difference! <= 1e-4);
    assert.deepEqual(ways.map(({ way }) => way), ["softmax"]);
    const { decode, outputs, metrics } = model!.card;
    assert.deepEqual([decode.family, decode.how, decode.heads, decode.suppression], [
      "residual",
      "softmax",
      [],
      undefined,
    ]);
    assert.deepEqual(Object.keys(outputs), ["probabilities"]);
    assert.equal(metrics.test!.map50, undefined);
    const { validations, steps } = await readRun(folder);
    assert.deepEqual(Object.keys(validations[0]!.figures), ["top1", "top5", "nll", "loss"]);
    assert.ok(steps.at(-1)!.loss < steps[0]!.loss);
    await using opened = await openModel(folder);
    const report = await evaluateModel(opened, splitPictures(data, "test"), { latency: false });
    assert.equal(report.top1, metrics.test!.top1);
    assert.equal(report.map50, undefined);
    const [prediction] = await predictPictures(opened, [join(small.raw, "0001", "drawn-0.png")], { top: 3 });
    assert.equal(prediction!.top.length, 3);
    assert.equal(prediction!.box, undefined);
    const sum = prediction!.top.reduce((sum, { score }) => sum + score, 0);
    assert.ok(Math.abs(sum - 1) < 1e-4); // of all three species
    await assert.rejects(
      trainExperiment({
        ...common,
        config: { ...config, model: { ...config.model, pretrained: "darknet53" } },
        runsFolder: runs,
      }),
      /model\.pretrained: expected none or a checkpoint \(\.safetensors\) for the family residual, found "darknet53"/,
    );
  }));

Deno.test("a training that the guard ended without a checkpoint to go back to ships nothing", () =>
  inRuns(async (runs) => {
    const config = smallConfig(
      { epochs: 9, guard: { lossSpike: { response: "rollback", deviations: 0.01, warmUp: 1 } } },
      { model: { family: "residual", width: 0.1, size: 32 } },
    );
    const callbacks: TrainOptions["callbacks"] = [{
      async onStep() {
        for await (const { name } of Deno.readDir(runs)) {
          for (const part of ["checkpoints", "best"]) {
            await Deno.remove(join(runs, name, part), { recursive: true }).catch(() => {});
            await Deno.mkdir(join(runs, name, part));
          }
        }
      },
    }];
    await assert.rejects(
      trainExperiment({ ...common, config, runsFolder: runs, callbacks }),
      /^WorkError: .*checkpoint\.safetensors: expected the best weights, for the guard found the last ones spoilt, found none$/,
    );
    for await (const { name } of Deno.readDir(runs)) {
      const files = (await Array.fromAsync(Deno.readDir(join(runs, name)))).map((file) => file.name);
      assert.ok(!files.includes("model.onnx") && !files.includes("model.json"));
    }
  }));
