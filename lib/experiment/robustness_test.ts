/** Tests of robustness.ts, squares.ts and without_style.ts, on drawn pictures. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { planesOn } from "../data/mod.ts";
import { CORRUPTION_NAMES } from "../evaluate/mod.ts";
import { type ProgressReport, type Session, type Tensor, tensor } from "../runtime/mod.ts";
import { openDataset } from "./dataset.ts";
import { evaluateModel } from "./evaluate_model.ts";
import { makeSmallData, smallConfig } from "./fixture.ts";
import { type OpenedModel, openModel } from "./open_model.ts";
import { folderPictures, splitPictures } from "./picture_sets.ts";
import { measureRobustness } from "./robustness.ts";
import { openSquares, type SquareSource } from "./squares.ts";
import { trainExperiment } from "./train_experiment.ts";
import { withoutStyle } from "./without_style.ts";

const small = await makeSmallData();
const dataset = await openDataset({ dataFolder: small.dataFolder, species: 3 });
const { folder } = await trainExperiment({
  ...{ data: dataset, profile: "test", seed: 7, threads: 1, workers: 0, runsFolder: join(small.folder, "runs") },
  config: smallConfig(),
});
const model = await openModel(folder, { threads: 1 });
Deno.test.afterAll(async () => {
  await model[Symbol.asyncDispose]();
  await small[Symbol.asyncDispose]();
});
const view = { card: model.card, dex: model.classes.map(({ dex }) => dex) };
const sources: [SquareSource, ReturnType<typeof splitPictures>][] = [
  [{ dataset, split: "test" }, splitPictures(dataset, "test")],
  [{ folder: small.raw }, folderPictures(small.raw)],
];

/** A model whose session answers by a rule on the planes of each picture: a class, or none (all are as likely). */
function ruled(rule: (planes: Float32Array) => number | undefined): OpenedModel {
  const { size, name } = model.card.input, area = 3 * size * size;
  const run = (feeds: Record<string, Tensor>) => {
    const images = feeds[name]!.data as Float32Array, n = images.length / area;
    const values = new Float32Array(3 * n).fill(1 / 3);
    for (let i = 0; i < n; i++) {
      const label = rule(images.slice(i * area, (i + 1) * area));
      if (label !== undefined) values.set([0, 1, 2].map((c) => c === label ? 0.98 : 0.01), 3 * i);
    }
    return Promise.resolve({ probabilities: tensor("float32", [n, 3], values) });
  };
  return { ...model, session: { ...model.session, run } as unknown as Session };
}

Deno.test("squares on their grounds are to the bit what the model is shown of a split and of a folder", async () => {
  for (const [source, pictures] of sources) {
    using opened = await openSquares(source, view);
    using shown = await pictures.open({ ...view, batch: 1 });
    const { mean, std } = model.card.input;
    const expected = await Array.fromAsync(shown.batches());
    const found = await Array.fromAsync(opened.squares());
    assert.deepEqual([found.length, opened.total], [expected.length, shown.total]);
    for (const [i, { picture, ground, facts, label }] of found.entries()) {
      assert.deepEqual(planesOn(picture, ground, { mean, std }), expected[i]!.images.data, facts.id);
      assert.deepEqual([facts, label], [expected[i]!.facts[0], expected[i]!.labels[0]]);
    }
  }
});

Deno.test("the clean accuracy is that of evaluateModel(), and the report is JSON that is the same again", async () => {
  for (const [source, pictures] of sources) {
    const options = { corruptions: ["noise", "background"], severities: [1, 5], others: [] } as const;
    const report = await measureRobustness(model, source, options);
    const { n, top1, top1_ci95 } = await evaluateModel(model, pictures, { latency: false });
    assert.deepEqual([report.n, report.clean.top1, report.clean.top1_ci95], [n, top1, top1_ci95]);
    assert.deepEqual(report.corruptions.map(({ corruption, severities }) => [corruption, severities.length]), [
      ["noise", 2],
      ["background", 2],
    ]);
    assert.ok(!("rejection" in report));
    assert.deepEqual(JSON.parse(JSON.stringify(report)), report);
    assert.deepEqual(await measureRobustness(model, source, { ...options, batch: 3 }), report, "batches do not matter");
  }
});

