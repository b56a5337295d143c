import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Graph } from "../../onnx/mod.ts";
import { InputError, Random, type Tensor, tensor } from "../../runtime/mod.ts";
import {
  contextPrototypes,
  contextTokens,
  initialContext,
  loadContext,
  promptPrototypes,
  saveContext,
} from "./context.ts";
import { findTokenEmbedding } from "./token_embedding.ts";
import { openTower, type Tower } from "./tower.ts";

const exported = fileURLToPath(new URL("../../../tests/fixtures/clip_export/", import.meta.url));
const open = (name: string) => openTower("text", `${exported}${name}.text.onnx`);

/** Three classes of one or two words behind three places. */
const prompts = contextTokens([[5], [7, 8], [9]], { length: 3, begin: 38, end: 39, fill: 0, total: 10, holder: 4 });

function close(a: Tensor<"float32">, b: Tensor<"float32">, tolerance: number): void {
  assert.deepEqual(a.shape, b.shape);
  a.data.forEach((x, i) => assert.ok(Math.abs(x - b.data[i]!) <= tolerance, `${i}: ${x}, ${b.data[i]}`));
}

/** The rows of a tower's table for some tokens. */
function wordVectors(tower: Tower, ids: readonly number[]): number[] {
  const { table, width } = findTokenEmbedding(tower);
  return ids.flatMap((id) => [...(table.tensor!.data as Float32Array).subarray(id * width, (id + 1) * width)]);
}

Deno.test("prompts are begin, places, name, end and filling", () => {
  assert.deepEqual([...prompts.inputIds.data].slice(10, 20).map(Number), [38, 4, 4, 4, 7, 8, 39, 0, 0, 0]);
  assert.deepEqual([...prompts.attentionMask!.data].slice(10, 20).map(Number), [1, 1, 1, 1, 1, 1, 1, 0, 0, 0]);
  assert.throws(
    () => contextTokens([[1, 2, 3]], { length: 16, begin: 1, end: 2, fill: 0, total: 20, holder: 4 }),
    /class 0: expected at most 2 tokens beside 16 of context, found 3/,
  );
});

for (const name of ["huggingface", "openai"]) {
  Deno.test(`${name}: a context of words' own vectors gives what the prompt of these words gives`, async () => {
    const tower = await open(name), words = [11, 12, 13];
    const spelled = Array.from(
      prompts.inputIds.data,
      (id, i) => i % 10 >= 1 && i % 10 <= 3 ? words[i % 10 - 1]! : Number(id),
    );
    const written = { ...prompts, inputIds: tensor("int64", [3, 10], spelled) };
    const expected = await promptPrototypes(tower, written);
    const shared = tensor("float32", [3, 16], wordVectors(tower, words));
    const own = tensor("float32", [3, 3, 16], wordVectors(tower, [...words, ...words, ...words]));
    for (const vectors of [shared, own]) {
      const found = await contextPrototypes(tower, { vectors, start: 1, tower: tower.identity }, prompts, { batch: 2 });
      close(found, expected, 1e-6);
    }
    const other = await promptPrototypes(tower, prompts);
    assert.ok(other.data.some((x, i) => Math.abs(x - expected.data[i]!) > 0.01), "the words make a difference");
    for (let row = 0; row < 3; row++) {
      const length = Math.hypot(...expected.data.subarray(row * 12, row * 12 + 12));
      assert.ok(Math.abs(length - 1) < 1e-5);
    }
  });
}

Deno.test("a class's own vectors move its prototype and no other's", async () => {
  const tower = await open("openai");
  const vectors = initialContext(tower, { length: 3, classes: 3, random: Random.seeded("own") });
  const before = await contextPrototypes(tower, { vectors, start: 1, tower: tower.identity }, prompts);
  const moved = tensor("float32", vectors.shape, vectors.data.map((x, i) => i >= 48 && i < 96 ? x + 1 : x));
  const after = await contextPrototypes(tower, { vectors: moved, start: 1, tower: tower.identity }, prompts);
  const changed = [0, 1, 2].map((row) =>
    after.data.subarray(row * 12, row * 12 + 12).some((x, i) => x !== before.data[row * 12 + i])
  );
  assert.deepEqual(changed, [false, true, false]);
});

Deno.test("a context is saved and read again; that of another tower, and another file, are refused in one line", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const tower = await open("openai"), other = await open("huggingface"), path = join(folder, "context.safetensors");
    const vectors = initialContext(tower, { length: 3, random: Random.seeded("saved") });
    await saveContext(path, { vectors, start: 1, tower: tower.identity });
    const read = await loadContext(path, tower);
    assert.deepEqual([...read.vectors.data], [...vectors.data]);
    assert.deepEqual([read.start, read.tower], [1, tower.identity]);
    const refused = (error: Error) =>
      error instanceof InputError &&
      /expected a context learned with this model .* found one of another/.test(error.message);
    await assert.rejects(loadContext(path, other), refused);
    await assert.rejects(async () => await contextPrototypes(other, read, prompts), refused);
    await assert.rejects(
      loadContext(`${exported}openai.safetensors`),
      /expected a learned context \(learned-context\/1\), found other tensors/,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a tower without a token table, and contexts that do not fit, are refused in one line", async () => {
  const graph = new Graph("bare");
  const ids = graph.input("input_ids", "int64", ["N", 4]);
  graph.output(graph.node("Cast", [ids], { to: 1 })[0]!, "text_embeds");
  const bare = await openTower("text", graph);
  assert.throws(
    () => findTokenEmbedding(bare),
    /expected a Gather of a float32 table of vectors by "input_ids", found none/,
  );
  const tower = await open("openai"), { identity } = tower;
  const zeros = (...shape: number[]) => tensor("float32", shape, new Float32Array(shape.reduce((a, b) => a * b)));
  const attempt = (vectors: Tensor<"float32">, start = 1) => async () =>
    await contextPrototypes(tower, { vectors, start, tower: identity }, prompts);
  await assert.rejects(attempt(zeros(3, 8)), /expected context of \[M, 16\] or \[C, M, 16\], found \[3, 8\]/);
  await assert.rejects(attempt(zeros(2, 3, 16)), /expected one for each of 3 classes, found \[2, 3, 16\]/);
  await assert.rejects(attempt(zeros(3, 16), 7), /expected 3 places of context from 7 within texts of 10 tokens/);
  assert.throws(
    () => initialContext(tower, { length: 0, random: Random.seeded(0) }),
    /expected a length from 1, found 0/,
  );
});
