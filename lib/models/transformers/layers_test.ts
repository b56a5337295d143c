import assert from "node:assert/strict";
import { gradients } from "../../autodiff/mod.ts";
import { Graph, mul, reduceSum, tensor, toModel, type Value } from "../../onnx/mod.ts";
import { openSession, Random } from "../../runtime/mod.ts";
import { ModelError } from "../errors.ts";
import { normal } from "../initializers.ts";
import { layerNorm, multiHeadAttention, quickGelu, tokenEmbedding, transformerBlock } from "./layers.ts";

const close = (found: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-5) => {
  assert.equal(found.length, expected.length);
  for (let i = 0; i < found.length; i++) {
    assert.ok(Math.abs(found[i]! - expected[i]!) <= tolerance, `${i}: ${found[i]} for ${expected[i]}`);
  }
};

/** Runs a graph with one input x. */
async function run(build: (x: Value) => Value, shape: number[], x: readonly number[]) {
  const graph = new Graph("test");
  const y = build(graph.input("x", "float32", shape));
  graph.output(y, "y");
  await using session = await openSession(toModel(graph), { threads: 1 });
  const { y: out } = await session.run({ x: tensor("float32", shape, Float32Array.from(x)) });
  return { graph, y: out!.data as Float32Array };
}

/** rows · weightᵀ + bias, from the graph's own weights. */
function dense(graph: Graph, name: string, rows: readonly number[][]): number[][] {
  const weight = graph.value(`${name}.weight`).tensor!, bias = graph.value(`${name}.bias`).tensor!;
  const [outputs = 0, inputs = 0] = weight.shape;
  return rows.map((row) =>
    Array.from(
      { length: outputs },
      (_, o) => row.reduce((sum, value, i) => sum + value * Number(weight.data[o * inputs + i]), Number(bias.data[o])),
    )
  );
}

/** Multi-head attention by loops, straight from the paper's formulas. */
function plainAttention(graph: Graph, name: string, rows: readonly number[][], heads: number, causal: boolean) {
  const q = dense(graph, `${name}.query`, rows), k = dense(graph, `${name}.key`, rows);
  const v = dense(graph, `${name}.value`, rows);
  const size = rows[0]!.length / heads;
  const joined = rows.map((_, i) =>
    Array.from({ length: heads }, (_, head) => {
      const part = (row: number[]) => row.slice(head * size, (head + 1) * size);
      const seen = rows.map((_, j) => j).filter((j) => !causal || j <= i);
      const weights = seen.map((j) =>
        Math.exp(part(q[i]!).reduce((sum, x, d) => sum + x * part(k[j]!)[d]!, 0) / Math.sqrt(size))
      );
      const total = weights.reduce((a, b) => a + b, 0);
      return Array.from(
        { length: size },
        (_, d) => seen.reduce((sum, j, at) => sum + weights[at]! / total * part(v[j]!)[d]!, 0),
      );
    }).flat()
  );
  return dense(graph, `${name}.output`, joined);
}

for (const causal of [false, true]) {
  Deno.test(`attention${causal ? " with a causal mask" : ""} is that of a plain reference, each sequence by itself`, async () => {
    const random = Random.seeded("attention"), length = 5, width = 12, heads = 3;
    const x = Array.from({ length: 2 * length * width }, () => random.normal());
    const { graph, y } = await run(
      (rows) => multiHeadAttention(rows, { name: "a", random: Random.seeded("w"), length, heads, causal }),
      [2 * length, width],
      x,
    );
    const rows = Array.from({ length: 2 * length }, (_, i) => x.slice(i * width, (i + 1) * width));
    const expected = [rows.slice(0, length), rows.slice(length)].flatMap((own) =>
      plainAttention(graph, "a", own, heads, causal)
    );
    close(y, expected.flat());
  });
}

Deno.test("quick GELU and layer normalisation have their closed forms", async () => {
  const { y } = await run((x) => quickGelu(x), [1, 3], [0, 1, -2]);
  close(y, [0, 1 / (1 + Math.exp(-1.702)), -2 / (1 + Math.exp(3.404))]);
  // (1, 3): mean 2, variance 1
  const norm = await run((x) => layerNorm(x, { name: "n", epsilon: 0 }), [1, 2], [1, 3]);
  close(norm.y, [-1, 1]);
});

