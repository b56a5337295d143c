/** Each switch of the recipe in a small training: what it changes, and that nothing of it is left where it should not be. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fromFile, toModel } from "../onnx/mod.ts";
import { openSession, Random, tensor, toNumbers } from "../runtime/mod.ts";
import { lossesOf, readRun } from "../track/mod.ts";
import { bestCheckpointPath } from "../train/mod.ts";
import { evaluateModel } from "./evaluate_model.ts";
import { inRuns, makeTwoStyles, smallConfig, trainedLosses } from "./fixture.ts";
import { loadPretrained } from "./network.ts";
import { openModel } from "./open_model.ts";
import { splitPictures } from "./picture_sets.ts";
import { buildTask } from "./task/task.ts";
import { trainExperiment, type TrainOptions } from "./train_experiment.ts";

const small = await makeTwoStyles();
Deno.test.afterAll(async () => await small[Symbol.asyncDispose]());
const { data } = small;
const common = { data, profile: "test", seed: 7, threads: 1, workers: 0 } as const;
const model = { family: "residual", width: 0.1, size: 32 } as const;
const background = [124, 124, 124];
const fresh = (config: ReturnType<typeof smallConfig>) => buildTask(config, { classes: 3, seed: 7 }).graph;
const weights = (graph: ReturnType<typeof fresh>, name: string) => toNumbers(graph.value(name).tensor!);
/** The moving average of equal weights is theirs to rounding. */
const near = (found: readonly number[], expected: readonly number[]) => {
  assert.equal(found.length, expected.length);
  found.forEach((each, i) => assert.ok(Math.abs(each - expected[i]!) < 1e-6, `${each}, ${expected[i]}`));
};

Deno.test("hard examples, a curriculum, dropout and stochastic depth: each changes the losses, and a resume gives the same bits", () =>
  inRuns(async (runs) => {
    const settings = (switches: Record<string, unknown> = {}, drops = {}) =>
      smallConfig({ epochs: 7, validateEvery: 1, guard: false }, {
        model: { ...model, ...drops },
        data: { background, ...switches },
        schedule: { kind: "constant", learningRate: 1e-3 },
      });
    const losses = (config: ReturnType<typeof smallConfig>) =>
      trainedLosses({ ...common, config, runsFolder: join(runs, "each") });
    const curriculum = { pacing: "linear", start: 0.5, epochs: 3, styles: { back: 1 }, other: 0 };
    const hard = { share: 0.5 }, drops = { dropout: 0.2, dropPath: 0.2 };
    const perEpoch = Math.floor(data.rows.train.length / 4), delay = 2 + Math.floor(8 / perEpoch);
    assert.ok(delay < 7);
    const plain = await losses(settings()), mined = await losses(settings({ hard }));
    assert.deepEqual(mined.slice(0, delay * perEpoch), plain.slice(0, delay * perEpoch));
    assert.notDeepEqual(mined, plain);
    assert.notDeepEqual((await losses(settings({ curriculum })))[0], plain[0]);
    const dropping = await losses(settings({}, drops));
    assert.notDeepEqual(dropping[0], plain[0]);

    const all = settings({ hard, curriculum }, drops), whole = await losses(all);
    const controller = new AbortController(), runsFolder = join(runs, "cut");
    const callbacks: TrainOptions["callbacks"] = [{
      onStep: ({ result }) => void (result.step === (delay + 1) * perEpoch + 1 && controller.abort()),
    }];
    const options = { ...common, config: all, runsFolder, resume: "auto" };
    const cut = await trainExperiment({ ...options, callbacks, signal: controller.signal });
    assert.equal(cut.fit.reason, "interrupted");
    const { folder } = await trainExperiment({ ...options, workers: 1 });
    assert.deepEqual(lossesOf(await readRun(folder)), whole);
    const graph = await fromFile(join(folder, "model.onnx"));
    assert.ok(!graph.nodes.some(({ opType }) => ["Dropout", "ConstantOfShape"].includes(opType)));
  }));

