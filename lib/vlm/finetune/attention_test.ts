import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Graph, matMul, slice, softmax, transpose } from "../../onnx/mod.ts";
import { InputError, tensor } from "../../runtime/mod.ts";
import { findProjections } from "./attention.ts";
import { openTower, type TowerKind } from "./tower.ts";

const exported = fileURLToPath(new URL("../../../tests/fixtures/clip_export/", import.meta.url));
const sizes = { text: [10], image: [3, 16, 16] };

for (const kind of ["text", "image"] as const) {
  Deno.test(`Hugging Face's ${kind} tower: the matrices found are those that the exporter named so`, async () => {
    const found = await findProjections(await openTower(kind, `${exported}huggingface.${kind}.onnx`), sizes[kind]);
    const names = { q: "q_proj", k: "k_proj", v: "v_proj", o: "out_proj" };
    assert.deepEqual(found.map(({ projection }) => projection).join(""), "qkvoqkvo");
    found.forEach(({ projection, node, inputs, from, to }, i) => {
      assert.ok(node.name.includes(`layers.${i < 4 ? 0 : 1}/self_attn/${names[projection]}/`), node.name);
      assert.deepEqual([inputs, from, to], [16, 0, 16]);
    });
  });

  Deno.test(`openai's ${kind} tower: one matrix makes queries, keys and values, in PyTorch's order`, async () => {
    const found = await findProjections(await openTower(kind, `${exported}openai.${kind}.onnx`), sizes[kind]);
    assert.deepEqual(
      found.map(({ projection, from, to }) => `${projection} ${from} ${to}`),
      ["q 0 16", "k 16 32", "v 32 48", "o 0 16", "q 0 16", "k 16 32", "v 32 48", "o 0 16"],
    );
    assert.ok(found.filter(({ projection }) => projection !== "o").every(({ outputs }) => outputs === 48));
    assert.ok(found.filter(({ projection }) => projection === "o").every(({ weight }) => /out_proj/.test(weight.name)));
  });
}

/** A text tower whose one matrix makes values, queries and keys, in this order. */
function oddlyPacked(): Graph {
  const graph = new Graph("odd");
  const ids = graph.input("input_ids", "int64", ["N", 3]);
  const initial = (name: string, shape: readonly number[]) =>
    graph.parameter(name, { shape, init: ([a, b]) => Array.from({ length: a! * b! }, (_, i) => Math.sin(i + 1)) });
  const x = graph.node("Gather", [initial("table", [9, 4]), ids])[0]!;
  const all = matMul(x, initial("packed", [4, 12]));
  const part = (i: number) => slice(all, [4 * i], [4 * i + 4], { axes: [2] });
  const weights = softmax(matMul(part(1), transpose(part(2), [0, 2, 1])), { axis: 2 });
  const mixed = matMul(matMul(weights, part(0)), initial("out", [4, 4]));
  graph.output(graph.node("ReduceMean", [mixed], { axes: [1], keepdims: 0 })[0]!, "text_embeds");
  return graph;
}

Deno.test("columns are told apart by what they change, in whatever order a file has them", async () => {
  const found = await findProjections(await openTower("text", oddlyPacked()), [3]);
  assert.deepEqual(found.map(({ projection, from }) => `${projection} ${from}`), ["q 4", "k 8", "v 0", "o 0"]);
});

async function refusal(kind: TowerKind, build: (graph: Graph) => void, pattern: RegExp): Promise<void> {
  const graph = new Graph("wrong");
  build(graph);
  await assert.rejects(
    async () => findProjections(await openTower(kind, graph), [4]),
    (error: Error) => error instanceof InputError && pattern.test(error.message) && !error.message.includes("\n"),
  );
}

Deno.test("a tower without attention, or with attention in one operator, is refused in one line", async () => {
  const matrix = (graph: Graph) => graph.constant(tensor("float32", [4, 4], new Array(16).fill(1)), { name: "w" });
  await refusal("text", (graph) => {
    const x = graph.node("Gather", [matrix(graph), graph.input("input_ids", "int64", ["N", 4])])[0]!;
    graph.output(graph.node("ReduceMean", [x], { axes: [1], keepdims: 0 })[0]!, "text_embeds");
  }, /expected attention written out .* found none/);
  await refusal("text", (graph) => {
    const x = graph.node("Gather", [matrix(graph), graph.input("input_ids", "int64", ["N", 4])])[0]!;
    graph.node("Attention", [x], {}, { domain: "com.microsoft", name: "fused" });
    graph.output(graph.node("ReduceMean", [x], { axes: [1], keepdims: 0 })[0]!, "text_embeds");
  }, /found Attention "fused", one operator for all of it/);
});

Deno.test("a file that is no tower is refused in one line", async () => {
  await refusal("text", (graph) => {
    graph.output(graph.node("Relu", [graph.input("x", "float32", ["N", 4])])[0]!, "y");
  }, /expected token ids \[N, T\] .* found inputs "x" \[N, 4\]/);
  await refusal("image", (graph) => {
    graph.output(graph.node("Relu", [graph.input("pixel_values", "float32", ["N", 3, 4, 4])])[0]!, "y");
  }, /expected an output image_embeds \[N, D\], found "y" \[N, 3, 4, 4\]/);
});
