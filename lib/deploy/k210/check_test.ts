import assert from "node:assert/strict";
import { residualNet, yoloV3 } from "../../models/mod.ts";
import { conv, Graph, leakyRelu, matMul, maxPool, relu, sin } from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { assertFitsK210, checkK210, K210, kpuMapBytes } from "./check.ts";

const random = Random.seeded("k210", 0);

/** One convolution on a map, with what it needs. */
function layer(
  [channels, side]: readonly [number, number],
  { filters = 8, kernel = 3, stride = 1, group = 1, dilation = 1, pad = dilation * (kernel - 1) / 2 }: {
    filters?: number;
    kernel?: number;
    stride?: number;
    group?: number;
    dilation?: number;
    pad?: number;
  },
) {
  const graph = new Graph("one");
  const x = graph.input("images", "float32", ["N", channels, side, side]);
  const weight = graph.parameter("w", {
    shape: [filters, channels / group, kernel, kernel],
    init: (shape) => new Float32Array(shape.reduce((a, b) => a * b, 1)),
  });
  const y = conv(x, weight, { strides: stride, pads: pad, group, dilations: dilation, name: "layer" });
  graph.output(relu(y), "out");
  return graph;
}

Deno.test("a map's bytes, with rows of 64 that narrow maps share", () => {
  assert.equal(kpuMapBytes(3, 224, 224), 3 * 224 * 256); // 224 columns take four rows of 64
  assert.equal(kpuMapBytes(10, 28, 28), 5 * 28 * 64);
  assert.equal(kpuMapBytes(9, 14, 14), 3 * 14 * 64);
  assert.equal(kpuMapBytes(1, 4, 64), 4 * 64);
});

Deno.test("one convolution by hand: unit, bytes, operations, fused activation and pool", () => {
  const graph = new Graph("two");
  const x = graph.input("images", "float32", [1, 4, 32, 32]);
  const weight = graph.parameter("w", { shape: [8, 4, 3, 3], init: () => new Float32Array(288) });
  graph.output(maxPool(leakyRelu(conv(x, weight, { pads: 1, name: "layer" })), 2, { strides: 2 }), "out");
  const { layers: [only, ...more], fits, macs } = checkK210(graph);
  assert.deepEqual([more.length, fits, only!.unit, only!.operator], [0, true, "KPU", "3x3 + LeakyRelu + MaxPool"]);
  assert.deepEqual([only!.output, only!.weightBytes], [[8, 16, 16], 288 + 8 * 8 + 144]);
  assert.equal(only!.mapBytes, 2 * 32 * 64 + 2 * 16 * 64); // 4 channels by two, 8 by four
  assert.equal(macs, 8 * 4 * 9 * 32 * 32);
  // With a stride of 2 every place is computed.
  assert.equal(checkK210(layer([4, 32], { stride: 2 })).macs, 8 * 4 * 9 * 32 * 32);
});

Deno.test("what the compiler leaves to the processor: a pool behind a stride, the stride of a depthwise layer", () => {
  const pooled = (options: Parameters<typeof layer>[1]) => {
    const graph = layer([8, 32], options), [y] = graph.outputs;
    graph.removeOutput(y!);
    graph.output(maxPool(y!, 2, { strides: 2 }), "pooled");
    return checkK210(graph).layers.map(({ operator }) => operator);
  };
  assert.deepEqual(pooled({}), ["3x3 + Relu + MaxPool"]);
  assert.deepEqual(pooled({ stride: 2 }), ["3x3/2 + Relu", "MaxPool"]);
  assert.deepEqual(pooled({ group: 8 }), ["depthwise 3x3 + Relu", "MaxPool"]);
  const { layers: [spatial, slice], mapBytes } = checkK210(layer([8, 32], { group: 8, stride: 2 }));
  // nncase 1.9 writes all places to the map memory: 8 channels by two in 32 rows of 64.
  assert.deepEqual([spatial!.output, slice!.operator, slice!.output], [[8, 32, 32], "Slice", [8, 16, 16]]);
  assert.equal(mapBytes, 2 * 4 * 32 * 64);
});

