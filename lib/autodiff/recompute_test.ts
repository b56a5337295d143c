/** Gradient checkpointing: the same gradients, from less memory. */

import assert from "node:assert/strict";
import {
  add,
  batchNormalizationTraining,
  conv,
  Graph,
  leakyRelu,
  matMul,
  maxPool,
  mul,
  reduceLogSumExp,
  reduceMean,
  reduceSum,
  sigmoid,
  tanh,
  tensor,
  toModel,
  toNumbers,
  type Value,
} from "../onnx/mod.ts";
import { openSession, Random } from "../runtime/mod.ts";
import { checkGradients, runGraph } from "./gradient_check.ts";
import { gradients } from "./mod.ts";

/** tanh layers, `depth` of them; returns the weights and what comes after each. */
function tower(graph: Graph, x: Value, depth: number, width: number): { weights: Value[]; layers: Value[] } {
  const weights: Value[] = [], layers: Value[] = [];
  let y = x;
  for (let i = 0; i < depth; i++) {
    const w = graph.input(`w${i}`, "float32", [width, width]);
    y = tanh(matMul(y, w));
    weights.push(w);
    layers.push(y);
  }
  return { weights, layers };
}

function feedsFor(depth: number, batch: number, width: number): Record<string, ReturnType<typeof tensor>> {
  const random = Random.seeded("tower", depth, width);
  const drawn = (shape: number[]) =>
    tensor("float32", shape, Float32Array.from({ length: shape[0]! * shape[1]! }, () => random.normal(0, 0.3)));
  return Object.fromEntries([
    ["x", drawn([batch, width])],
    ...Array.from({ length: depth }, (_, i) => [`w${i}`, drawn([width, width])]),
  ]);
}

Deno.test("checkpointed gradients are bit-identical to those without", async () => {
  const depth = 9, batch = 5, width = 4;
  const results = [];
  for (const kept of [[], [2, 5], [0, 1, 2, 3, 4, 5, 6, 7, 8], [8], [4]]) {
    const graph = new Graph();
    const x = graph.input("x", "float32", [batch, width]);
    const { weights, layers } = tower(graph, x, depth, width);
    const skip = add(layers[3]!, layers.at(-1)!); // read from within a segment, far behind it
    gradients(reduceMean(mul(skip, skip)), [x, ...weights], { checkpoint: kept.map((i) => layers[i]!) })
      .forEach((gradient, i) => graph.output(gradient, `gradient${i}`));
    const found = await runGraph(graph, feedsFor(depth, batch, width));
    results.push(Object.values(found).map(toNumbers));
  }
  for (const result of results) assert.deepEqual(result, results[0]);
});

Deno.test("checkpointed gradients are the central differences, with a symbolic batch too", async () => {
  await checkGradients(6, Random.seeded("checkpoint"), (random) => {
    const n = 1 + random.int(3);
    const kept: Value[] = [];
    return {
      inputs: {
        x: { shape: [n, 3], declared: random.chance(0.5) ? ["N", 3] : [n, 3] },
        a: { shape: [3, 3] },
        b: { shape: [3, 3] },
        c: { shape: [3, 2] },
      },
      build: ({ x, a, b, c }) => {
        const first = sigmoid(matMul(x!, a!)), second = tanh(matMul(mul(first, first), b!));
        kept.push(first, second);
        return tanh(matMul(mul(second, tanh(second)), c!));
      },
      checkpoint: () => kept,
    };
  });
});

Deno.test("a recomputed BatchNormalization has running statistics of its own, and gives the same gradient", async () => {
  const build = (checkpointed: boolean) => {
    const graph = new Graph();
    const x = graph.input("x", "float32", [4, 3]);
    const constant = (value: number, name: string) => graph.constant(new Array(3).fill(value), { name });
    const { y, runningMean } = batchNormalizationTraining(
      tanh(x),
      constant(1.5, "scale"),
      constant(0.1, "bias"),
      constant(0, "mean"),
      constant(1, "variance"),
      { momentum: 0.9 },
    );
    const end = reduceSum(mul(tanh(y), graph.input("v", "float32", [4, 3])), { axes: 1 });
    const loss = reduceSum(tanh(end));
    // The rule of BatchNormalization is not needed here: only what lies behind it is differentiated.
    const [dy] = gradients(loss, [y], checkpointed ? { checkpoint: [end] } : {});
    graph.output(dy!, "dy");
    graph.output(runningMean, "runningMean");
    return graph;
  };
  const random = Random.seeded("batch normalisation");
  const drawn = () => tensor("float32", [4, 3], Array.from({ length: 12 }, () => random.normal()));
  const feeds = { x: drawn(), v: drawn() };
  const plain = await runGraph(build(false), feeds), again = build(true);
  const copies = again.nodes.filter((node) => node.opType === "BatchNormalization");
  assert.equal(copies.length, 2);
  assert.notEqual(copies[0]!.inputs[3], copies[1]!.inputs[3]);
  const found = await runGraph(again, feeds);
  assert.deepEqual(toNumbers(found.dy!), toNumbers(plain.dy!));
  assert.deepEqual(toNumbers(found.runningMean!), toNumbers(plain.runningMean!));
});

