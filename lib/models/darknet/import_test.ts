/** Importing: backbones, other class counts, region layers, our own networks through the files and back. */

import assert from "node:assert/strict";
import { type Graph, toModel } from "../../onnx/mod.ts";
import { openSession, Random, tensor } from "../../runtime/mod.ts";
import { darknet53, exportDarknet, importDarknet, loadDarknetWeights, ModelError, yoloV3, yoloV3Tiny } from "../mod.ts";
import { toDarknetVariance, toOnnxVariance } from "./variance.ts";

const folder = new URL("../../../tests/fixtures/darknet/", import.meta.url);
const cfg = Deno.readTextFileSync(new URL("mini.cfg", folder));
const weights = Deno.readFileSync(new URL("mini.weights", folder));
const random = Random.seeded("import");
const data = (graph: Graph, name: string) => graph.value(name).tensor!.data as Float32Array;

async function run(graph: Graph, seed = 1): Promise<Float32Array[]> {
  const [, ...shape] = graph.inputs[0]!.shape as number[];
  const stream = Random.seeded("pixels", seed);
  const pixels = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => stream.uniform());
  await using session = await openSession(toModel(graph), { threads: 1 });
  return Object.values(await session.run({ images: tensor("float32", [1, ...shape], pixels) }))
    .map((output) => output.data as Float32Array);
}

function assertSame(found: readonly Float32Array[], expected: readonly Float32Array[], tolerance: number): void {
  assert.equal(found.length, expected.length);
  found.forEach((output, n) => {
    assert.equal(output.length, expected[n]!.length);
    output.forEach((value, i) => {
      const wanted = expected[n]![i]!;
      assert.ok(
        Math.abs(value - wanted) <= tolerance * Math.max(1, Math.abs(wanted)),
        `${n}.${i}: ${value}, ${wanted}`,
      );
    });
  });
}

/** As after training: statistics and scales that are not those of the start. */
function shaken(graph: Graph): Graph {
  const stream = Random.seeded("shaken");
  for (const { name, tensor: content } of graph.initialisers) {
    const length = content!.data.length;
    const draw = (low: number, high: number) =>
      graph.setTensor(
        graph.value(name),
        tensor("float32", [length], Float32Array.from({ length }, () => stream.uniform(low, high))),
      );
    if (/\.(mean|bias)$/.test(name)) draw(-0.3, 0.3);
    if (/\.(scale|variance)$/.test(name)) draw(0.2, 1.5);
  }
  return graph;
}

const small = { size: 64, width: 0.2, depth: 0.3, random };
const OWN = {
  "YOLOv3": () => yoloV3({ ...small, classes: 3 }),
  "YOLOv3-tiny": () => yoloV3Tiny({ ...small, classes: 3 }),
  "Darknet-53": () => ({ graph: darknet53({ ...small, classes: 10 }), spec: undefined }),
};
for (const [name, build] of Object.entries(OWN)) {
  Deno.test(`${name} exported to Darknet's files and imported again computes the same`, async () => {
    const { graph, spec } = build();
    const files = exportDarknet(shaken(graph), { spec });
    const again = importDarknet({ ...files, activated: false });
    assert.deepEqual(
      again.spec?.heads.map(({ stride, anchors }) => [stride, anchors]),
      spec?.heads.map((head) => [head.stride, head.anchors]),
    );
    assert.deepEqual([again.spec?.classes, again.spec?.size], [spec?.classes, spec?.size]);
    const expected = await run(graph);
    assertSame(await run(again.graph), expected, 1e-4);
    const fresh = build().graph;
    loadDarknetWeights(fresh, files.weights);
    assertSame(await run(fresh), expected, 1e-4);
  });
}

Deno.test("YOLOv3 is built as yolov3.cfg: 107 layers, heads at 82, 94 and 106, routes to 79, 61, 91 and 36", () => {
  const { graph, spec } = yoloV3({ classes: 80, width: 0.125, random: "zeros" });
  const files = exportDarknet(graph, { spec });
  const { network, heads, spec: again } = importDarknet({ cfg: files.cfg, random: "zeros", activated: false });
  assert.equal(network.layers.length, 107);
  assert.deepEqual(heads.map(({ layer }) => layer), [82, 94, 106]);
  assert.deepEqual(again!.heads.map(({ anchors }) => anchors), spec.heads.map(({ anchors }) => anchors));
  const routes = network.layers.flatMap((layer) => layer.kind === "route" ? [[layer.index, ...layer.from]] : []);
  assert.deepEqual(routes, [[83, 79], [86, 85, 61], [95, 91], [98, 97, 36]]);
  const shortcuts = network.layers.filter(({ kind }) => kind === "shortcut").map(({ index }) => index);
  assert.deepEqual([shortcuts.length, shortcuts[0], shortcuts.at(-1)], [23, 4, 74]);
});

