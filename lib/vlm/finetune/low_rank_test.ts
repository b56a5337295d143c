import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { copyGraph, Graph, matMul, softmax, summarize, transpose } from "../../onnx/mod.ts";
import { InputError, Random, type Tensor, tensor } from "../../runtime/mod.ts";
import type { Projection } from "./attention.ts";
import { contextTokens, promptPrototypes } from "./context.ts";
import {
  initialAdapters,
  loadAdapters,
  type LowRankAdapters,
  type LowRankOptions,
  mergeAdapters,
  saveAdapters,
  withAdapters,
} from "./low_rank.ts";
import { onGraph, openTower, type Tower } from "./tower.ts";

const exported = fileURLToPath(new URL("../../../tests/fixtures/clip_export/", import.meta.url));
const open = (name: string) => openTower("text", `${exported}${name}.text.onnx`);
const prompts = contextTokens([[5], [7, 8], [9]], { length: 3, begin: 38, end: 39, fill: 0, total: 10, holder: 4 });
const ALL: readonly Projection[] = ["q", "k", "v", "o"];

const adaptersOf = (tower: Tower, options: LowRankOptions = {}) =>
  initialAdapters(tower, { ...options, sizes: [10], random: Random.seeded("adapters") });

/** Adapters as after training: B is not 0. */
function trained(adapters: LowRankAdapters): LowRankAdapters {
  const random = Random.seeded("trained");
  return {
    ...adapters,
    tensors: new Map(
      [...adapters.tensors].map(([name, { shape, data }]) =>
        [name, tensor("float32", shape, data.map((x) => x + random.normal(0, 0.2)))] as const
      ),
    ),
  };
}

function largestDifference(a: Tensor<"float32">, b: Tensor<"float32">): number {
  return Math.max(...a.data.map((x, i) => Math.abs(x - b.data[i]!)));
}

for (const name of ["huggingface", "openai"]) {
  Deno.test(`${name}: adapters change no bit before training, as B is 0`, async () => {
    const tower = await open(name);
    const adapters = await adaptersOf(tower, { projections: ALL });
    assert.equal(adapters.places.length, 8);
    assert.deepEqual(
      await promptPrototypes(withAdapters(tower, adapters), prompts),
      await promptPrototypes(tower, prompts),
    );
  });

  Deno.test(`${name}: merged adapters give what they give beside the matrices, to 1e-5, in a file of the same operators`, async () => {
    const tower = await open(name);
    for (const projections of [["q", "v"], ALL] as const) {
      const adapters = trained(await adaptersOf(tower, { projections, rank: 3, alpha: 5 }));
      const beside = await promptPrototypes(withAdapters(tower, adapters), prompts);
      const merged = mergeAdapters(tower, adapters);
      assert.ok(largestDifference(beside, await promptPrototypes(onGraph(tower, merged), prompts)) < 1e-5);
      assert.ok(largestDifference(beside, await promptPrototypes(tower, prompts)) > 1e-2, "adapters make a difference");
      assert.deepEqual(summarize(merged), summarize(tower.graph));
    }
  });

  Deno.test(`${name}: merging adds A·B·α/r to the matrices of queries and values and leaves all other weights`, async () => {
    const tower = await open(name);
    const adapters = trained(await adaptersOf(tower, { rank: 2, alpha: 6 }));
    const merged = mergeAdapters(tower, adapters);
    const expected = new Map(
      tower.graph.initialisers.map((value) => [value.name, Array.from(value.tensor!.data as Float32Array)]),
    );
    for (const place of adapters.places) {
      const stem = `lora/${place.product}/${place.projection}`;
      const a = adapters.tensors.get(`${stem}/A`)!.data, b = adapters.tensors.get(`${stem}/B`)!.data;
      const weight = expected.get(place.weight)!;
      assert.equal(place.transposed, false);
      for (let i = 0; i < 16; i++) {
        for (let j = 0; j < 16; j++) {
          weight[i * place.outputs + place.from + j]! += 3 * (a[2 * i]! * b[j]! + a[2 * i + 1]! * b[16 + j]!);
        }
      }
    }
    for (const value of merged.initialisers) {
      const changed = adapters.places.some(({ weight }) => weight === value.name);
      const found = Array.from(value.tensor!.data as Float32Array), wanted = expected.get(value.name)!;
      if (changed) found.forEach((x, i) => assert.ok(Math.abs(x - wanted[i]!) < 1e-6, value.name));
      else assert.deepEqual(found, wanted, value.name);
    }
  });
}