Deno.test("a residual network with batch normalisation and pooling has bit-identical gradients when checkpointed", async () => {
  const build = (checkpointed: boolean) => {
    const graph = new Graph();
    // Weights are fed, as a training step feeds them: ONNX Runtime lays constant ones out anew, each use in its own way.
    const weight = (shape: number[]) => graph.input(`w${graph.inputs.length}`, "float32", shape);
    const normalised = (x: Value, channels: number) => {
      const [scale, bias, mean, variance] = Array.from({ length: 4 }, () => weight([channels]));
      return batchNormalizationTraining(x, scale!, bias!, mean!, variance!).y;
    };
    const layer = (x: Value, channels: number, kernel: number) => {
      const w = weight([channels, x.shape[1] as number, kernel, kernel]);
      return leakyRelu(normalised(conv(x, w, { pads: (kernel - 1) / 2 }), channels), { alpha: 0.1 });
    };
    const kept: Value[] = [];
    const images = graph.input("x", "float32", [3, 3, 8, 8]);
    let x: Value = maxPool(layer(images, 4, 3), 2, { strides: 2 });
    for (let block = 0; block < 3; block++) {
      x = add(x, layer(layer(x, 2, 1), 4, 3));
      kept.push(x);
    }
    const loss = reduceSum(reduceLogSumExp(matMul(reduceMean(x, { axes: [2, 3] }), weight([4, 5])), { axes: [1] }));
    gradients(loss, graph.inputs.slice(1), { checkpoint: checkpointed ? kept : [] })
      .forEach((gradient, i) => graph.output(gradient, `gradient${i}`));
    return graph;
  };
  const random = Random.seeded("residual network");
  const plain = build(false), checkpointed = build(true);
  const feeds = Object.fromEntries(plain.inputs.map(({ name, staticShape }) => {
    const count = staticShape.reduce((product, size) => product * size, 1);
    return [name, tensor("float32", staticShape, Array.from({ length: count }, () => random.normal(0, 0.5)))];
  }));
  assert.ok(checkpointed.nodes.some((node) => node.opType === "Conv" && /recompute/.test(node.name)));
  assert.deepEqual(await runGraph(checkpointed, feeds), await runGraph(plain, feeds));
});

Deno.test("an infinite gradient does not disturb the recomputation", async () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [2]), scale = graph.input("scale", "float32", [2]);
  const kept = tanh(x), loss = reduceSum(mul(tanh(mul(kept, kept)), scale));
  const [dx] = gradients(loss, [x], { checkpoint: [kept, loss] });
  graph.output(dx!, "dx");
  const found = await runGraph(graph, {
    x: tensor("float32", [2], [0.5, 1]),
    scale: tensor("float32", [2], [Infinity, 1]),
  });
  const [first, second] = toNumbers(found.dx!);
  assert.equal(first, Infinity);
  const k = Math.tanh(1), expected = (1 - Math.tanh(k * k) ** 2) * 2 * k * (1 - k * k);
  assert.ok(Math.abs(second! - expected) < 1e-6);
});

/** Layers of [16384, 32], 2 MiB each: far above what the process itself moves by. */
const PEAK = { depth: 36, batch: 16384, width: 32 } as const;

Deno.test({
  name: "peak memory falls when segments are recomputed: ONNX Runtime merges no copy with its original",
  ignore: Deno.build.os !== "linux", // the high-water mark is read from /proc
  async fn() {
    const layer = PEAK.batch * PEAK.width * 4;
    const peak = async (every: number) => {
      const args = ["run", "-A", "--no-check", import.meta.filename!, "peak", String(every)];
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
      const decoder = new TextDecoder();
      assert.equal(code, 0, decoder.decode(stderr));
      return Number(decoder.decode(stdout)) / layer;
    };
    const whole = await peak(0), checkpointed = await peak(6);
    // All 36 layers, against 6 that are kept and 6 of the segment at hand; both with a few temporaries.
    assert.ok(whole > 34 && whole < 48, `without: ${whole} layers`);
    assert.ok(checkpointed < 20, `checkpointed: ${checkpointed} layers, without: ${whole}`);
  },
});

/** The highest resident memory during one run above that before it, in bytes; a checkpoint after each `every` layers. */
async function measurePeak(every: number): Promise<number> {
  const { depth, batch, width } = PEAK;
  const graph = new Graph();
  const x = graph.input("x", "float32", [batch, width]);
  const { weights, layers } = tower(graph, x, depth, width);
  const checkpoint = every === 0 ? [] : layers.filter((_, i) => i % every === every - 1);
  gradients(reduceMean(layers.at(-1)!), weights, { checkpoint })
    .forEach((gradient, i) => graph.output(gradient, `gradient${i}`));
  await using session = await openSession(toModel(graph, { order: "latestFirst" }), { threads: 1 });
  const feeds = feedsFor(depth, batch, width);
  const memory = async (field: string) => {
    const status = await Deno.readTextFile("/proc/self/status");
    return 1024 * Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)![1]);
  };
  const before = await memory("VmRSS");
  await session.run(feeds);
  return await memory("VmHWM") - before;
}

if (import.meta.main && Deno.args[0] === "peak") console.log(await measurePeak(Number(Deno.args[1])));
