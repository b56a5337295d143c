/** A student's rival on a small data set, and the file of a teacher. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { buildSmallData } from "../../../tests/experiment/small_data.ts";
import { openDataset } from "../../experiment/mod.ts";
import { distilledConfigSchema } from "./config.ts";
import { aloneConfig, teacherFile, trainedAlone, trainedStudent } from "./students.ts";

const folder = await Deno.makeTempDir({ prefix: "pokedex_students_" });
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));
const data = await openDataset({ dataFolder: await buildSmallData(folder), species: 3 });

const config = distilledConfigSchema.parse({
  ...{ kind: "distilled", name: "tiny", model: { family: "residual", width: 0.125, size: 32 } },
  ...{ optimizer: { name: "adamw" }, schedule: { kind: "constant", learningRate: 0.01 } },
  training: { epochs: 1, batch: 6, validateEvery: 1, monitor: "loss" },
});

Deno.test("the rival has all settings of the student but its teacher, and smoothed labels", () => {
  const { kind: _kind, distillation: _, ...rest } = config;
  assert.deepEqual(aloneConfig(config), {
    ...{ ...rest, name: "tiny-alone", loss: { ...rest.loss, labelSmoothing: 0.1 } },
  });
});

Deno.test("what was trained alone is found again, and other pictures need another training", async () => {
  const runsFolder = join(folder, "runs"), common = { config, runsFolder, profile: "national", seed: 1, threads: 1 };
  const first = await trainedAlone({ ...common, data }), again = await trainedAlone({ ...common, data });
  assert.equal(again.model.path, first.model.path);
  const fewer = { ...data, rows: { ...data.rows, train: data.rows.train.slice(0, -2) } };
  const other = await trainedAlone({ ...common, data: fewer });
  assert.notEqual(other.model.path, first.model.path);
  for (const { model } of [first, again, other]) await model[Symbol.asyncDispose]();
});

Deno.test("a student is found again by its teacher, and another teacher has another student", async () => {
  const runsFolder = join(folder, "students"), rows = [...data.rows.train, ...data.rows.validation];
  const says = (share: number) =>
    teacherFile(join(folder, `${share}.safetensors`), "both", [{
      features: { pictures: rows.map(({ id }) => id), dex: [1, 2, 3] },
      scores: { values: Float32Array.from(rows.flatMap(() => [share, 1 - share, 0])), classes: 3 },
    }]);
  const common = { config, data, runsFolder, profile: "national", seed: 1, threads: 1 };
  const [one, other] = [await says(0.5), await says(0.25)];
  const students = [];
  for (const teacher of [one, one, other]) students.push(await trainedStudent({ ...common, teacher }));
  const [first, again, third] = students.map(({ model }) => model.path);
  assert.equal(again, first);
  assert.notEqual(third, first);
  for (const { model } of students) await model[Symbol.asyncDispose]();
});

Deno.test("a teacher's file holds what it says of several splits, and the same words make the same file", async () => {
  const told = ["a", "b"].map((name) => ({
    features: { pictures: [`${name}1`, `${name}2`], dex: [1, 2] },
    scores: { values: Float32Array.from([0.75, 0.25, 0.5, 0.5]), classes: 2 },
  }));
  const first = await teacherFile(join(folder, "one.safetensors"), "both", told);
  const again = await teacherFile(join(folder, "two.safetensors"), "both", told);
  assert.deepEqual(first.pictures, ["a1", "a2", "b1", "b2"]);
  assert.deepEqual([...first.probabilities.data.subarray(4)], [0.75, 0.25, 0.5, 0.5]);
  assert.equal(first.identity, again.identity);
});