Deno.test("a body that the contrastive loss trained alone gives first weights to a classifier, whose own layer stays fresh", () =>
  inRuns(async (runs) => {
    const contrastive = { weight: 1, temperature: 0.2, outputs: 8 };
    const first = smallConfig({ epochs: 12, validateEvery: 12, monitor: "loss" }, {
      model,
      data: { background, sampler: "positivePairs" },
      loss: { contrastive, gains: { class: 0 } },
      optimizer: { name: "adamw" },
    });
    const body = await trainExperiment({ ...common, config: first, runsFolder: runs });
    const { steps, validations } = await readRun(body.folder);
    const mean = (part: typeof steps) => part.reduce((sum, { loss }) => sum + loss, 0) / part.length;
    assert.ok(mean(steps.slice(-8)) < 0.8 * mean(steps.slice(0, 8)), "pictures of a species come together");
    const { loss, contrastive: pull } = validations[0]!.figures;
    assert.ok(Math.abs(loss! - pull!) < 1e-6, "nothing but the contrastive loss counts");
    const shipped = await fromFile(join(body.folder, "model.onnx"));
    assert.deepEqual(shipped.outputs.map(({ name }) => name), ["probabilities"]);
    assert.ok(!shipped.initialisers.some(({ name }) => name.startsWith("projection")), "the head is not shipped");

    const pretrained = bestCheckpointPath(body.folder);
    const second = smallConfig({ epochs: 1 }, { model: { ...model, pretrained }, data: { background } });
    const loaded = async (names: string[]) => {
      const graph = fresh(second);
      await loadPretrained({ graph }, { ...second.model, fresh: names });
      return graph;
    };
    const whole = await loaded([]), own = await loaded(["classifier.*"]), none = fresh(second);
    // The cross-entropy counts nothing and the classifier has no decay: it is what it was at first.
    near(weights(whole, "classifier.weight"), weights(none, "classifier.weight"));
    assert.deepEqual(weights(own, "classifier.weight"), weights(none, "classifier.weight"));
    assert.deepEqual(weights(own, "stem1.weight"), weights(whole, "stem1.weight"));
    assert.notDeepEqual(weights(own, "stem1.weight"), weights(none, "stem1.weight"));
    const kept = await loaded(["stem1.weight"]);
    assert.deepEqual(weights(kept, "stem1.weight"), weights(none, "stem1.weight"));
    await assert.rejects(loaded(["clasifier.*"]), /model\.fresh: expected names of weights .*found "clasifier/);
    const result = await trainExperiment({
      ...{ ...common, runsFolder: runs },
      config: { ...second, model: { ...second.model, fresh: ["classifier.*"] } },
    });
    assert.equal(
      result.pretrained.loaded,
      none.initialisers.filter(({ name }) => /\.(weight|bias|scale|mean|variance)$/.test(name)).length - 2,
    );
    await assert.rejects(
      trainExperiment({ ...common, runsFolder: runs, config: { ...first, model: { ...first.model, fresh: ["a"] } } }),
      /model\.fresh: expected a checkpoint \(\.safetensors\) in model\.pretrained, found "none"/,
    );
  }));

Deno.test("a contrastive loss beside the cross-entropy adds its weight times itself", () =>
  inRuns(async (runs) => {
    const config = smallConfig({ epochs: 1, monitor: "loss" }, {
      model,
      data: { background, sampler: "positivePairs" },
      loss: { contrastive: { weight: 0.5, outputs: 8 }, gains: { class: 2 } },
    });
    const { folder } = await trainExperiment({ ...common, config, runsFolder: runs });
    const { figures } = (await readRun(folder)).validations[0]!;
    const expected = 2 * figures["class"]! + 0.5 * figures["contrastive"]!;
    assert.ok(Math.abs(figures["loss"]! - expected) < 1e-5 * expected);
  }));

Deno.test("a model with its mirror image averages inside its file, is judged so, and does not tell left from right", () =>
  inRuns(async (runs) => {
    const config = smallConfig({ epochs: 2 }, {
      ...{ model, data: { background }, prediction: { views: "mirror" } },
      // What a multiplier of 0 names stays as it was.
      optimizer: { name: "sgd", multipliers: [{ pattern: "stem0.weight", factor: 0 }] },
    });
    const { folder, model: made } = await trainExperiment({ ...common, config, runsFolder: runs });
    assert.equal(made!.card.decode.views, "mirror");
    const random = Random.seeded("pictures"), side = 32;
    const pixels = Float32Array.from({ length: 6 * side * side }, () => random.uniform());
    const mirrored = pixels.map((_, i) => pixels[i - i % side + side - 1 - i % side]!);
    const pictures = (elements: Float32Array<ArrayBuffer>) => ({
      images: tensor("float32", [2, 3, side, side], elements),
    });
    await using shipped = await openSession(join(folder, "model.onnx"));
    const found = toNumbers((await shipped.run(pictures(pixels)))["probabilities"]!);
    const other = toNumbers((await shipped.run(pictures(mirrored)))["probabilities"]!);
    found.forEach((p, i) => assert.ok(Math.abs(p - other[i]!) < 1e-6));

    const task = buildTask(config, { classes: 3, seed: 7 }), before = weights(task.graph, "stem0.weight");
    await loadPretrained(task, { ...config.model, pretrained: bestCheckpointPath(folder) });
    near(weights(task.graph, "stem0.weight"), before);
    await using alone = await openSession(toModel(task.shippedGraph("softmax")));
    const [left, right] = [await alone.run(pictures(pixels)), await alone.run(pictures(mirrored))]
      .map((each) => toNumbers(each["probabilities"]!)) as [number[], number[]];
    found.forEach((p, i) => assert.ok(Math.abs(p - (left[i]! + right[i]!) / 2) < 1e-5));
    assert.ok(left.some((p, i) => Math.abs(p - right[i]!) > 1e-4), "or there is nothing to average");

    await using trained = await openModel(folder);
    const report = await evaluateModel(trained, splitPictures(data, "validation"), { latency: false });
    const { validation } = made!.card.metrics;
    assert.ok(Math.abs(report.ece - validation!.ece) < 1e-5);
    assert.equal(report.top1, validation!.top1);
  }));

Deno.test("a detector averages crops for the species and keeps the boxes of the picture", () =>
  inRuns(async (runs) => {
    const settings = (views: string) => smallConfig({ epochs: 1 }, { prediction: { how: "mean", views } });
    const made = async (views: string) =>
      await trainExperiment({ ...common, config: settings(views), runsFolder: join(runs, views) });
    const [plain, crops] = [await made("none"), await made("crops")];
    assert.deepEqual([plain.model!.card.decode.views, crops.model!.card.decode.views], [undefined, "crops"]);
    const random = Random.seeded("pictures");
    const images = tensor("float32", [1, 3, 32, 32], Float32Array.from({ length: 3072 }, () => random.uniform()));
    const run = async (folder: string) => {
      await using session = await openSession(join(folder, "model.onnx"));
      return await session.run({ images });
    };
    const [first, second] = [await run(plain.folder), await run(crops.folder)];
    for (const name of ["boxes", "objectness", "scores"]) {
      const expected = toNumbers(first[name]!);
      toNumbers(second[name]!).forEach((found, i) => assert.ok(Math.abs(found - expected[i]!) < 1e-5, name));
    }
    const sum = toNumbers(second["probabilities"]!).reduce((total, p) => total + p, 0);
    assert.ok(Math.abs(sum - 1) < 1e-5);
    assert.notDeepEqual(toNumbers(second["probabilities"]!), toNumbers(first["probabilities"]!));
    await using opened = await openModel(crops.folder);
    const report = await evaluateModel(opened, splitPictures(data, "validation"), { latency: false });
    assert.equal(report.top1, crops.model!.card.metrics.validation!.top1);
    assert.ok(report.map50 !== undefined);
  }));
