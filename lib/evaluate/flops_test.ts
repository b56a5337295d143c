/** Tests of flops.ts. */

import assert from "node:assert/strict";
import {
  averagePool,
  conv,
  convTranspose,
  einsum,
  foldBatchNormalization,
  Graph,
  matMul,
  reduceMean,
  reshape,
  softmax,
} from "../onnx/mod.ts";
import { residualNet } from "../models/mod.ts";
import { EvaluateError } from "./errors.ts";
import { countOperations, countParameters } from "./flops.ts";
import { darknet53, vgg16, yolov3, yolov3Tiny } from "./published_networks.ts";

Deno.test("Darknet's networks cost the operations that are published, and hold as many numbers as their weight files", () => {
  // Darknet prints 18.57, 65.86 and 5.56 BFLOPs; YOLOv3's paper says 18.7 for Darknet-53. A weight file has 20 bytes of
  // header and then single-precision numbers.
  const published = [
    { network: darknet53, billions: 18.57, file: 166_582_580 },
    { network: yolov3, billions: 65.86, file: 248_007_048 },
    { network: yolov3Tiny, billions: 5.56, file: 35_434_956 },
  ];
  for (const { network, billions, file } of published) {
    const { flops, parameters, statistics, uncounted } = countOperations(network());
    assert.ok(Math.abs(flops / 1e9 - billions) < 0.006, `${network.name}: ${flops}`);
    assert.equal(parameters + statistics, (file - 20) / 4, network.name);
    assert.deepEqual(uncounted, []);
  }
  assert.ok(Math.abs(countOperations(darknet53()).flops / 18.7e9 - 1) < 0.01);
});

Deno.test("the compact residual network costs what its table comes to: side² · kernel² · inputs · outputs of each layer", () => {
  const block = (channels: number) => channels * channels / 2 + 9 * channels / 2 * channels;
  const expected = 32 ** 2 * (9 * 3 * 32 + 9 * 32 * 64) + 16 ** 2 * (9 * 64 * 128 + 2 * block(128)) +
    8 ** 2 * (9 * 128 * 256 + 2 * block(256)) + 4 ** 2 * (9 * 256 * 512 + block(512)) + 512 * 1025;
  assert.equal(countOperations(residualNet({ classes: 1025, size: 64, random: "zeros" }).graph).macs, expected);
});

Deno.test("VGG-16 has 138,357,544 parameters and 15.47 billion multiply-accumulate steps", () => {
  const { macs, parameters, statistics } = countOperations(vgg16()); // figures of torchvision's documentation
  assert.deepEqual([parameters, statistics], [138_357_544, 0]);
  assert.ok(Math.abs(macs / 1e9 - 15.47) < 0.005);
});

Deno.test("folding BatchNormalization away keeps the products and turns the statistics into nothing", () => {
  const graph = yolov3Tiny(), before = countOperations(graph);
  foldBatchNormalization(graph);
  const after = countOperations(graph);
  assert.deepEqual([after.macs, after.statistics], [before.macs, 0]);
  assert.ok(after.parameters < before.parameters);
  assert.ok(!("BatchNormalization" in after.byOperator));
});

/** Weights named by their shape. */
const weight = (graph: Graph, ...shape: number[]) =>
  graph.parameter(`w${shape}`, { shape, init: (sizes) => new Float32Array(sizes.reduce((a, b) => a * b)) });

Deno.test("each operator costs what its formula says", () => {
  const graph = new Graph("formulas");
  const x = graph.input("x", "float32", ["N", 4, 6, 6]);
  // 8 channels in 2 groups: 8 · 6 · 6 outputs of 2 · 3 · 3 products, and as many biases
  const y = conv(x, weight(graph, 8, 2, 3, 3), { group: 2, pads: 1, bias: weight(graph, 8) });
  // each of 8 · 6 · 6 inputs times 3 channels of 2 · 2
  const z = convTranspose(y, weight(graph, 8, 3, 2, 2), { strides: 2 });
  const pooled = averagePool(z, 3, { strides: 3 }); // 3 · 4 · 4 windows of 9
  const flat = reshape(pooled, [-1, 3, 16]);
  const attention = einsum("nqd,nkd->nqk", [flat, flat]); // 3 · 3 · 16
  const product = matMul(attention, weight(graph, 3, 5)); // 3 · 5 outputs of 3
  graph.output(reduceMean(softmax(product), { axes: [1] }), "y"); // 15 and 15
  const one = countOperations(graph), three = countOperations(graph, { sizes: { N: 3 } });
  assert.equal(one.byOperator.Conv!.macs, 8 * 36 * 18);
  assert.equal(one.byOperator.Conv!.other, 8 * 36);
  assert.equal(one.byOperator.ConvTranspose!.macs, 8 * 36 * 12);
  assert.equal(one.pooling, 3 * 16 * 9);
  assert.equal(one.byOperator.Einsum!.macs, 144);
  assert.equal(one.byOperator.MatMul!.macs, 45);
  assert.equal(one.elementwise, 8 * 36 + 15 + 15);
  assert.equal(one.flops, 2 * (8 * 36 * 18 + 8 * 36 * 12 + 144 + 45));
  assert.deepEqual([three.macs, three.elementwise, three.pooling], [
    3 * one.macs,
    3 * one.elementwise,
    3 * one.pooling,
  ]);
  assert.equal(one.parameters, 8 * 2 * 9 + 8 + 8 * 3 * 4 + 15);
});

Deno.test("operators whose work depends on the data are named, not guessed", () => {
  const graph = new Graph("unknown");
  const x = graph.input("x", "float32", [2, 3]);
  graph.output(graph.node("NonZero", [x])[0]!, "y");
  graph.output(graph.node("Fancy", [x], {}, { domain: "com.example" })[0]!, "z");
  const { macs, elementwise, uncounted } = countOperations(graph);
  assert.deepEqual([macs, elementwise, uncounted], [0, 0, ["NonZero", "com.example.Fancy"]]);
});

Deno.test("a size that is a symbol has to be given", () => {
  const graph = new Graph("open");
  const x = graph.input("x", "float32", ["N", 3, "H", "W"]);
  graph.output(conv(x, weight(graph, 2, 3, 1, 1)), "y");
  assert.throws(
    () => countOperations(graph, { sizes: { H: 4 } }),
    (error: Error) => error instanceof EvaluateError && /expected a size for "W" of input "x"/.test(error.message),
  );
  assert.equal(countOperations(graph, { sizes: { H: 4, W: 5 } }).macs, 2 * 3 * 20);
  assert.deepEqual(countParameters(graph), { parameters: 6, statistics: 0 });
});