Deno.test("YOLOv3-tiny is built as yolov3-tiny.cfg: 24 layers, heads at 16 and 23, routes to 13 and 8", () => {
  const { graph, spec } = yoloV3Tiny({ classes: 80, width: 0.125, random: "zeros" });
  const { network, heads } = importDarknet({ cfg: exportDarknet(graph, { spec }).cfg, random: "zeros" });
  assert.equal(network.layers.length, 24);
  assert.deepEqual(heads.map(({ layer }) => layer), [16, 23]);
  const routes = network.layers.flatMap((layer) => layer.kind === "route" ? [[layer.index, ...layer.from]] : []);
  assert.deepEqual(routes, [[17, 13], [20, 19, 8]]);
});

Deno.test("a backbone's file fills the first layers, the others start as fresh ones", () => {
  // Convolutions 0 to 4: 216 + 32, 1152 + 64, 128 + 32, 1152 + 64, 4608 + 128 numbers.
  const backbone = weights.slice(0, 20 + 4 * (248 + 1216 + 160 + 1216 + 4736));
  const whole = importDarknet({ cfg, weights, activated: false }).graph;
  const { graph, layers } = importDarknet({ cfg, weights: backbone, partial: true, random, activated: false });
  assert.deepEqual(layers, { loaded: 5, all: 10 });
  for (const name of ["conv0.weight", "conv4.weight", "conv4.mean"]) {
    assert.deepEqual(data(graph, name), data(whole, name));
  }
  assert.notDeepEqual(data(graph, "conv5.weight"), data(whole, "conv5.weight"));
  assert.ok(data(graph, "conv5.scale").every((value) => value === 1));
  assert.ok(Math.abs(data(graph, "conv6.bias")[4]! + 4.595) < 1e-3); // a detecting layer: the prior 0.01
  const same = importDarknet({ cfg, weights: backbone, partial: true, random, activated: false }).graph;
  assert.deepEqual(data(same, "conv9.weight"), data(graph, "conv9.weight"));
  assert.throws(
    () => importDarknet({ cfg, weights: backbone, random }),
    /it ends before the weights of cfg:63: \[convolutional\]$/,
  );
  assert.throws(
    () => importDarknet({ cfg, weights: backbone, partial: true }),
    /^ModelError: cfg:63: \[convolutional\]: expected weights in the file or random starting values, found neither$/,
  );
});

Deno.test("with another number of classes the detecting layers start anew and the rest is the file's", () => {
  const whole = importDarknet({ cfg, weights, activated: false }).graph;
  const { graph, heads, layers, spec } = importDarknet({
    cfg,
    weights,
    classes: 20,
    random,
    size: 64,
    activated: false,
  });
  assert.deepEqual(layers, { loaded: 8, all: 10 });
  assert.deepEqual(graph.outputs.map(({ shape }) => shape[1]), [75, 75]);
  assert.ok(heads.every(({ classes }) => classes === 20));
  assert.deepEqual([spec!.classes, spec!.size], [20, 64]);
  assert.deepEqual(data(graph, "conv8.weight"), data(whole, "conv8.weight"));
  assert.deepEqual(graph.value("conv9.weight").shape, [75, 16, 1, 1]);
  assert.ok(Math.abs(data(graph, "conv9.bias")[5]! - Math.log(1 / 19)) < 1e-6);
});

Deno.test("the first layers of a file load into a network of another class count", () => {
  const { graph, spec } = yoloV3Tiny({ ...small, classes: 3 });
  const file = exportDarknet(shaken(graph), { spec }).weights;
  const other = yoloV3Tiny({ ...small, classes: 9 }).graph;
  const before = data(other, "conv9.weight");
  assert.equal(loadDarknetWeights(other, file, { layers: 9 }).loaded, 9);
  assert.deepEqual(data(other, "conv8.weight"), data(graph, "conv8.weight"));
  assert.deepEqual(data(other, "conv9.weight"), before);
  assert.throws(() => loadDarknetWeights(other, file), ModelError);
  assert.throws(
    () => loadDarknetWeights(other, file, { layers: 14 }),
    /^ModelError: layers: expected a whole number in 1 … 13, found 14$/,
  );
});

const region = (softmax: number) =>
  "[net]\nwidth=64\nheight=64\nchannels=3\n" +
  "[convolutional]\nfilters=16\nsize=3\nstride=2\npad=1\nactivation=leaky\n[maxpool]\nsize=16\nstride=16\n" +
  "[dropout]\nprobability=.3\n[convolutional]\nfilters=16\nactivation=linear\n" +
  `[region]\nanchors=0.5,0.75, 2,3\nclasses=3\ncoords=4\nnum=2\nsoftmax=${softmax}\nbias_match=1\nthresh=.6\n`;

