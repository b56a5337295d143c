/** Tests of card.ts and open_model.ts: packages that are whole, and each way in which one is not. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { speciesByDex } from "../species/mod.ts";
import { toModel } from "../onnx/mod.ts";
import type { ModelReport, PartAccuracy } from "./evaluate_model.ts";
import { knownFailures, writeDetails } from "./card_details.ts";
import { copyPackage, type ModelCard, readPackage, writePackage } from "./card.ts";
import { smallConfig } from "./fixture.ts";
import { shippedGraph } from "./graphs.ts";
import { buildDetector } from "./network.ts";
import { defaultModel, openModel } from "./open_model.ts";

const classes = [25, 26].map(speciesByDex);
const { graph, spec } = buildDetector(smallConfig().model, { classes: 2, seed: 0 });
const model = toModel(shippedGraph(graph, spec, { how: "best", classProbabilities: "softmax" }));
const card: Omit<ModelCard, "format" | "file" | "classes"> = {
  weights: "float32",
  name: "small",
  about: "For tests.",
  input: {
    ...{
      name: "images",
      layout: "NCHW",
      size: 32,
      channels: "RGB",
      fit: "letterbox",
      view: "picture",
      background: [1, 2, 3],
    },
    ...{ mean: [0, 0, 0], std: [1, 1, 1] },
  },
  outputs: { probabilities: "probabilities", boxes: "boxes", objectness: "objectness", scores: "scores" },
  decode: {
    ...{ family: "yolov3-tiny", classProbabilities: "softmax", how: "best", heads: [] },
    suppression: { iouThreshold: 0.45, scoreThreshold: 0.001, maxDetections: 100 },
  },
  temperature: 1.5,
  trainedOn: {
    ...{ run: "r", profile: "test", seed: 0, sources: ["sprites"], split: "as built", background: "fixed" },
    ...{ boxes: "frame", pictures: { train: 1, validation: 1, test: 0 }, pretrained: "none", epochs: 1, steps: 1 },
    ...{ weights: "current", configHash: "", commit: null, date: "2026-11-24" },
  },
  metrics: {},
};

async function inModels(work: (models: string) => Promise<void>): Promise<void> {
  const models = await Deno.makeTempDir({ prefix: "pokedex_models_" });
  try {
    await writePackage(join(models, "small"), { model, classes, card });
    await work(models);
  } finally {
    await Deno.remove(models, { recursive: true });
  }
}

Deno.test("a package opens by name, folder and file, and its copy has the new folder's name", () =>
  inModels(async (models) => {
    const runs = join(models, "no runs");
    for (const place of ["small", join(models, "small"), join(models, "small", "model.onnx"), undefined]) {
      await using opened = await openModel(place, { models, runs });
      assert.deepEqual(opened.classes.map(({ name }) => name), ["Pikachu", "Raichu"]);
      assert.equal(opened.card.temperature, 1.5);
    }
    assert.equal(await Deno.readTextFile(join(models, "small", "classes.txt")), "Pikachu\nRaichu\n");
    await copyPackage(join(models, "small"), join(models, "copy"));
    assert.equal((await readPackage(join(models, "copy"))).card.name, "copy");
    await assert.rejects(
      openModel(undefined, { models, runs }),
      /--model: expected one of copy, small, found none named/,
    );
  }));

Deno.test("a model that is not there is one line with what to run or which names there are", () =>
  inModels(async (models) => {
    const runs = join(models, "runs");
    await assert.rejects(
      openModel("large", { models, runs }),
      /^InputError: --model: expected a name under .*\(small\), a folder, a run or an \.onnx file, found "large"$/,
    );
    await assert.rejects(
      openModel(undefined, { models: runs, runs }),
      /expected a model under .* or a finished run under .*, found none; run "deno task train --config/,
    );
    await assert.rejects(openModel("../small", { models: runs, runs }), /found "\.\.\/small"/);
  }));

Deno.test("without a name the newest finished run is taken, but none that was trained on a naive split", () =>
  inModels(async (folder) => {
    const runs = join(folder, "runs"), models = join(folder, "no models");
    const splits = { "20260101-000000-older-aaaa": "as built", "20260102-000000-newer-bbbb": "as built" };
    for (const [id, split] of Object.entries({ ...splits, "20260103-000000-naive-cccc": "naive" })) {
      const trainedOn = { ...card.trainedOn, split };
      await writePackage(join(runs, id), { model, classes, card: { ...card, trainedOn } });
      await Deno.writeTextFile(join(runs, id, "log.jsonl"), "");
    }
    assert.equal(await defaultModel({ models, runs }), join(runs, "20260102-000000-newer-bbbb"));
  }));

Deno.test("a cut, exchanged or missing file, other classes and a strange card are each one line", () =>
  inModels(async (models) => {
    const folder = join(models, "small"), runs = models;
    const cases: [string, (bytes: Uint8Array) => Uint8Array | undefined, RegExp][] = [
      [
        "model.onnx",
        (b) => b.subarray(0, 1000),
        /model\.onnx: expected \d+ bytes as model\.json says, found 1000: the file is cut off$/,
      ],
      [
        "model.onnx",
        (b) => b.with(b.length - 9, b[b.length - 9]! ^ 1),
        /model\.onnx: expected the model that model\.json names/,
      ],
      ["model.onnx", () => undefined, /model\.onnx: expected a model, found nothing there$/],
      [
        "classes.txt",
        () => new TextEncoder().encode("Pikachu\n"),
        /classes\.txt: expected 2 classes, one a line, found 1$/,
      ],
      [
        "classes.txt",
        () => new TextEncoder().encode("Pikachu\nMew\n"),
        /classes\.txt: expected the classes that model\.json names/,
      ],
      ["classes.txt", () => undefined, /classes\.txt: expected the names of the classes, found nothing there$/],
      ["model.json", () => new TextEncoder().encode("{}"), /model\.json: format: /],
      ["model.json", (b) => b.subarray(0, 99), /model\.json: expected JSON, found /],
      [
        "model.json",
        () => undefined,
        /model\.json: expected the card of a model, found nothing there; "deno task train" writes one$/,
      ],
    ];
    for (const [name, change, message] of cases) {
      const path = join(folder, name), bytes = await Deno.readFile(path), changed = change(bytes);
      if (changed) await Deno.writeFile(path, changed);
      else await Deno.remove(path);
      await assert.rejects(openModel(folder, { models, runs }), (error: Error) => {
        assert.match(error.message, message);
        assert.equal(error.message.split("\n").length, 1);
        return true;
      });
      await Deno.writeFile(path, bytes);
    }
    // A model with another number of classes than its card.
    const three = buildDetector(smallConfig().model, { classes: 3, seed: 0 });
    const other = toModel(shippedGraph(three.graph, three.spec, { how: "best", classProbabilities: "softmax" }));
    await writePackage(folder, { model: other, classes, card });
    await assert.rejects(
      openModel(folder, { models, runs }),
      /the output "probabilities" of 2 classes, found .*"probabilities" \[N, 3\]/,
    );
  }));

/** A report of 100 pictures in two kinds, of which "web" is clearly harder. */
const part = (correct: number, n: number, low: number, high: number): PartAccuracy => ({
  ...{ n, correct, top1: correct / n, top1_ci95: [low, high] },
});
const [pikachu, raichu] = classes.map(({ dex, name }) => ({ dex, name })) as [
  ModelReport["perClass"][number],
  ModelReport["perClass"][number],
];
const report: ModelReport = {
  ...{ model: "small", pictures: "test", n: 100, top1: 0.8, top1_ci95: [0.71, 0.87], top5: 1, top5_ci95: [0.96, 1] },
  ...{
    ece: 0.02,
    nll: 0.7,
    temperature: 1.5,
    untempered: { ece: 0.1, nll: 0.9 },
    perClass: [],
    leftOut: 0,
    skipped: [],
  },
  perGeneration: [{ generation: 1, ...part(80, 100, 0.71, 0.87) }],
  perSource: [
    { source: "box", ...part(55, 60, 0.82, 0.96) },
    { source: "web", ...part(15, 25, 0.41, 0.77) },
    { source: "rare", ...part(1, 15, 0.01, 0.3) },
  ],
  mostConfused: [{ truth: pikachu, predicted: raichu, count: 3, share: 0.1, examples: [] }],
};

