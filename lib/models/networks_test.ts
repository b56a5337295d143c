/** Darknet-53, YOLOv3 and YOLOv3-tiny against the published architectures: counts, shapes, names, starting values. */

import assert from "node:assert/strict";
import { copyGraph, foldBatchNormalization, type Graph, toModel } from "../onnx/mod.ts";
import { openSession, Random, tensor } from "../runtime/mod.ts";
import { darknet53, ModelError, scaleAnchors, YOLO_V3_ANCHORS, yoloV3, yoloV3Tiny } from "./mod.ts";

/** A convolution's numbers in Darknet's file: weights, and bias or (bias, scale, mean, variance). */
const conv = (inputs: number, filters: number, size: number, norm = true) =>
  inputs * filters * size * size + filters * (norm ? 4 : 1);

/** Darknet-53 without its last layer, from the table of its paper: a first layer, then stages of a strided layer and n blocks. */
const backbone = conv(3, 32, 3) +
  [1, 2, 8, 8, 4].reduce((sum, blocks, stage) => {
    const filters = 64 << stage, half = filters / 2;
    return sum + conv(half, filters, 3) + blocks * (conv(filters, half, 1) + conv(half, filters, 3));
  }, 0);

/** yolov3.cfg: at each scale five convolutions (the first reads the joined maps), one 3x3 and the detecting one. */
function yoloNumbers(classes: number): number {
  const outputs = 3 * (5 + classes);
  const scale = (inputs: number, filters: number) =>
    conv(inputs, filters, 1) + 2 * conv(2 * filters, filters, 1) + 3 * conv(filters, 2 * filters, 3) +
    conv(2 * filters, outputs, 1, false);
  return backbone + scale(1024, 512) + conv(512, 256, 1) + scale(256 + 512, 256) + conv(256, 128, 1) +
    scale(128 + 256, 128);
}

/** yolov3-tiny.cfg. */
function tinyNumbers(classes: number): number {
  const outputs = 3 * (5 + classes);
  const widths = [3, 16, 32, 64, 128, 256, 512, 1024];
  const body = widths.slice(1).reduce((sum, filters, i) => sum + conv(widths[i]!, filters, 3), 0);
  return body + conv(1024, 256, 1) + conv(256, 512, 3) + conv(512, outputs, 1, false) + conv(256, 128, 1) +
    conv(128 + 256, 256, 3) + conv(256, outputs, 1, false);
}

const count = (values: Graph["initialisers"]) =>
  values.filter(({ name }) => name.startsWith("conv")).reduce((sum, { tensor }) => sum + tensor!.data.length, 0);

Deno.test("the closed forms give the sizes of the published files and the published counts", () => {
  assert.equal(20 + 4 * backbone, 162_482_580); // darknet53.conv.74
  assert.equal(20 + 4 * (backbone + conv(1024, 1000, 1, false)), 166_582_580); // darknet53.weights
  assert.equal(yoloNumbers(80), 62_001_757);
  assert.equal(20 + 4 * yoloNumbers(80), 248_007_048); // yolov3.weights
  assert.equal(20 + 4 * tinyNumbers(80), 35_434_956); // yolov3-tiny.weights
});

for (const classes of [80, 1025]) {
  Deno.test(`YOLOv3 with ${classes} classes has ${yoloNumbers(classes)} numbers, and its outputs the sizes of the paper`, () => {
    const { graph, spec } = yoloV3({ classes, random: "zeros" });
    assert.equal(count(graph.initialisers), yoloNumbers(classes));
    // Ultralytics counts what is trained: 61,949,149 with 80 classes.
    if (classes === 80) assert.equal(count(graph.parameters), 61_949_149);
    const channels = 3 * (5 + classes);
    assert.deepEqual(graph.outputs.map(({ name, shape }) => [name, ...shape]), [
      ["coarse", "N", channels, 13, 13],
      ["middle", "N", channels, 26, 26],
      ["fine", "N", channels, 52, 52],
    ]);
    assert.deepEqual(spec.heads.map(({ output, stride, anchors }) => [output, stride, anchors]), [
      ["coarse", 32, [[116, 90], [156, 198], [373, 326]]],
      ["middle", 16, [[30, 61], [62, 45], [59, 119]]],
      ["fine", 8, [[10, 13], [16, 30], [33, 23]]],
    ]);
    assert.deepEqual([spec.classes, spec.size], [classes, 416]);
    const names = graph.nodes.filter(({ opType }) => opType === "Conv").map(({ name }) => name);
    assert.deepEqual(names, Array.from({ length: 75 }, (_, i) => `conv${i}`));
  });
}

