import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { fromFile } from "../../onnx/mod.ts";
import { InputError, Random, tensor } from "../../runtime/mod.ts";
import { contextPrototypes, contextTokens, promptPrototypes } from "./context.ts";
import { classesOfStep } from "./examples.ts";
import { fineTune } from "./fine_tune.ts";
import { accuracy, CLASSES, clusters, here, mean, prompts, stripes, weights } from "./fixture.ts";
import type { FineTuneOptions } from "./options.ts";
import { openTower } from "./tower.ts";

const exported = fileURLToPath(new URL("../../../tests/fixtures/clip_export/", import.meta.url));
const files = (name: string) => ({ image: `${exported}${name}.image.onnx`, text: `${exported}${name}.text.onnx` });
for (const [name, perClass] of [["openai", true], ["huggingface", false]] as const) {
  Deno.test(`coop, ${perClass ? "a context a class" : "one context"}: ${name}'s prompts tell classes apart that fixed ones do not; the file stays`, async () => {
    const before = await Deno.readFile(files(name).text);
    const tower = await openTower("text", files(name).text);
    const tuned = await fineTune({ text: files(name).text }, {
      method: "coop",
      examples: clusters(64, "train"),
      prompts,
      context: { length: 3, perClass },
      logitScale: 10,
      epochs: 20,
      batchSize: 16,
      learningRate: 0.1,
      ...here,
    });
    const test = clusters(80, "test");
    const fixed = accuracy(test, await promptPrototypes(tower, prompts));
    const learned = accuracy(test, await contextPrototypes(tower, tuned.context, prompts));
    assert.ok(learned >= fixed + 0.2, `accuracy ${learned}, with the fixed prompts ${fixed}`);
    assert.deepEqual(tuned.context.vectors.shape, perClass ? [CLASSES, 3, 16] : [3, 16]);
    assert.deepEqual(await Deno.readFile(files(name).text), before);
    assert.equal(tuned.losses.length, 80);
    assert.ok(mean(tuned.losses.slice(-8)) < 0.8 * mean(tuned.losses.slice(0, 8)));
  });
}

Deno.test("coop with classes drawn for each step learns too, and twice the same", async () => {
  const run = () =>
    fineTune({ text: files("openai").text }, {
      method: "coop",
      examples: { ...clusters(64, "train"), labels: Int32Array.from({ length: 64 }, (_, i) => i % CLASSES) },
      prompts,
      context: { length: 2, perClass: true },
      classesPerStep: CLASSES - 1,
      batchSize: 3,
      logitScale: 10,
      epochs: 3,
      learningRate: 0.05,
      ...here,
    });
  const first = await run();
  assert.ok(mean(first.losses.slice(-16)) < mean(first.losses.slice(0, 16)));
  assert.deepEqual((await run()).losses, first.losses);
});

Deno.test("lora: the loss falls, and only the matrices of queries and values are others in the merged files", async () => {
  const from = files("openai");
  const tuned = await fineTune(from, {
    method: "lora",
    examples: stripes(4),
    prompts,
    logitScale: 10,
    epochs: 8,
    learningRate: 0.02,
    ...here,
  });
  assert.ok(mean(tuned.losses.slice(-4)) < 0.7 * mean(tuned.losses.slice(0, 4)), String(tuned.losses));
  assert.deepEqual(tuned.adapters.map(({ kind, places }) => `${kind} ${places.length}`), ["image 4", "text 4"]);
  for (const { kind, places } of tuned.adapters) {
    const old = weights(await fromFile(from[kind])), now = weights(tuned.towers[kind]!);
    const changed = Object.keys(old).filter((name) => old[name] !== now[name]);
    assert.deepEqual(changed.sort(), [...new Set(places.map(({ weight }) => weight))].sort());
    assert.deepEqual(Object.keys(now), Object.keys(old));
  }
});

Deno.test("lora of the text tower alone learns from cached features", async () => {
  const tuned = await fineTune({ text: files("huggingface").text }, {
    method: "lora",
    lora: { projections: ["q", "k", "v", "o"], rank: 8 },
    examples: clusters(64, "train"),
    prompts,
    logitScale: 10,
    epochs: 10,
    learningRate: 0.02,
    ...here,
  });
  assert.deepEqual(tuned.adapters.map(({ kind }) => kind), ["text"]);
  assert.ok(mean(tuned.losses.slice(-4)) < 0.8 * mean(tuned.losses.slice(0, 4)));
});

Deno.test("classes of a step: those of its pictures and others, ascending, labels as places among them", () => {
  const random = Random.seeded("classes");
  const { rows, labels } = classesOfStep(Int32Array.of(900, 3, 900), { classes: 1025, count: 20, random });
  assert.equal(new Set(rows).size, 20);
  assert.deepEqual(labels.map((place) => rows[place]), [900, 3, 900]);
  assert.deepEqual(rows, [...rows].sort((a, b) => a - b));
  assert.deepEqual(classesOfStep(Int32Array.of(1), { classes: 3, count: 3, random }), { rows: [0, 1, 2], labels: [1] });
  const refused = (labels: number[], pattern: RegExp) =>
    assert.throws(() => classesOfStep(Int32Array.from(labels), { classes: 4, count: 2, random }), pattern);
  refused([0, 1, 2], /expected at most 2 classes in a batch \(classesPerStep\), found 3/);
  refused([4], /expected labels in 0 … 3, found 4/);
});

Deno.test("what does not go together is refused in one line", async () => {
  const refused = async (
    from: Parameters<typeof fineTune>[0],
    options: FineTuneOptions,
    pattern: RegExp,
  ) =>
    await assert.rejects(
      fineTune(from, { ...options, ...here }),
      (error: Error) => error instanceof InputError && pattern.test(error.message) && !error.message.includes("\n"),
    );
  const examples = clusters(8, "few"), { text, image } = files("openai");
  await refused({}, { method: "coop", examples, prompts }, /expected a text tower and prompts for a learned context/);
  await refused({ text }, { method: "lora", examples }, /expected prompts for the text tower, found none/);
  await refused(
    { image },
    { method: "full", examples, towers: ["image"], prompts },
    /expected pictures to train the image/,
  );
  await refused({ text }, { method: "full", examples: stripes(1), prompts }, /expected an image tower for pictures/);
  await refused({ image }, { method: "full", examples: stripes(1), prompts }, /expected a text tower or prototypes/);
  await refused({ text: image }, { method: "coop", examples, prompts }, /expected token ids \[N, T\]/);
  await refused(
    { text },
    { method: "coop", examples: [], prompts },
    /expected at least one batch of pictures, found 0/,
  );
  const long = { ...examples, features: tensor("float32", [8, 5], new Float32Array(40).fill(1)) };
  await refused(
    { text },
    { method: "lora", examples: long, prompts },
    /embeddings of one length, found 5 of images and 12/,
  );
  const short = contextTokens([[1]], { length: 1, begin: 38, end: 39, fill: 0, total: 6, holder: 4 });
  await refused(
    { text },
    { method: "lora", examples, prompts: short },
    /expected "input_ids" .* to be fed, found \[6\]|\[1, 6\]/,
  );
});