Deno.test("every corruption, silhouettes and other pictures reach the model; only cut-outs get backgrounds and silhouettes", async () => {
  using opened = await openSquares({ dataset, split: "test" }, view);
  const known = new Map<string, number>();
  let cutOuts = 0;
  const unsure = { all: 0, cutOuts: 0 }; // of class 0, which an unsure answer names
  for await (const { picture, ground, label, cutOut } of opened.squares()) {
    known.set(planesOn(picture, ground).join(), label);
    if (cutOut) cutOuts++;
    if (label === 0) unsure.all++;
    if (label === 0 && cutOut) unsure.cutOuts++;
  }
  const progress: ProgressReport[] = [];
  // Right for pictures that are clean to the bit, unsure of all others; of equal ones class 0 comes first.
  const found = await measureRobustness(ruled((planes) => known.get(planes.join())), { dataset, split: "test" }, {
    ...{ validation: { dataset, split: "test" }, limit: 1000, onProgress: (each) => void progress.push(each) },
  });
  assert.deepEqual([found.clean.top1, found.n], [1, dataset.rows.test.length]);
  assert.deepEqual(found.corruptions.map(({ corruption }) => corruption), CORRUPTION_NAMES);
  for (const { corruption, severities, clean } of found.corruptions) {
    assert.equal(clean.n, corruption === "background" ? cutOuts : found.n);
    // The first blurs are below what pixels of a frame of 32 can show.
    const few = corruption === "background" ? unsure.cutOuts : unsure.all;
    assert.deepEqual(severities.slice(2).map(({ correct }) => correct), [few, few, few], corruption);
  }
  assert.equal(found.silhouettes!.n, cutOuts);
  assert.deepEqual([found.silhouettes!.correct, found.silhouettes!.clean.correct], [unsure.cutOuts, cutOuts]);
  assert.ok(found.relative! < 1 && found.mean < 1);
  // Known pictures are sure, others are not: told apart without a fault.
  const { rejection } = found;
  assert.deepEqual([rejection!.known, rejection!.others, rejection!.validation], [found.n, 1000, found.n]);
  for (const each of rejection!.confidences) {
    assert.deepEqual([each.auroc, each.auroc_ci95[1], each.own.other.accepted], [1, 1, 0]);
    assert.deepEqual([each.chosen!.known.share, each.chosen!.other.share], [1, 0]);
    assert.deepEqual(each.perKind.map(({ kind }) => kind).slice(0, 2), ["random pixels", "gradient"]);
  }
  assert.deepEqual(progress.filter(({ label }) => label === "robustness").at(-1), {
    ...{ label: "robustness", done: found.n, total: found.n, unit: "pictures" },
  });
});

Deno.test("a limit takes a sample that follows from the seed; settings out of range are refused", async () => {
  const source = { folder: small.raw };
  const options = { corruptions: ["jpeg"], severities: [3], others: ["made"], limit: 6 } as const;
  const report = await measureRobustness(model, source, options);
  assert.deepEqual([report.n, report.rejection!.others], [6, 6]);
  assert.deepEqual(await measureRobustness(model, source, options), report);
  using opened = await openSquares(source, view, { limit: 6, seed: 3 });
  const labels = (await Array.fromAsync(opened.squares())).map(({ label }) => label);
  assert.deepEqual([0, 1, 2].map((c) => labels.filter((label) => label === c).length), [2, 2, 2]);
  const bad = (more: object) => measureRobustness(model, source, { ...options, ...more });
  await assert.rejects(bad({ corruptions: ["fog"] }), /expected corruptions among gaussian blur, .*, found "fog"/);
  await assert.rejects(bad({ severities: [6] }), /expected severities 1 … 5, found 6/);
  await assert.rejects(bad({ limit: 0 }), /expected a limit of at least one picture, found 0/);
  await assert.rejects(
    measureRobustness(model, { dataset: { ...dataset, rows: { ...dataset.rows, test: [] } }, split: "test" }),
    /expected pictures of the model's 3 species, found none/,
  );
});

Deno.test("withoutStyle() gives a data set that can be trained on, and refuses one that cannot", () => {
  const marked = (split: "train" | "validation" | "test") =>
    dataset.rows[split].map((row, i) => ({ ...row, path: `${i % 2 ? "web" : "pixel"}/${row.path}` }));
  const own = { ...dataset, rows: { train: marked("train"), validation: marked("validation"), test: marked("test") } };
  const { dataset: found, pictures, style } = withoutStyle(own, "web");
  assert.equal(style, "web");
  const splits = ["train", "validation", "test"] as const;
  assert.deepEqual(splits.map((split) => found.rows[split].length), splits.map((split) => pictures[split]));
  assert.ok(found.rows.test.every(({ path }) => path.startsWith("web/")));
  assert.ok([...found.rows.train, ...found.rows.validation].every(({ path }) => path.startsWith("pixel/")));
  assert.deepEqual(found.classes, dataset.classes);
  assert.throws(
    () => withoutStyle({ ...own, rows: { ...own.rows, validation: [] } }, "web"),
    /expected pictures without the style web in split validation, found none/,
  );
});