Deno.test("YOLOv3-tiny has 8,858,734 numbers with 80 classes, 8,852,366 of them trained, and keeps 13 x 13 through its last pool", () => {
  const { graph, spec } = yoloV3Tiny({ classes: 80, random: "zeros", batch: 2 });
  assert.equal(count(graph.initialisers), tinyNumbers(80));
  assert.equal(count(graph.parameters), 8_852_366); // Ultralytics' count
  assert.deepEqual(graph.outputs.map(({ name, shape }) => [name, ...shape]), [
    ["coarse", 2, 255, 13, 13],
    ["fine", 2, 255, 26, 26],
  ]);
  assert.deepEqual(spec.heads.map(({ stride, anchors }) => [stride, anchors]), [
    [32, [[81, 82], [135, 169], [344, 319]]],
    [16, [[10, 14], [23, 27], [37, 58]]],
  ]);
  const pools = graph.nodes.filter(({ opType }) => opType === "MaxPool").map((node) => node.ints("pads").join());
  assert.deepEqual(pools, [...new Array<string>(5).fill("0,0,0,0"), "0,0,1,1"]);
});

Deno.test("Darknet-53 at 256 pixels has the paper's 18.7 billion operations and darknet53.cfg's 41,645,640 numbers", () => {
  const graph = darknet53({ random: "zeros" });
  assert.equal(count(graph.initialisers), 41_645_640);
  assert.deepEqual(graph.outputs[0]!.shape, ["N", 1000]);
  const operations = graph.nodes.filter(({ opType }) => opType === "Conv").reduce((sum, node) => {
    const [filters, inputs, rows, columns] = node.input(1).staticShape as [number, number, number, number];
    const [, , height, width] = node.output().shape as number[];
    return sum + 2 * filters * inputs * rows * columns * height! * width!;
  }, 0);
  assert.ok(Math.abs(operations / 18.7e9 - 1) < 0.01, `${operations / 1e9}`);
});

Deno.test("multipliers scale channels to multiples of 8 from 8 and blocks from 1, and leave the detecting layers' outputs", () => {
  const { graph } = yoloV3({ classes: 4, size: 64, width: 0.2, depth: 0.3, random: Random.seeded(1) });
  const convolutions = graph.nodes.filter(({ opType }) => opType === "Conv");
  const filters = convolutions.map((node) => Number(node.input(1).shape[0]));
  // 32 · 0.2 = 6.4 → 8; 64 · 0.2 = 12.8 → 16; 128 → 24; 256 → 48; 512 → 104; 1024 → 208
  assert.deepEqual(filters.slice(0, 4), [8, 16, 8, 16]);
  assert.deepEqual(new Set(filters), new Set([8, 16, 24, 48, 104, 208, 27]));
  // Blocks 1, 2, 8, 8, 4 → 1 (0.3), 1 (0.6), 2 (2.4), 2, 1 (1.2): the head's 23 convolutions and 1 + 5 + 2 · 7 of the body.
  assert.equal(convolutions.length, 23 + 6 + 14);
  assert.deepEqual(graph.outputs.map(({ shape }) => shape[2]), [2, 4, 8]);
});

