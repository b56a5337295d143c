import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  batchNormalization,
  conv,
  fromFile,
  Graph,
  matMul,
  reduceMean,
  relu,
  toFile,
  toModel,
  toNumbers,
} from "../../onnx/mod.ts";
import { InputError, openSession, Random, type Tensor, tensor } from "../../runtime/mod.ts";
import { findResume } from "../../train/mod.ts";
import type { LabelledFeatures } from "../encoder.ts";
import { contextPrototypes, contextTokens, textPrototypes } from "./context.ts";
import { classesOfStep, type PictureBatch } from "./examples.ts";
import { fineTune } from "./fine_tune.ts";
import type { FineTuneOptions } from "./options.ts";
import { onGraph, openTower } from "./tower.ts";

const exported = fileURLToPath(new URL("../../../tests/fixtures/clip_export/", import.meta.url));
const files = (name: string) => ({ image: `${exported}${name}.image.onnx`, text: `${exported}${name}.text.onnx` });
const CLASSES = 4;
const prompts = contextTokens(Array.from({ length: CLASSES }, (_, i) => [5 + i]), {
  length: 3,
  begin: 38,
  end: 39,
  fill: 0,
  total: 10,
  holder: 4,
});
const here = { worker: false, threads: 1 } as const;

/** Features around one random direction a class. */
function clusters(count: number, stream: string): LabelledFeatures {
  const centres = Array.from({ length: CLASSES }, (_, i) => {
    const random = Random.seeded("centre", i);
    return Array.from({ length: 12 }, () => random.normal());
  });
  const random = Random.seeded("cluster", stream);
  const labels = Int32Array.from({ length: count }, (_, i) => i % CLASSES);
  const rows = Array.from(labels, (label) => {
    const row = centres[label]!.map((x) => x + random.normal(0, 0.4)), length = Math.hypot(...row);
    return row.map((x) => x / length);
  });
  return { features: tensor("float32", [count, 12], rows.flat()), labels };
}

/** Pictures of stripes, another direction and width in each class, with noise. */
function stripes(batches: number): PictureBatch[] {
  const random = Random.seeded("stripes");
  return Array.from({ length: batches }, () => {
    const labels = Int32Array.from({ length: 8 }, (_, i) => i % CLASSES);
    const pixels = Array.from(labels, (label) =>
      Array.from({ length: 3 * 256 }, (_, i) => {
        const x = i % 16, y = Math.floor(i / 16) % 16, along = label % 2 === 0 ? x : y;
        return (Math.floor(along / (label < 2 ? 2 : 4)) % 2) * 2 - 1 + random.normal(0, 0.3);
      }));
    return { pixelValues: tensor("float32", [8, 3, 16, 16], pixels.flat()), labels };
  });
}

function accuracy({ features, labels }: LabelledFeatures, prototypes: Tensor<"float32">): number {
  let right = 0;
  labels.forEach((label, row) => {
    const scores = Array.from({ length: CLASSES }, (_, c) => {
      let sum = 0;
      for (let d = 0; d < 12; d++) sum += features.data[row * 12 + d]! * prototypes.data[c * 12 + d]!;
      return sum;
    });
    if (scores.indexOf(Math.max(...scores)) === label) right++;
  });
  return right / labels.length;
}

