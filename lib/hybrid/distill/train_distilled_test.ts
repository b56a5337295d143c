/** A mobilenet student of named models on the smallest settings that ship: asked once, stopped and resumed to the same weights. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSmallData } from "../../../tests/experiment/small_data.ts";
import { openDataset, openModel, splitPictures, trainExperiment, trainingConfigSchema } from "../../experiment/mod.ts";
import { sha256File, tensor } from "../../runtime/mod.ts";
import { lossesOf, readRun } from "../../track/mod.ts";
import { askTeachers, teacherTop1 } from "./ask_teachers.ts";
import { readDistilledConfig } from "./config.ts";
import { writeTeacher } from "./teacher_file.ts";
import { trainDistilled, type TrainDistilledOptions } from "./train_distilled.ts";

const folder = await Deno.makeTempDir({ prefix: "pokedex_distilled_" });
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));
const data = await openDataset({ dataFolder: await buildSmallData(folder), species: 3 });
const common = { data, profile: "test", seed: 3, threads: 1, workers: 0 };

/** The folder of a small network's run: a teacher. */
const taught = (async () => {
  const config = trainingConfigSchema.parse({
    name: "teacher",
    model: { family: "residual", width: 0.125, size: 32 },
    data: { background: [114, 114, 114] },
    optimizer: { name: "adamw" },
    schedule: { kind: "constant", learningRate: 0.005 },
    training: { epochs: 8, batch: 6, monitor: "nll", validateEvery: 8 },
  });
  return (await trainExperiment({ ...common, config, runsFolder: join(folder, "teachers") })).folder;
})();

const shipped = fileURLToPath(new URL("../../../configs/hybrid/k210_student.yaml", import.meta.url));
const settings = await readDistilledConfig(shipped, { profile: "smoke" });
const config = {
  ...settings,
  training: { ...settings.training, batch: 6, epochs: 2 },
} satisfies TrainDistilledOptions["config"];

Deno.test("a mobilenet student of a named teacher, stopped and resumed, has the same losses and the same file", async () => {
  const teachers = [await taught], answers = join(folder, "answers");
  const train = (runs: string, rest: Partial<TrainDistilledOptions> = {}) =>
    trainDistilled({ ...common, config, teachers, answers, runsFolder: join(folder, runs), ...rest });
  const whole = await train("whole");
  assert.equal(whole.model!.card.decode.family, "mobilenet");
  const asked = (await Array.fromAsync(Deno.readDir(answers))).map(({ name }) => name).sort();
  assert.deepEqual(asked.map((name) => name.split("-")[0]), ["train", "validation"]);

  const stop = new AbortController();
  const callbacks = [{
    onStep: ({ result }: { result: { step: number } }) => void (result.step === 1 && stop.abort()),
  }];
  const cut = await train("cut", { callbacks, signal: stop.signal });
  assert.equal(cut.model, undefined);
  const resumed = await train("cut", { resume: "auto" });
  assert.equal(resumed.run, cut.run);
  assert.deepEqual(lossesOf(await readRun(resumed.folder)), lossesOf(await readRun(whole.folder)));
  assert.equal(
    await sha256File(join(resumed.folder, "model.onnx")),
    await sha256File(join(whole.folder, "model.onnx")),
  );
  assert.deepEqual((await Array.fromAsync(Deno.readDir(answers))).map(({ name }) => name).sort(), asked, "asked once");
});

Deno.test("answers are the mean of the teachers' calibrated probabilities, each picture's own", async () => {
  const place = await taught, options = { folder: join(folder, "mean") };
  await using model = await openModel(place, { threads: 1 });
  const { train, validation } = data.rows;
  const alone = await askTeachers([place], data, { ...options, features: true });
  const twice = await askTeachers([place, place], data, options);
  assert.deepEqual(alone.pictures, [...train, ...validation].map(({ id }) => id));
  assert.deepEqual([...alone.probabilities.data], [...twice.probabilities.data]);
  assert.notEqual(alone.identity, twice.identity);
  assert.deepEqual(alone.features!.shape, [alone.pictures.length, 64]);
  // softmax(log p / T) by hand, for the first validation picture.
  using opened = await splitPictures(data, "validation").open({ card: model.card, dex: [1, 2, 3], batch: 1 });
  const { value: first } = await opened.batches().next();
  const { probabilities } = await model.session.run({ images: first!.images });
  const powers = Array.from(probabilities!.data as Float32Array, (p) => p ** (1 / model.card.temperature));
  const sum = powers.reduce((a, b) => a + b), row = alone.pictures.indexOf(first!.facts[0]!.id);
  powers.forEach((power, c) => {
    const found = alone.probabilities.data[row * 3 + c]!;
    assert.ok(Math.abs(found - power / sum) < 1e-3, `${found} for ${power / sum}`);
  });
  const { top1 } = model.card.metrics.validation!;
  assert.ok(Math.abs(teacherTop1(alone, validation) - top1) < 1e-6);
});

Deno.test("a file of answers teaches alone; no teacher, one that is not there, and a stop before training are told", async () => {
  const path = join(folder, "answers.safetensors"), pictures = ["a"];
  await writeTeacher(path, {
    teacher: "file",
    pictures,
    dex: [1, 2],
    probabilities: tensor("float32", [1, 2], [1, 0]),
  });
  assert.equal((await askTeachers([path], data)).teacher, "file");
  const { teachers: _, ...distillation } = config.distillation;
  const train = (rest: Partial<TrainDistilledOptions>) =>
    trainDistilled({ ...common, config: { ...config, distillation }, runsFolder: join(folder, "none"), ...rest });
  await assert.rejects(
    train({}),
    /k210-student: expected a teacher in distillation\.teachers or --teacher, found none/,
  );
  await assert.rejects(train({ teachers: ["unknown"] }), /--model: expected a name under models\/.*found "unknown"/);
  await assert.rejects(train({ teachers: [await taught], signal: AbortSignal.abort() }), { name: "AbortError" });
  await assert.rejects(Deno.stat(join(folder, "none")), Deno.errors.NotFound);
});