for (const softmax of [1, 0]) {
  Deno.test(`a region layer with softmax=${softmax} is activated as in Darknet's region_layer.c, and survives the files`, async () => {
    const raw = importDarknet({ cfg: region(softmax), random, activated: false });
    const done = importDarknet({ cfg: region(softmax), random });
    assert.deepEqual(raw.spec!.heads, [{ output: "region4", stride: 32, anchors: [[16, 24], [64, 96]] }]);
    assert.equal(raw.heads[0]!.classProbabilities, softmax ? "softmax" : "sigmoid");
    const [before] = await run(raw.graph);
    const at = (anchor: number, entry: number, place: number) => before![(anchor * 8 + entry) * 4 + place]!;
    const logistic = (x: number) => 1 / (1 + Math.exp(-x));
    const expected = before!.map((x, i) => {
      const place = i % 4, entry = Math.floor(i / 4) % 8, anchor = Math.floor(i / 32);
      if (entry === 2 || entry === 3) return x;
      if (entry < 5 || !softmax) return logistic(x);
      const total = [5, 6, 7].reduce((sum, each) => sum + Math.exp(at(anchor, each, place)), 0);
      return Math.exp(x) / total;
    });
    assertSame(await run(done.graph), [expected], 1e-5);
    for (const { graph, heads } of [raw, done]) {
      const files = exportDarknet(graph, { spec: { classes: 3, heads } });
      assert.match(files.cfg, new RegExp(`\\[region\\]\\nanchors=0.5,0.75, {2}2,3\\n[^]*softmax=${softmax}`));
      assertSame(await run(importDarknet(files).graph), [expected], 1e-5);
    }
  });
}

Deno.test("connected layers and scaled shortcuts follow Darknet's order and arithmetic", async () => {
  const text =
    "[net]\nwidth=2\nheight=2\nchannels=1\n[connected]\noutput=2\nactivation=relu\n[connected]\noutput=2\nactivation=linear\n" +
    "[shortcut]\nfrom=-2\nalpha=3\nbeta=10\nactivation=leaky\n[cost]\ntype=sse\n";
  // biases, then weights [outputs][inputs]
  const numbers = [0.5, 0, 1, 0, 0, 1, -1, 0, 0, 0, /* second */ 0, -9, 1, 0, 0, 1];
  const bytes = new Uint8Array(20 + 4 * numbers.length);
  bytes[4] = 2;
  bytes.set(new Uint8Array(new Float32Array(numbers).buffer), 20);
  const { graph } = importDarknet({ cfg: text, weights: bytes });
  await using session = await openSession(toModel(graph), { threads: 1 });
  const result = await session.run({ images: tensor("float32", [1, 1, 2, 2], [1, 2, 3, 4]) });
  // first: relu(1 + 4 + 0.5, −1) = (5.5, 0); second: (5.5, −9); 3 · second + 10 · first = (71.5, −27 → −2.7)
  assert.deepEqual(Object.keys(result), ["shortcut2"]);
  const [a, b] = result["shortcut2"]!.data as Float32Array;
  assert.ok(Math.abs(a! - 71.5) < 1e-5 && Math.abs(b! + 2.7) < 1e-5, `${a}, ${b}`);
});

Deno.test("for every variance ONNX divides by Darknet's √σ² + 1e-6, and the way back gives σ² again", () => {
  const variances = new Float32Array([0, 1e-12, 1e-8, 1e-4, 0.01, 0.3, 1, 77]);
  const exact = toOnnxVariance(variances, 1e-12);
  variances.forEach((v, i) => {
    const divisor = Math.sqrt(v) + 1e-6;
    assert.ok(Math.abs(Math.sqrt(exact[i]! + 1e-12) / divisor - 1) < 1e-7, `${v}`);
  });
  toDarknetVariance(exact, 1e-12).forEach((v, i) => assert.ok(Math.abs(v - variances[i]!) <= 1e-7 * variances[i]!));
  // With ε = 1e-5 from σ² = ε on; below, the divisor is √ε.
  const training = toOnnxVariance(variances, 1e-5);
  assert.ok(Math.abs(Math.sqrt(training[4]! + 1e-5) / 0.100001 - 1) < 1e-7);
  assert.deepEqual([...training.slice(0, 3)], [0, 0, 0]);
});

Deno.test("a graph that Darknet has no layer for is refused by the node's name", () => {
  const { graph, spec } = yoloV3Tiny({ ...small, classes: 3 });
  graph.node("Tanh", [graph.value("coarse")]);
  assert.throws(
    () => exportDarknet(graph, { spec }),
    /^ModelError: Tanh "Tanh_1": expected an operator that Darknet has a layer for, found Tanh$/,
  );
  const plain = yoloV3Tiny({ ...small, classes: 3 }).graph;
  assert.throws(
    () => exportDarknet(plain),
    /expected outputs that are detecting layers of the specification, or the last layer, found "coarse", "fine"$/,
  );
});