/** Elements of all initialisers by name, as text. */
function weights(graph: Graph): Record<string, string> {
  return Object.fromEntries(graph.initialisers.map((value) => [value.name, String(value.tensor!.data)]));
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

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
    const fixed = accuracy(test, await textPrototypes(tower, prompts));
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

Deno.test("full: both towers learn in one step, rates go by group, and the files written give the loss reached", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const from = files("huggingface"), examples = stripes(4);
    const tuned = await fineTune(from, {
      method: "full",
      examples,
      prompts,
      logitScale: 10,
      epochs: 6,
      learningRate: 2e-3,
      schedule: (step) => step < 23 ? 2e-3 : 0, // the last step's loss is that of the weights returned
      rates: [{ pattern: "text/*", factor: 0 }, { pattern: "image/*", factor: 1 }],
      learnLogitScale: false,
      ...here,
    });
    assert.ok(mean(tuned.losses.slice(-4)) < 0.5 * mean(tuned.losses.slice(0, 4)), String(tuned.losses));
    const old = weights(await fromFile(from.text)), now = weights(tuned.towers.text!);
    assert.deepEqual(Object.keys(old).filter((name) => old[name] !== now[name]), [], "a rate of 0 changes nothing");
    const image = weights(await fromFile(from.image)), trained = weights(tuned.towers.image!);
    const same = Object.keys(image).filter((name) => /weight|bias|MatMul/.test(name) && image[name] === trained[name]);
    assert.deepEqual(same, []);

    const path = join(folder, "image.onnx");
    await toFile(tuned.towers.image!, path);
    await using session = await openSession(path, { threads: 1 });
    const texts = await textPrototypes(onGraph(await openTower("text", from.text), tuned.towers.text!), prompts);
    const losses: number[] = [];
    for (const { pixelValues, labels } of examples) {
      const { image_embeds: embeds } = await session.run({ pixel_values: pixelValues });
      losses.push(lossOf(toNumbers(embeds!), labels, texts));
    }
    assert.ok(losses.some((loss) => Math.abs(loss - tuned.losses.at(-1)!) < 1e-4), `${losses}, ${tuned.losses.at(-1)}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Cross-entropy of cosines times 10, by hand. */
function lossOf(images: readonly number[], labels: Int32Array, texts: Tensor<"float32">): number {
  return mean(Array.from(labels, (label, row) => {
    const image = images.slice(row * 12, row * 12 + 12), length = Math.hypot(...image);
    const logits = Array.from(
      { length: CLASSES },
      (_, c) => 10 * image.reduce((sum, x, d) => sum + x * texts.data[c * 12 + d]!, 0) / length,
    );
    return Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0)) - logits[label]!;
  }));
}

Deno.test("full on pairs, the scale learned too: stopped and resumed it gives the losses and bits of a run in one piece", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const examples = stripes(3).map(({ pixelValues, labels }) => ({
      pixelValues: tensor("float32", [4, 3, 16, 16], pixelValues.data.slice(0, pixelValues.data.length / 2)),
      labels: labels.slice(0, 4),
    }));
    const run = (fit: FineTuneOptions["fit"]) =>
      fineTune(files("openai"), {
        method: "full",
        examples,
        prompts,
        objective: "pairs",
        logitScale: 14,
        learnLogitScale: true,
        freeze: /token_embedding/,
        epochs: 4,
        learningRate: 1e-3,
        ...(fit ? { fit } : {}),
        ...here,
      });
    const whole = await run(undefined);
    assert.ok(mean(whole.losses.slice(-3)) < mean(whole.losses.slice(0, 3)));
    assert.notEqual(whole.logitScale, 14);
    const checkpoints = { folder: join(folder, "run") };
    const first = await run(() => ({ checkpoints, runId: "run", budget: { steps: 7 } }));
    const second = await run(async (step) => {
      const resume = await findResume({ folder, runId: "run", tensors: step.tensors });
      return { checkpoints, runId: "run", ...(resume ? { resume } : {}) };
    });
    assert.deepEqual([...first.losses, ...second.losses], whole.losses);
    for (const kind of ["image", "text"] as const) {
      assert.deepEqual(toModel(second.towers[kind]!), toModel(whole.towers[kind]!));
    }
    const table = "token_embedding.weight";
    assert.equal(weights(whole.towers.text!)[table], weights(await fromFile(files("openai").text))[table]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** An image tower with batch normalisation: a convolution and a projection. */
function convolutional(): Graph {
  const graph = new Graph("convolutional"), random = Random.seeded("convolutional");
  const drawn = (name: string, ...shape: number[]) =>
    graph.parameter(name, {
      shape,
      init: (sizes) => Array.from({ length: sizes.reduce((a, b) => a * b, 1) }, () => random.normal(0, 0.4)),
    });
  const fixed = (name: string, value: number) => graph.constant(new Array(6).fill(value), { name });
  const x = conv(graph.input("pixel_values", "float32", ["N", 3, 16, 16]), drawn("kernel", 6, 3, 4, 4), { strides: 4 });
  const scale = drawn("scale", 6), shift = drawn("shift", 6);
  const y = relu(batchNormalization(x, scale, shift, fixed("mean", 0.1), fixed("variance", 2)));
  graph.output(matMul(reduceMean(y, { axes: [2, 3] }), drawn("head", 6, 12)), "image_embeds");
  return graph;
}

Deno.test("a tower that is not trained runs as in use, its batch normalisation by running statistics", async () => {
  const image = convolutional(), { text } = files("openai"), examples = stripes(2);
  await using session = await openSession(toModel(image), { threads: 1 });
  const { pixelValues, labels } = examples[0]!;
  const { image_embeds: embeds } = await session.run({ [image.inputs[0]!.name]: pixelValues });
  const expected = lossOf(toNumbers(embeds!), labels, await textPrototypes(await openTower("text", text), prompts));
  const common = { examples: [examples[0]!], prompts, logitScale: 10, epochs: 1, ...here };
  const lora = await fineTune({ image, text }, { method: "lora", lora: { towers: ["text"] }, ...common });
  const full = await fineTune({ image, text }, { method: "full", towers: ["text"], ...common });
  for (const { losses } of [lora, full]) assert.ok(Math.abs(losses[0]! - expected) < 1e-4, `${losses[0]}, ${expected}`);
  assert.deepEqual(Object.keys(lora.towers), ["text"]);
  const trained = await fineTune({ image, text }, {
    method: "full",
    towers: ["image"],
    ...common,
    examples,
    epochs: 4,
    learningRate: 0.01,
  });
  assert.deepEqual(Object.keys(trained.towers), ["image"]);
  assert.ok(mean(trained.losses.slice(-2)) < mean(trained.losses.slice(0, 2)));
  const before = weights(image), after = weights(trained.towers.image!);
  assert.deepEqual(Object.keys(before).filter((name) => before[name] === after[name]), [], "statistics move too");
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
