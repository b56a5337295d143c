/** What the teacher says of a batch, looked up or asked; a student's training that is stopped and goes on. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { InputError, tensor } from "../../runtime/mod.ts";
import { lossesOf, readRun } from "../../track/mod.ts";
import { speciesByDex } from "../../species/mod.ts";
import type { Encoder } from "../encoder.ts";
import { distillExperiment } from "./distill_experiment.ts";
import { makeTaughtData, smallStudent } from "./fixture.ts";
import { studentConfigSchema } from "./config.ts";
import { encoderTeacher, storedPicture, type Teacher } from "./teacher.ts";
import { askedTargets, cachedTargets } from "./teacher_targets.ts";

const taught = await makeTaughtData({ pictures: 8 });
Deno.test.afterAll(async () => await taught[Symbol.asyncDispose]());
const { folder, dataFolder, data, teacher } = taught;

/** A teacher that counts the pictures it sees; the embedding is the colour in the middle. */
function counting(identity: string, failAt = Infinity): Teacher & { seen: number } {
  return {
    ...{ name: "counting", identity, dimension: 3, logitScale: 1, seen: 0 },
    embedImages(pictures) {
      this.seen += pictures.length;
      if (this.seen > failAt) return Promise.reject(new InputError("stopped"));
      const middles = pictures.flatMap(({ width, height, data }) => {
        const middle = 4 * (Math.floor(height / 2) * width + Math.floor(width / 2));
        return [...data.subarray(middle, middle + 3)];
      });
      return Promise.resolve(tensor("float32", [pictures.length, 3], middles));
    },
    prototypes: () => Promise.reject(new InputError("none")),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

Deno.test("an encoder as teacher: a species' prototype is the mean of its texts, at length 1, and disposing of it ends the encoder", async () => {
  let isOpen = true;
  const encoder: Encoder = {
    ...{
      name: "two directions",
      identity: "0",
      dimension: 2,
      logitScale: 9,
      preprocessing: {} as Encoder["preprocessing"],
    },
    embedImages: () => Promise.resolve(tensor("float32", [0, 2], [])),
    embedTexts: (texts) =>
      Promise.resolve(
        tensor("float32", [texts.length, 2], texts.flatMap((text) => text.startsWith("a ") ? [1, 0] : [0, 1])),
      ),
    [Symbol.asyncDispose]: () => Promise.resolve(void (isOpen = false)),
  };
  const own = encoderTeacher(encoder, { templates: ["a {}", "a big {}", "a {}", "{}", "{}", "{}", "{}"] });
  const { shape, data } = await own.prototypes([speciesByDex(1), speciesByDex(25)]);
  assert.deepEqual(shape, [2, 2]);
  [0.6, 0.8, 0.6, 0.8].forEach((x, i) => assert.ok(Math.abs(data[i]! - x) < 1e-6)); // (3, 4) of length 5
  await own[Symbol.asyncDispose]();
  assert.equal(isOpen, false);
});

Deno.test("asked targets are of the pixels that the student sees", async () => {
  const images = new Float32Array(2 * 3 * 4).map((_, i) => i < 4 ? 1 : i >= 20 ? 0.2 : 0); // one red, one 20 % blue
  const found = await askedTargets(counting("asked"))({ ids: ["a", "b"], images, shape: [2, 3, 2, 2] });
  assert.deepEqual([...found.data as Float32Array], [255, 0, 0, 0, 0, 51]);
});

Deno.test("cached targets see each picture once, are kept in a file, and are those of the stored pictures", async () => {
  const rows = [...data.rows.train, ...data.rows.validation], embeddings = join(folder, "embeddings");
  const count = new Set(rows.map(({ imageSha256 }) => imageSha256)).size, first = counting("a".repeat(64));
  const options = { folder: embeddings, batch: 7 };
  const of = await cachedTargets(first, data, options);
  assert.equal(first.seen, count);
  const again = counting("a".repeat(64)), other = counting("b".repeat(64));
  const read = await cachedTargets(again, data, options);
  assert.equal(again.seen, 0);
  await cachedTargets(other, data, options);
  assert.equal(other.seen, count);
  const some = [rows[3]!, rows[0]!],
    batch = { ids: some.map(({ id }) => id), images: new Float32Array(), shape: [2, 3, 1, 1] } as const;
  const expected = await first.embedImages(await Promise.all(some.map((row) => storedPicture(dataFolder, row))));
  for (const targets of [of, read]) assert.deepEqual((await targets(batch)).data, expected.data);
  await Deno.writeTextFile(join(embeddings, `${"a".repeat(16)}.safetensors`), "cut");
  const mended = counting("a".repeat(64));
  await cachedTargets(mended, data, options);
  assert.equal(mended.seen, count);
});

Deno.test("a student that is stopped and resumed has the losses of one that was not", async () => {
  const common = { teacher, data, profile: "test", seed: 7, threads: 1, workers: 0 } as const;
  const config = smallStudent({ epochs: 2, checkpoint: { everyEpochs: 1 } }, 0.1), runsFolder = join(folder, "stopped");
  const whole = await distillExperiment({ ...common, config, runsFolder: join(folder, "whole") });
  const controller = new AbortController();
  let steps = 0;
  const stop = { onStep: () => ++steps === 3 ? controller.abort() : undefined };
  const stopped = await distillExperiment({
    ...common,
    config,
    runsFolder,
    signal: controller.signal,
    callbacks: [stop],
  });
  assert.deepEqual([stopped.fit.reason, stopped.student], ["interrupted", undefined]);
  const resumed = await distillExperiment({ ...common, config, runsFolder, resume: "auto" });
  assert.equal(resumed.run, stopped.run);
  assert.deepEqual(lossesOf(await readRun(resumed.folder)), lossesOf(await readRun(whole.folder)));
});

Deno.test("settings that a student cannot follow are refused", () => {
  const { kind, name, model, optimizer, schedule, training } = smallStudent({ epochs: 1 });
  const given = { kind, name, model, optimizer, schedule, training };
  const refused = (more: Record<string, unknown>, expected: RegExp) => {
    const { error } = studentConfigSchema.safeParse({ ...given, ...more });
    assert.match(error!.issues[0]!.message, expected);
  };
  refused({ model: { ...model, family: "yolov3-tiny" } }, /a classifier's family/);
  refused(
    { data: { augmentation: [{ name: "mixup" }] } },
    /augmented with mixup: no cached embedding is of a mixed picture/,
  );
  refused({ distill: { weights: { features: 0, structure: 0, labels: 0 } } }, /one above 0/);
  refused({ prediction: { views: "mirror" } }, /none for a student/);
  const mixed = { data: { augmentation: [{ name: "mixup" }] }, distill: { targets: "augmented" } };
  assert.ok(studentConfigSchema.safeParse({ ...given, ...mixed }).success);
});