Deno.test("every limit has its line, with the layer's name and what to change", () => {
  const cases: [Graph, RegExp][] = [
    [layer([2048, 8], {}), /layer: expected at most 1024 channels in, found 2048/],
    [layer([64, 8], { filters: 1025, kernel: 1 }), /at most 1024 channels out, found 1025 \(split the layer in two/],
    [layer([8, 16], { kernel: 5 }), /kernel 1x1 or 3x3, found 5x5/],
    [layer([8, 16], { group: 2 }), /1 group or one a channel, found 2 of 8 \(a depthwise convolution, then a 1x1/],
    [layer([8, 16], { dilation: 2 }), /expected no dilation, found 2,2/],
    [layer([8, 16], { stride: 3 }), /a stride of 1 or 2, found 3,3/],
    [layer([8, 16], { pad: 0 }), /expected 1 rows and columns of zeros on all sides, found 0,0,0,0/],
    [layer([3, 320], { filters: 2 }), /a map of at most 256 x 512, found 320 x 320/],
    [layer([8, 2], {}), /a map of at least 4 x 4, found 2 x 2/],
    [layer([32, 224], { filters: 32 }), /input and output in 2\.10 MB of map memory, found 3\.67 MB/],
  ];
  for (const [graph, message] of cases) {
    const report = checkK210(graph);
    assert.equal(report.fits, false);
    assert.match(report.problems.map(({ layer, what, change }) => `${layer}: ${what} (${change})`).join("\n"), message);
    assert.throws(() => assertFitsK210("it", report), /it: does not fit on a K210: layer: /);
  }
  assert.equal(checkK210(layer([8, 16], { group: 8 })).fits, true); // depthwise
  const odd = new Graph("odd");
  odd.output(sin(odd.input("images", "float32", [1, 3, 8, 8])), "out");
  assert.match(checkK210(odd).problems[0]!.what, /an operator that nncase compiles for a K210, found Sin/);
});

Deno.test("YOLOv3 is refused layer by layer and as a whole; a small network fits a loader and not the other", () => {
  const report = checkK210(yoloV3({ classes: 1025, size: 416, random: "zeros", width: 0.5 }).graph);
  const text = report.problems.map(({ layer, what }) => `${layer}: ${what}`).join("\n");
  assert.match(text, /at most 256 x 512, found 416 x 416/);
  assert.match(text, /at most 1024 channels out, found 3090/); // 3 · (5 + 1025)
  assert.match(text, /the model: expected weights of at most 3\.50 MB for maixpy, found \d\d\.\d\d MB/);
  assert.throws(() => assertFitsK210("yolov3", report), /and \d+ more$/);
  const small = residualNet({ classes: 1000, size: 128, random, width: 1 }).graph;
  const [maixpy, bare] = (["maixpy", "standalone"] as const).map((loader) => checkK210(small, { loader }));
  assert.ok(maixpy!.modelBytes > K210.modelBytes.maixpy && bare!.modelBytes < 6e6);
  assert.ok(!maixpy!.fits);
});

Deno.test("sizes that are left open are refused, that of the batch apart", () => {
  const graph = new Graph("open");
  const x = graph.input("images", "float32", ["N", 3, "H", "W"]);
  graph.output(relu(x), "out");
  assert.throws(() => checkK210(graph), /open: expected a network with a fixed input, found sizes left open: H, W/);
});

Deno.test("a fully connected layer is the KPU's up to 1,024 outputs and the processor's beyond", () => {
  const product = (outputs: number) => {
    const graph = new Graph("product");
    const weight = graph.parameter("w", { shape: [128, outputs], init: () => new Float32Array(128 * outputs) });
    graph.output(matMul(graph.input("x", "float32", ["N", 128]), weight), "y");
    return checkK210(graph).layers[0]!;
  };
  const { unit, weightBytes, macs, mapBytes, operator } = product(151);
  assert.deepEqual([unit, operator, weightBytes], ["KPU", "MatMul as 1x1", 128 * 151 + 8 * 151 + 144]);
  // nncase 1.9 pads 128 x 1 x 1 to 128 x 4 x 4 and writes 151 x 4 x 4, four channels a row of 64.
  assert.deepEqual([macs, mapBytes], [16 * 128 * 151, 32 * 4 * 64 + 38 * 4 * 64]);
  const large = product(1025);
  assert.deepEqual([large.unit, large.weightBytes, large.macs], ["CPU", 4 * 128 * 1025, 128 * 1025]);
});
