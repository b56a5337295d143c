/** Students on drawn pictures: they learn what the teacher says, ship as ordinary classifiers, and lose nothing by a stop. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { buildSmallData } from "../../../tests/experiment/small_data.ts";
import { openDataset } from "../../experiment/mod.ts";
import { fromFile } from "../../onnx/mod.ts";
import { sha256File, tensor } from "../../runtime/mod.ts";
import { lossesOf, readRun } from "../../track/mod.ts";
import { type DistilledConfig, distilledConfigSchema } from "./config.ts";
import { distillProbabilities, type DistillProbabilitiesOptions } from "./distill_probabilities.ts";
import type { TeacherFile } from "./teacher_file.ts";

const folder = await Deno.makeTempDir({ prefix: "pokedex_hybrid_" });
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));
let runs = 0;
/** A folder of runs of its own. */
const inRuns = (work: (runs: string) => Promise<void>) => work(join(folder, `runs${runs++}`));
const data = await openDataset({ dataFolder: await buildSmallData(folder), species: 3 });
const rows = [...data.rows.train, ...data.rows.validation];

/** Takes each species for the next one, and is sure of it. */
const liar: TeacherFile = {
  ...{ teacher: "liar", identity: "1".repeat(64), pictures: rows.map(({ id }) => id), dex: [1, 2, 3] },
  probabilities: tensor(
    "float32",
    [rows.length, 3],
    rows.flatMap(({ classId }) => [0, 1, 2].map((c) => c === (classId + 1) % 3 ? 0.98 : 0.01)),
  ),
  features: tensor("float32", [rows.length, 2], rows.flatMap(({ classId }) => [classId, 1])),
};
const config = (distillation: Partial<DistilledConfig["distillation"]>, training: Record<string, unknown> = {}) =>
  distilledConfigSchema.parse({
    kind: "distilled",
    name: "small student",
    model: { family: "residual", width: 0.125, size: 32 },
    data: { view: "content", background: [114, 114, 114], augmentation: [{ name: "flip" }] },
    distillation,
    optimizer: { name: "adamw", weightDecay: 0.01 },
    schedule: { kind: "oneCycle", learningRate: 0.01 },
    training: { epochs: 10, batch: 6, validateEvery: 10, monitor: "loss", ...training },
  });
const student = (runsFolder: string, options: Partial<DistillProbabilitiesOptions> & { config: DistilledConfig }) =>
  distillProbabilities({
    ...{ teacher: liar, data, runsFolder, profile: "test", seed: 3, threads: 1, workers: 0 },
    ...options,
  });

Deno.test("a student of the teacher alone learns its errors; the shipped model is a plain classifier", () =>
  inRuns(async (runs) => {
    const { model, folder } = await student(runs, { config: config({ weight: 1, temperature: 2, hints: 0.1 }) });
    const figures = model!.card.metrics.test!;
    assert.ok(figures.top1 < 0.3, `top-1 ${figures.top1}`); // chance is 0.33; of what it was told it learns the opposite
    const log = await readRun(folder);
    assert.deepEqual(Object.keys(log.validations[0]!.figures), [
      "top1",
      "top5",
      "nll",
      "loss",
      "labels",
      "teacher",
      "hint",
    ]);
    assert.ok(log.validations[0]!.figures.teacher! < 1, JSON.stringify(log.validations[0]!.figures)); // at first T² · KL is about 1.5
    const graph = await fromFile(join(folder, "model.onnx"));
    assert.deepEqual(graph.outputs.map(({ name }) => name), ["probabilities"]);
    assert.ok(!graph.initialisers.some(({ name }) => name.startsWith("hint")));
  }));

Deno.test("stopped and resumed, a student has the same losses and the same file", () =>
  inRuns(async (runs) => {
    const own = config({ weight: 0.5 }, { epochs: 2 });
    const whole = await student(join(runs, "whole"), { config: own });
    const stop = new AbortController();
    const callbacks = [{
      onStep: ({ result }: { result: { step: number } }) => void (result.step === 1 && stop.abort()),
    }];
    const cut = await student(join(runs, "cut"), { config: own, callbacks, signal: stop.signal });
    assert.equal(cut.model, undefined);
    const resumed = await student(join(runs, "cut"), { config: own, resume: "auto" });
    assert.deepEqual(lossesOf(await readRun(resumed.folder)), lossesOf(await readRun(whole.folder)));
    assert.equal(
      await sha256File(join(resumed.folder, "model.onnx")),
      await sha256File(join(whole.folder, "model.onnx")),
    );
  }));

Deno.test("pictures that the teacher was not asked about, hints without features and mixing are refused", () =>
  inRuns(async (runs) => {
    const few = { ...liar, pictures: ["x", ...liar.pictures.slice(1)] };
    await assert.rejects(
      student(runs, { config: config({}), teacher: few }),
      /teacher liar: expected an answer to picture/,
    );
    const { features: _, ...plain } = liar;
    await assert.rejects(
      student(runs, { config: config({ hints: 1 }), teacher: plain }),
      /expected a teacher with features/,
    );
    const settings = config({});
    assert.throws(
      () => distilledConfigSchema.parse({ ...settings, data: { ...settings.data, augmentation: [{ name: "mixup" }] } }),
      /no mixup/,
    );
  }));