Deno.test("adapters of both towers are saved in one small file and read again", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const text = await open("openai"), image = await openTower("image", `${exported}openai.image.onnx`);
    const random = Random.seeded("both");
    const both = [
      trained(await adaptersOf(text)),
      trained(await initialAdapters(image, { sizes: [3, 16, 16], random, rank: 2 })),
    ];
    const path = join(folder, "adapters.safetensors");
    await saveAdapters(path, both);
    assert.deepEqual(await loadAdapters(path), both);
    await assert.rejects(
      loadAdapters(`${exported}openai.safetensors`),
      /expected low-rank adapters .* found other tensors/,
    );
    // 2 layers, q and v, A and B of 16 x 4 numbers, and a head
    assert.ok((await Deno.stat(path)).size < 16_000);
    assert.throws(() => mergeAdapters(image, both[0]!), /expected adapters of the image tower, found those of text/);
    assert.throws(
      () => mergeAdapters({ ...text, identity: "0" }, both[0]!),
      (error: Error) =>
        error instanceof InputError && /expected a set of adapters learned with this model/.test(error.message),
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("settings, matrices and adapters that do not fit are refused in one line", async () => {
  const tower = await open("openai");
  await assert.rejects(adaptersOf(tower, { rank: 0 }), /lora: expected a rank from 1, found 0/);
  await assert.rejects(adaptersOf(tower, { rank: 17 }), /lora: expected a rank up to 16 for val_4, found 17/);
  await assert.rejects(adaptersOf(tower, { alpha: -1 }), /lora: expected alpha above 0, found -1/);
  await assert.rejects(
    adaptersOf(tower, { projections: [] }),
    /lora: expected projections among q, k, v, o, found none/,
  );
  const adapters = await adaptersOf(tower);
  const [first] = adapters.tensors.keys();
  const cut = new Map(adapters.tensors).set(first!, tensor("float32", [1], [0]));
  assert.throws(() => withAdapters(tower, { ...adapters, tensors: cut }), /expected lora.* \[16, 4\], found \[1\]/);
  const renamed = adapters.places.map((place) => ({ ...place, weight: "elsewhere" }));
  assert.throws(
    () => mergeAdapters(tower, { ...adapters, places: renamed }),
    /expected a matrix "elsewhere" \[16, 48\], found none/,
  );
});

Deno.test("a matrix that two products read is refused: merging would change both", async () => {
  const graph = new Graph("tied");
  const ids = graph.input("input_ids", "int64", ["N", 3]);
  const initial = (name: string, shape: readonly number[]) =>
    graph.parameter(name, { shape, init: ([a, b]) => new Float32Array(a! * b!).fill(0.1) });
  const x = graph.node("Gather", [initial("table", [9, 4]), ids])[0]!;
  const shared = initial("shared", [4, 4]);
  const q = matMul(x, shared), k = matMul(x, shared), v = matMul(x, initial("value", [4, 4]));
  const mixed = matMul(softmax(matMul(q, transpose(k, [0, 2, 1])), { axis: 2 }), v);
  graph.output(graph.node("ReduceMean", [mixed], { axes: [1], keepdims: 0 })[0]!, "text_embeds");
  const tower = await openTower("text", copyGraph(graph));
  const attempt = initialAdapters(tower, { sizes: [3], random: Random.seeded(1) });
  await assert.rejects(attempt, /expected a matrix "shared" that one product reads, found several that do/);
});