Deno.test("failures are said of kinds whose interval lies below the whole, of enough pictures, and of the usual mistakes", () => {
  assert.deepEqual(knownFailures(report), [
    'Pictures of the kind "web": top-1 60.0 % [41.0 %, 77.0 %] of 25, against 80.0 % of all.',
    "Pikachu is taken for Raichu (3 times).",
    "A picture of anything else is named as some species too: the model knows no answer beside them.",
  ]);
});

Deno.test("rounded weights make a smaller file without the old figures; a report puts its own there", () =>
  inModels(async (models) => {
    const options = { models, runs: join(models, "no runs") };
    const provenance = { pictures: "drawn for this test", licence: "MIT" };
    const small = join(models, "small"), tiny = join(models, "tiny");
    await writeDetails(small, report, { split: "test", command: "deno task evaluate" });
    const before = (await readPackage(small)).card;
    assert.deepEqual([before.metrics.test?.top1, before.details?.perSource.length], [0.8, 3]);
    const { card } = await copyPackage(small, tiny, { weights: "int8", provenance });
    assert.deepEqual([card.weights, card.metrics, card.details, card.knownFailures], [
      "int8",
      {},
      undefined,
      undefined,
    ]);
    assert.deepEqual(card.provenance, provenance);
    assert.ok(card.file.bytes < before.file.bytes);
    await using opened = await openModel("tiny", options);
    const written = await writeDetails(opened.folder, report, { split: "test", command: "deno task evaluate" });
    assert.deepEqual(written.metrics, before.metrics);
    assert.deepEqual((await copyPackage(tiny, join(models, "copy"))).card.details, before.details);
    await assert.rejects(
      copyPackage(tiny, join(models, "other"), { weights: "float16" }),
      /model\.onnx: expected float32 weights to be kept as float16, found int8/,
    );
  }));