Deno.test("a fresh detecting layer begins with the priors as probabilities, and with zeros where none are wanted", () => {
  const bias = (graph: Graph) => Array.from(graph.value("conv9.bias").tensor!.data as Float32Array);
  const options = { classes: 3, size: 32, width: 0.1, random: Random.seeded(1) };
  const first = bias(yoloV3Tiny(options).graph);
  assert.equal(first.length, 3 * 8);
  first.forEach((value, i) => {
    const expected = [0, 0, 0, 0, Math.log(0.01 / 0.99), ...new Array<number>(3).fill(Math.log(1 / 2))][i % 8]!;
    assert.ok(Math.abs(value - expected) < 1e-6, `${i}: ${value}`);
  });
  assert.ok(Math.abs(first[4]! + 4.6) < 0.01); // Lin et al. 2017, section 4.1
  assert.ok(bias(yoloV3Tiny({ ...options, objectnessPrior: "none" }).graph).every((value) => value === 0));
  assert.throws(() => yoloV3Tiny({ ...options, objectnessPrior: 0 }), /objectnessPrior: expected a probability/);
});

for (const [name, build] of [["YOLOv3", yoloV3], ["YOLOv3-tiny", yoloV3Tiny]] as const) {
  Deno.test(`${name} computes the same to 1e-4 after its batch normalisation is folded`, async () => {
    const { graph } = build({ classes: 5, size: 64, width: 0.25, depth: 0.3, random: Random.seeded("fold") });
    const random = Random.seeded("statistics");
    for (const value of graph.initialisers) { // a network that has trained
      const length = value.tensor!.data.length;
      const draw = (low: number, high: number) => Float32Array.from({ length }, () => random.uniform(low, high));
      if (/\.(mean|bias)$/.test(value.name)) graph.setTensor(value, tensor("float32", [length], draw(-0.3, 0.3)));
      if (/\.(scale|variance)$/.test(value.name)) graph.setTensor(value, tensor("float32", [length], draw(0.5, 1.5)));
    }
    const folded = copyGraph(graph);
    assert.ok(foldBatchNormalization(folded) > 0);
    assert.ok(folded.nodes.every(({ opType }) => opType !== "BatchNormalization"));
    const pixels = Float32Array.from({ length: 2 * 3 * 64 * 64 }, () => random.uniform());
    const run = async (each: Graph) => {
      // No rewriting by ONNX Runtime, which would fold both.
      await using session = await openSession(toModel(each), { threads: 1, optimization: "disabled" });
      return await session.run({ images: tensor("float32", [2, 3, 64, 64], pixels) });
    };
    const [plain, fast] = [await run(graph), await run(folded)];
    for (const [output, { data }] of Object.entries(plain)) {
      (data as Float32Array).forEach((value, i) => {
        const found = (fast[output]!.data as Float32Array)[i]!;
        assert.ok(Math.abs(found - value) < 1e-4, `${output} ${i}: ${found}, expected ${value}`);
      });
    }
  });
}

Deno.test("the same seed gives the same weights, and one layer more or less changes no other layer's", () => {
  const build = (classes: number, seed: number) =>
    yoloV3Tiny({ classes, size: 32, width: 0.1, random: Random.seeded(seed) }).graph.value("conv11.weight").tensor!
      .data;
  assert.deepEqual(build(2, 7), build(2, 7));
  assert.deepEqual(build(2, 7), build(3, 7));
  assert.notDeepEqual(build(2, 7), build(2, 8));
});

Deno.test("sizes that are no multiple of 32, no classes, missing anchors and a width of 0 are refused in one line", () => {
  const random = "zeros";
  for (
    const [options, message] of [
      [{ classes: 2, size: 100 }, /^size: expected a multiple of 32 pixels, found 100$/],
      [{ classes: 0 }, /^yolov3: expected classes from 1, found 0$/],
      [{ classes: 2, width: 0 }, /^width: expected a multiplier in 0 … 64, found 0$/],
      [{ classes: 2, anchors: YOLO_V3_ANCHORS.slice(1) }, /^yolov3: expected 9 anchors, found 8$/],
    ] as const
  ) {
    assert.throws(
      () => yoloV3({ ...options, random }),
      (error) => error instanceof ModelError && message.test(error.message),
    );
  }
  assert.deepEqual(scaleAnchors([[10, 13]], 0.5), [[5, 6.5]]);
});
