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
import { openSession, Random, tensor } from "../../runtime/mod.ts";
import { findResume } from "../../train/mod.ts";
import { promptPrototypes } from "./context.ts";
import { fineTune } from "./fine_tune.ts";
import { here, lossOf, mean, prompts, stripes, weights } from "./fixture.ts";
import type { FineTuneOptions } from "./options.ts";
import { onGraph, openTower } from "./tower.ts";

const exported = fileURLToPath(new URL("../../../tests/fixtures/clip_export/", import.meta.url));
const files = (name: string) => ({ image: `${exported}${name}.image.onnx`, text: `${exported}${name}.text.onnx` });

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
    const texts = await promptPrototypes(onGraph(await openTower("text", from.text), tuned.towers.text!), prompts);
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
  const expected = lossOf(toNumbers(embeds!), labels, await promptPrototypes(await openTower("text", text), prompts));
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