Deno.test("tokens are their embedding plus their place's, also of fewer places than the context has", async () => {
  const graph = new Graph("test");
  const ids = graph.input("ids", "int64", [2, 2]);
  graph.output(
    tokenEmbedding(ids, { name: "e", random: Random.seeded("e"), vocabulary: 5, context: 4, width: 3 }),
    "y",
  );
  await using session = await openSession(toModel(graph), { threads: 1 });
  const { y } = await session.run({ ids: tensor("int64", [2, 2], [4, 0, 1, 1]) });
  const row = (name: string, i: number) =>
    (graph.value(`e.${name}.weight`).tensor!.data as Float32Array).slice(3 * i, 3 * i + 3);
  const expected = [[4, 0], [0, 1], [1, 0], [1, 1]].flatMap(([token, place]) => {
    const at = row("position", place!);
    return [...row("token", token!)].map((x, d) => x + at[d]!);
  });
  close(y!.data as Float32Array, expected);
});

Deno.test("a block's gradient is that of differences, along random directions of its input and all weights", async () => {
  const length = 3, width = 8, random = Random.seeded("block");
  const graph = new Graph("block");
  const x = graph.parameter("x", { shape: [2 * length, width], init: normal(random, { deviation: 1 }) });
  const y = transformerBlock(x, { name: "b", random: random.fork("w"), length, heads: 2, causal: true, hidden: 6 });
  const loss = reduceSum(mul(y, graph.constant(tensor("float32", [2 * length, width], normal(random)([48])))));
  const parameters = graph.parameters, start = parameters.map((value) => value.tensor!);
  graph.output(loss, "loss");
  gradients(loss, parameters).forEach((gradient, i) => graph.output(gradient, `gradient${i}`));
  const at = async (shift: number, directions: readonly Float32Array[]) => {
    parameters.forEach((value, i) => {
      const moved = (start[i]!.data as Float32Array).map((w, k) => w + shift * directions[i]![k]!);
      graph.setTensor(value, tensor("float32", start[i]!.shape, moved));
    });
    await using session = await openSession(toModel(graph), { threads: 1 });
    return await session.run({});
  };
  for (let round = 0; round < 3; round++) {
    const directions = start.map(({ shape }) => normal(random, { deviation: 1 })(shape));
    const difference = async (h: number) =>
      (Number((await at(h, directions)).loss!.data[0]) - Number((await at(-h, directions)).loss!.data[0])) / (2 * h);
    const outputs = await at(0, directions);
    const expected = directions.reduce(
      (sum, direction, i) =>
        sum + direction.reduce((own, d, k) => own + d * Number(outputs[`gradient${i}`]!.data[k]), 0),
      0,
    );
    // Richardson's extrapolation takes the error of the third derivative away.
    const found = (4 * await difference(5e-3) - await difference(1e-2)) / 3;
    assert.ok(Math.abs(found - expected) <= 5e-3 * Math.max(1, Math.abs(expected)), `${found} for ${expected}`);
  }
});

Deno.test("a layer called twice shares its weights, and refuses others than it has", () => {
  const graph = new Graph("test"), random = Random.seeded("shared");
  const a = graph.input("a", "float32", [6, 4]), b = graph.input("b", "float32", [4, 4]);
  const block = (x: Value, length: number) => transformerBlock(x, { name: "text.block0", random, length, heads: 2 });
  const first = block(a, 3), names = graph.parameters.map(({ name }) => name);
  graph.output(reduceSum(first), "y");
  block(b, 2);
  assert.deepEqual(graph.parameters.map(({ name }) => name), names);
  assert.ok(names.includes("text.block0.attention.query.weight"));
  assert.equal(names.length, 16);
  const wide = graph.input("c", "float32", [6, 8]);
  assert.throws(
    () => transformerBlock(wide, { name: "text.block0", random, length: 3, heads: 2 }),
    /OnnxError|expected/,
  );
});

Deno.test("sizes that do not go together are refused in one line", () => {
  const graph = new Graph("test"), random = Random.seeded("wrong");
  const rows = graph.input("rows", "float32", [6, 4]), ids = graph.input("ids", "int64", [2, 9]);
  assert.throws(() => multiHeadAttention(rows, { name: "a", random, length: 3, heads: 3 }), ModelError);
  assert.throws(
    () => tokenEmbedding(ids, { name: "e", random, vocabulary: 5, context: 8, width: 4 }),
    /expected ids \[N, L\] with L up to 8/,
  );
});
